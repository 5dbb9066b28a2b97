"""Live handles for libraries, imported on demand, one file per library."""
