"""The encodings in which a known value may leave: standard library only (arrives with the leak scan)."""
