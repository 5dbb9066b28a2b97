"""The project's machinery: runs tests, gates and mutants. Not part of the wheel."""
