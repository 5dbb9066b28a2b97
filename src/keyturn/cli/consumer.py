"""`keyturn consumer`: who uses what, and releasing one rotation from one of them."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import manifest, opened
from keyturn.core.clock import parse_rfc3339, rfc3339
from keyturn.core.duration import parse_duration
from keyturn.core.errors import UsageError
from keyturn.manifest import Manifest

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Who uses what; release a rotation from one.")


@app.command("list")
def list_(context: typer.Context, *, as_json: Json = False) -> None:
    """The declared consumers, and how they show what they use."""

    def work() -> Answer:
        declared = manifest(context)
        rows = _rows(declared)
        lines = tuple(
            f"{row['consumer']}  {row['kind']}  {declared.consumers[row['consumer']].awaited}, "
            f"{row['evidence']}  uses {', '.join(row['secrets']) or 'nothing'}"
            for row in rows
        )
        return Answer({"consumers": rows}, lines or ("no consumer is declared",))

    answering("consumer-list", as_json, work)


def _rows(declared: Manifest) -> list[dict[str, Any]]:
    return [
        {
            "consumer": name,
            "kind": table.kind,
            "secrets": list(declared.used_by(name)),
            "expect": table.expect,
            "lifecycle": table.lifecycle,
            "evidence": table.proof if table.reports else "waited",
        }
        for name, table in declared.consumers.items()
    ]


@app.command("excuse")
def excuse(  # noqa: PLR0913 - one parameter for each option
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CONSUMER", help="Which consumer.")],
    *,
    secret: Annotated[str, typer.Option(metavar="NAME", help="Which secret's open rotation.")],
    until: Annotated[str, typer.Option(metavar="TIME", help="A duration such as 2h, or a time (RFC 3339).")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; goes into the journal.")],
    as_json: Json = False,
) -> None:
    """Release the open rotation of a secret from a consumer.

    Evidence then says *waited*, not *shown*.
    """

    def work() -> Answer:
        end = moment(until)
        with opened(context) as assembly:
            assembly.manifest.secret(secret)
            assembly.engine(secret).excuse(name, end, reason)
        line = f"{secret}: the open rotation does not wait for proof from {name} any more: keyturn resume {secret}"
        return Answer({"consumer": name, "secret": secret, "until": end, "reason": reason}, (line,))

    answering("consumer-excuse", as_json, work)


def moment(text: str, now: datetime | None = None) -> str:
    """The end of a release, RFC 3339, from a duration or a time.

    Raises:
        UsageError: it is neither, or has passed.
    """
    now = now or datetime.now(UTC)
    try:
        end = datetime.fromtimestamp(now.timestamp() + parse_duration(text), UTC)
    except ValueError:
        try:
            end = parse_rfc3339(text)
        except ValueError:
            raise UsageError(f"{text!r:.40} is neither a duration nor a time", "--until 2h") from None
    if end <= now:
        raise UsageError("that time has passed", "--until 2h")
    return rfc3339(end)
