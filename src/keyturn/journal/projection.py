"""The status row of a stream: a pure fold over its records, kept beside them for fast answers."""

from collections.abc import Mapping
from typing import Any

from keyturn.journal.record import Record

FOLD = 1
"""The version of this fold: rows of another one are rebuilt."""


def fold(row: Mapping[str, Any], record: Record) -> dict[str, Any]:
    """The row after `record`; an empty mapping is the row before the first."""
    return {**row, "kind": record.kind}
