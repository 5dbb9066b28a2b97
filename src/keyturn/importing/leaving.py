"""Which plain files may go after an import, and which may not, with why. Nothing is ever removed here."""

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from keyturn.importing.plan import Row

_WHY = {
    "setting": "holds a setting",
    "open": "holds what looks like a secret and was not taken in",
    "refused": "holds what was refused",
    "ignored": "holds what --map left alone",
}


@dataclass(frozen=True, slots=True)
class PlainFile:
    """One file that was read.

    Attributes:
        path: where it is.
        may_go: whether all that it holds is in a store now, and was read back from there.
        lines: of a file of several values, those that may go.
        why: what keeps it; empty where it may go.
    """

    path: Path
    may_go: bool
    lines: tuple[int, ...] = ()
    why: str = ""

    @property
    def command(self) -> str:
        """What a person runs; empty where the file stays as a whole."""
        return f"shred -u -- {shlex.quote(str(self.path))}" if self.may_go else ""


def plain_files(rows: Sequence[Row], landed: Collection[str], kept: Collection[Path] = ()) -> tuple[PlainFile, ...]:
    """Each plain file that was read, in its order.

    Args:
        rows: what became of each entry.
        landed: the secrets whose content is current in their store and was read back.
        kept: files that hold something besides, such as a variable that names another file.
    """
    paths = tuple(dict.fromkeys(row.source for row in rows))
    return tuple(_judged(path, [row for row in rows if row.source == path], landed, path in kept) for path in paths)


def _judged(path: Path, rows: Sequence[Row], landed: Collection[str], keeps: bool) -> PlainFile:  # noqa: FBT001 - one more reason
    gone = [row for row in rows if _is_in_store(row, landed)]
    stays = [row for row in rows if row not in gone]
    lines = tuple(row.line for row in gone if row.line is not None)
    if not stays and not keeps:
        return PlainFile(path, may_go=True, lines=lines)
    reasons = [f"{_reason(row)} ({row.key})" if row.key else _reason(row) for row in stays]
    reasons += ["holds the name of another file"] if keeps else []
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return PlainFile(path, may_go=False, lines=lines, why=reasons[0] + more)


def _is_in_store(row: Row, landed: Collection[str]) -> bool:
    secrets = {to.partition(".")[0] for to in row.to}
    return row.what in {"taken", "agrees"} and bool(secrets) and secrets <= set(landed)


def _reason(row: Row) -> str:
    return _WHY.get(row.what, "holds what is not in a store yet")
