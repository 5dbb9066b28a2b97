"""How a set of instances is told and observed, one file per adapter."""
