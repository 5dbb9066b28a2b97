"""`keyturn get`: what there is of a secret; its value only with a reason, which is written down first."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import opened
from keyturn.core.errors import UsageError
from keyturn.core.secret import MASK, Bundle, SecretValue
from keyturn.manifest import Manifest
from keyturn.rotation.intake import note_access
from keyturn.wiring import Assembly


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: a secret, and one field or published view of it, or neither."""

    secret: str
    part: str | None
    view: bool = False


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME[.FIELD]|PUBLISHED", help="A secret, a field, or a view.")],
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print the value; journaled before it is shown.")] = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; needed with --reveal.")] = None,
    as_json: Json = False,
) -> None:
    """Show a secret masked; --reveal prints one value.

    The reason is written into the journal before anything is shown.
    """

    def work() -> Answer:
        if reveal and not (reason and reason.strip()):
            raise UsageError("--reveal needs a reason", '--reason "why you need to see it"')
        with opened(context) as assembly:
            asked = find(assembly.manifest, name)
            bundle, version = _current(assembly, asked.secret)
            parts = _parts(assembly, asked, bundle)
            if not reveal:
                lines = tuple(f"{asked.secret} {part} = {MASK}" for part in parts)
                return Answer(_data(asked, version, parts), lines)
            return _reveal(assembly, asked, version, parts, reason or "", as_json=as_json)

    answering("get", as_json, work)


def find(manifest: Manifest, name: str) -> Asked:
    """What that name stands for.

    Raises:
        UsageError: nothing of that name is declared.
    """
    secret, dot, field = name.partition(".")
    if dot:
        manifest.secret(secret)
        return Asked(secret, field)
    if name in manifest.secrets:
        return Asked(name, None)
    for owner, table in manifest.secrets.items():
        if name in table.publish:
            return Asked(owner, name, view=True)
    raise UsageError(f"the manifest has no secret and no published name {name!r:.80}", "keyturn list")


def _current(assembly: Assembly, secret: str) -> tuple[Bundle, str]:
    """The current content, and the version it belongs to."""
    store, entry = assembly.store(secret), assembly.store_name(secret)
    version = store.current(entry)
    if version is None:
        raise assembly.absent(secret)
    return store.read(entry, version), version


def _parts(assembly: Assembly, asked: Asked, bundle: Bundle) -> Mapping[str, SecretValue]:
    if asked.part is None:
        return bundle
    if asked.view:
        return {asked.part: assembly.published(asked.secret, bundle)[asked.part]}
    if asked.part not in bundle:
        raise UsageError(f"{asked.secret} has no field {asked.part!r:.80}", f"it has {', '.join(sorted(bundle))}")
    return {asked.part: bundle[asked.part]}


def _data(asked: Asked, version: str, parts: Mapping[str, SecretValue]) -> dict[str, Any]:
    return {"secret": asked.secret, "version": version, "parts": sorted(parts), "value": None}


def _reveal(  # noqa: PLR0913 - what was asked for, and what was found
    assembly: Assembly, asked: Asked, version: str, parts: Mapping[str, SecretValue], reason: str, *, as_json: bool
) -> Answer:
    if len(parts) != 1:
        choices = ", ".join(f"{asked.secret}.{part}" for part in sorted(parts))
        raise UsageError(f"{asked.secret} has several fields: name one", f"one of {choices}")
    ((part, value),) = parts.items()
    note_access(assembly.journal, asked.secret, {"part": part, "version": version, "reason": reason})
    data = _data(asked, version, parts)
    if as_json:
        data.update(value=value.reveal())
        return Answer(data)
    _hand_out(value)
    return Answer(data)


def _hand_out(value: SecretValue) -> None:
    """The value and nothing else; a line break only where a person looks."""
    sys.stdout.write(value.reveal())
    sys.stdout.write("\n" if sys.stdout.isatty() else "")
