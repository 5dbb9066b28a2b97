"""The gates: each is a function from a checkout to the list of what is wrong with it, empty when it passes."""
