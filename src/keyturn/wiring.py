"""Kind to objects: the one place where adapters are imported, on demand."""
