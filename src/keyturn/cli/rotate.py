"""`keyturn rotate`: replace a credential, and end the old one only when nobody uses it any more."""

from typing import Annotated

import typer

from keyturn.cli import say
from keyturn.cli.answer import Answer, Events, JsonOrEvents, answering
from keyturn.cli.opening import manifest
from keyturn.cli.rotating import Ended, run, running, told
from keyturn.core.errors import KeyturnError, Refused, UsageError
from keyturn.manifest import Manifest
from keyturn.rotation.outcome import Outcome
from keyturn.wiring import Assembly

PRODUCTION = "production"


def command(  # noqa: PLR0913 - one parameter for each option
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which secret; without, all of them.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All secrets that this version can rotate.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do what can be done now and exit 0; tick or resume goes on.")
    ] = False,
    as_json: JsonOrEvents = False,
    as_events: Events = False,
) -> None:
    """Rotate a secret, or all of them.

    The old version ends when every consumer is shown to run on the new one. Waits with progress.
    Ctrl-C finishes the step under way and leaves the rotation resumable.
    """

    def work() -> Answer:
        if name is not None and every:
            raise UsageError("a name and --all exclude each other", "leave one of them out")
        declared = manifest(context)
        if name is not None:
            declared.secret(name)
        else:
            _confirm(declared, every=every, yes=yes)
        with running(context, as_events=as_events) as assembly:
            if name is not None:
                return told(_one(assembly, name, no_wait=no_wait))
            return _several(assembly, no_wait=no_wait)

    answering("rotate", as_json or as_events, work)


def _one(assembly: Assembly, name: str, *, no_wait: bool) -> Ended:
    if assembly.manifest.secrets[name].kind == "manual":
        raise Refused(f"{name} is changed by a person, Keyturn cannot rotate it", f"keyturn set {name}")
    engine = assembly.engine(name)
    engine.begin("rotate")
    ended = run(assembly, name, engine, patience=0.0 if no_wait else None)
    waits = ended.outcome.status == "waiting" and not ended.outcome.code
    return Ended(name, ended.outcome, ended.report, None) if no_wait and waits else ended


def _confirm(declared: Manifest, *, every: bool, yes: bool) -> None:
    """All secrets at once is rarely meant: in production, or without --all, the service's name is asked for."""
    if yes or (every and declared.environment != PRODUCTION):
        return
    typed = say.ask(f"Rotate every secret of {declared.environment}? Type the service's name:", "--yes")
    if typed != declared.service:
        raise UsageError("that is not the service's name: nothing was rotated", "keyturn rotate NAME for one secret")


def _several(assembly: Assembly, *, no_wait: bool) -> Answer:
    names = order(assembly.manifest)
    if not names:
        raise UsageError("the manifest has no secret that this version can rotate", "keyturn plan")
    ends = [_isolated(assembly, name, no_wait=no_wait) for name in names]
    errors = [ended.error for ended in ends if ended.error is not None]
    lines = tuple(ended.line for ended in ends if ended.error is None)
    notes = tuple(f"{say.ERROR}{error.message}" for error in errors[1:])
    data = {"rotations": [ended.data for ended in ends if ended.data is not None]}
    return Answer(data, lines, notes=notes, error=errors[0] if errors else None)


def _isolated(assembly: Assembly, name: str, *, no_wait: bool) -> Ended:
    try:
        return _one(assembly, name, no_wait=no_wait)
    except KeyturnError as error:
        return Ended(name, Outcome("idle"), None, error)


def order(declared: Manifest) -> tuple[str, ...]:
    """The secrets that can be rotated, what others need for it last."""
    able = all_able(declared)
    needed = {admin for name in able for _, admin in declared.secrets[name].admins}
    return tuple(sorted(able, key=lambda name: name in needed))


def able_to_rotate(declared: Manifest, name: str) -> bool:
    """Whether it is a kind that Keyturn changes by itself, with all its parts built."""
    return _able(declared, name, _missing(declared))


def all_able(declared: Manifest) -> tuple[str, ...]:
    """All of them, in the order of the manifest."""
    missing = _missing(declared)
    return tuple(name for name in declared.secrets if _able(declared, name, missing))


def _missing(declared: Manifest) -> frozenset[tuple[str, ...]]:
    return frozenset(missing.path for missing in declared.missing)


def _able(declared: Manifest, name: str, missing: frozenset[tuple[str, ...]]) -> bool:
    mine = (("secrets", name), ("stores", declared.store_of(name)))
    users = tuple(("consumers", user) for user in declared.secrets[name].consumers)
    return declared.secrets[name].kind != "manual" and missing.isdisjoint((*mine, *users))
