"""Signing keys of tokens. Not rotated yet: a first set is made here, or completed from a key that is brought."""
