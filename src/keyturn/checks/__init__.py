"""Pure functions from gathered facts to findings, one file per check."""
