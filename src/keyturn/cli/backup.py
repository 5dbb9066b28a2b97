"""`keyturn backup`: Keyturn's own state in one file."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from keyturn.backup.take import take
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import opened


def command(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The new file (0600); never overwritten.")],
    *,
    as_json: Json = False,
) -> None:
    """Write Keyturn's own state to one file.

    Journal, vaults, anchors and manifest, all of one moment, while everything goes on. No key is in it: keep
    the key file, a passphrase or the recovery code elsewhere. `keyturn restore FILE --check` shows what it is
    worth.
    """

    def work() -> Answer:
        with opened(context) as assembly:
            taken = take(assembly, path.absolute())
        data = {
            "file": str(path.absolute()),
            "size": taken.size,
            "sha256": taken.sha256,
            "elsewhere": list(taken.elsewhere),
            "index": asdict(taken.index),
        }
        lines = (f"{path}: {taken.size} bytes of state, SHA-256 {taken.sha256}",)
        notes = (
            *(f"store {name} is not in it: it keeps its own backups" for name in taken.elsewhere),
            f"next: keyturn restore {path} --check; no key is in it, keep one elsewhere",
        )
        return Answer(data, lines, notes=notes)

    answering("backup", as_json, work)
