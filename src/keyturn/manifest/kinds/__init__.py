"""Options of each kind as data, one file per kind."""
