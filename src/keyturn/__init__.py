"""Keyturn: secrets that are served, rotated, watched and proved."""

__version__ = "0.1.0"
