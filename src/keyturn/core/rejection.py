"""That an instance would not have a version, and why."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rejection:
    """An instance tried a version and would not have it."""

    version: str
    reason: str
