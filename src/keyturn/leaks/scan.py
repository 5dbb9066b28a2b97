"""The scan of files and streams for known values (arrives with the leak scan)."""
