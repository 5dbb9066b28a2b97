"""The exhaustive model of a rotation: the real machine, in a small world with late effects."""
