"""The key of an application. Not rotated yet: a first one is made here, or brought."""
