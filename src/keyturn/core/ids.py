"""Ids of rotations and attempts: UUIDv7 (RFC 9562), so that they sort by the time they were made."""

import secrets
import time
from uuid import UUID


def uuid7() -> str:
    """A fresh id."""
    stamp = time.time_ns() // 1_000_000
    bits = (stamp & (1 << 48) - 1) << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(UUID(int=bits))
