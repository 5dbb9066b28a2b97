"""Append-only, hash-chained record of what was decided and seen."""
