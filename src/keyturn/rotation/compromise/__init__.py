"""What a compromise asks of the machine (arrives with the emergency command)."""
