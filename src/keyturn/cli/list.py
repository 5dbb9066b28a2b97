"""`keyturn list`: what is declared, without a value."""

import typer

from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import opened
from keyturn.cli.rows import NEVER, age
from keyturn.core.duration import format_duration


def command(context: typer.Context, *, as_json: Json = False) -> None:
    """The secrets with store, owner, age and consumers; no values."""

    def work() -> Answer:
        with opened(context) as assembly:
            manifest, rows, now = assembly.manifest, assembly.journal.projected(), assembly.clock.now().wall
            secrets, lines = [], []
            for name, table in manifest.secrets.items():
                row = rows.get(name, NEVER)
                seconds = age(row, now)
                current = row.get("current")
                secrets.append(
                    {
                        "name": name,
                        "kind": table.kind,
                        "store": manifest.store_of(name),
                        "owner": table.owner,
                        "purpose": table.purpose,
                        "version": current and current["version"],
                        "age_ms": None if seconds is None else round(seconds * 1000),
                        "consumers": list(table.consumers),
                        "published": list(table.publish),
                    }
                )
                old = "no version yet" if seconds is None else f"{format_duration(seconds)} old"
                users = ", ".join(table.consumers) or table.used_by or "nobody"
                lines.append(
                    f"{name}  {table.kind}  in {manifest.store_of(name)}  {old}  owner {table.owner}  used by {users}"
                )
            return Answer({"secrets": secrets}, tuple(lines) or ("no secret is declared",))

    answering("list", as_json, work)
