"""Measurements against named peers, each in one and the same run (docs/performance.md)."""
