"""Nouns and protocols. Standard library only, one noun per file."""
