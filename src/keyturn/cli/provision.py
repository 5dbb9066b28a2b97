"""`keyturn provision`: from an empty target to the first version, for one secret or for all that lack one."""

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import typer

from keyturn.cli import say
from keyturn.cli.answer import Answer, Events, JsonOrEvents, answering
from keyturn.cli.bring import Wanted, wanted
from keyturn.cli.opening import manifest
from keyturn.cli.placing import where
from keyturn.cli.rotating import run, running, told
from keyturn.cli.set import deliver
from keyturn.core.errors import KeyturnError, NotAvailable, Refused, UsageError
from keyturn.core.kinds import MANUAL, begins, mints
from keyturn.core.rotator import Provisions
from keyturn.manifest import Manifest
from keyturn.rotation.bringing import interrupted
from keyturn.rotation.minting import make_first
from keyturn.rotation.state import Secret
from keyturn.system.files import make_directory
from keyturn.wiring import Assembly

PRODUCTION, PROVISION = "production", "provision"


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass over all secrets did: what was made or was there, what failed, what a person must bring."""

    done: list[Answer] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    failed: list[tuple[str, KeyturnError]] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)


def command(  # noqa: PLR0913 - one parameter for each option
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which secret.")] = None,
    *,
    missing: Annotated[bool, typer.Option("--missing", help="All secrets that have no version yet.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOrEvents = False,
    as_events: Events = False,
) -> None:
    """Create what the target lacks, then make the first version.

    Creates roles and grants, makes keys that nothing outside must be told of, and delivers the
    version to its consumers. --missing does what can be done and says what a person must bring.
    May be repeated: what is there stays, and a secret with a version is left as it is.
    """

    def work() -> Answer:
        if (name is None) != missing:
            raise UsageError("either a name or --missing", "keyturn provision --missing")
        _confirm(manifest(context), name, yes=yes)
        with running(context, as_events=as_events) as assembly:
            return _all(assembly) if name is None else _one(assembly, name)

    answering("provision", as_json or as_events, work)


def _confirm(declared: Manifest, name: str | None, *, yes: bool) -> None:
    """A new key of an application that is in use ends what the old one made: in production a person says so."""
    names = tuple(declared.secrets) if name is None else (name,)
    keys = [one for one in names if mints(declared.secret(one).kind)]
    if yes or not keys or declared.environment != PRODUCTION:
        return
    say.note(f"new keys for {', '.join(keys)}, where there is no version yet. A service that is in use has its own:")
    say.note("a new one ends every session and link that the old one made. Then stop here, and keyturn import them.")
    if say.ask("Type the service's name to make new ones:", "--yes") != declared.service:
        raise UsageError("that is not the service's name: nothing was made", "keyturn import what the service has")


def _one(assembly: Assembly, name: str) -> Answer:
    kind = assembly.manifest.secret(name).kind
    if mints(kind):
        return _mint(assembly, name)
    if kind == MANUAL:
        raise Refused(f"a person brings the first version of {name}", f"keyturn set {name}")
    if begins(kind) == "set":
        raise UsageError(f"provisioning kind {kind!r} is not available in this version", f"keyturn set {name}")
    engine = assembly.engine(name)
    rotator = assembly.rotator(name)
    if not isinstance(rotator, Provisions):
        raise NotAvailable(f"provisioning kind {rotator.kind!r}")
    _check_no_import(assembly, name, engine.state())
    done = rotator.provision()
    for line in done:
        say.note(line)
    state = engine.state()
    if state.current is not None and state.rotation is None:
        line = f"{name}: version {state.current.version} is there already"
        return Answer({"secret": name, "provisioned": list(done), "rotation": None}, (line,))
    if state.rotation is None:
        engine.begin(PROVISION)
    answer = told(run(assembly, name, engine))
    data = {"secret": name, "provisioned": list(done), "rotation": answer.data}
    return Answer(data, answer.lines, notes=answer.notes, error=answer.error)


def _check_no_import(assembly: Assembly, name: str, state: Secret) -> None:
    """What a person brought comes first. Raises Refused where it was cut off before it was current."""
    first = state.current is None and state.rotation is None
    if first and interrupted(assembly.journal, assembly.escrow, name) is not None:
        raise Refused(f"an import of {name} was cut off", f"keyturn resume {name} brings it to its end")


def _mint(assembly: Assembly, name: str) -> Answer:
    place, locks = where(assembly, name), assembly.state.locks
    make_directory(locks)
    landed = make_first(assembly.journal, assembly.escrow, place, partial(assembly.minted, name), locks)
    delivered, failure = deliver(assembly, name)
    line = f"{name}: version {landed.version} is there already"
    if not landed.there:
        line = f"{name}: a new key was made, version {landed.version} is current"
    made = [] if landed.there else [line]
    data = {"secret": name, "provisioned": [*made, *delivered], "rotation": None}
    return Answer(data, (line, *delivered), error=failure)


def _all(assembly: Assembly) -> Answer:
    """Each secret without a version, in the order of the manifest, those of Keyturn's own first."""
    passed = _pass(assembly)
    lines = [line for answer in passed.done for line in answer.lines]
    lines += [line for one in passed.wanted for line in one.lines]
    have = len(passed.done) + len(passed.there)
    lines.append(f"{have} of {len(assembly.manifest.secrets)} secrets have a version")
    errors = [error for _, error in passed.failed]
    notes = tuple(f"{say.ERROR}{name}: {error.message}" for name, error in passed.failed[1:])
    data: dict[str, Any] = {
        "made": [answer.data for answer in passed.done],
        "there": passed.there,
        "bring": [one.data for one in passed.wanted],
        "failed": [_failed(name, error) for name, error in passed.failed],
    }
    return Answer(data, tuple(lines), notes=notes, error=errors[0] if errors else None)


def _pass(assembly: Assembly) -> Pass:
    declared = assembly.manifest
    passed = Pass()
    for name in sorted(declared.secrets, key=lambda one: declared.secrets[one].used_by is None):
        if _has_version(assembly, name):
            passed.there.append(name)
        elif (asked := _asked(assembly, name)) is not None:
            passed.wanted.append(asked)
        elif not _provisioned(assembly, name, passed):
            break
    return passed


def _asked(assembly: Assembly, name: str) -> Wanted | None:
    """What must come first, and not from Keyturn; None where it can go to work."""
    table = assembly.manifest.secrets[name]
    if begins(table.kind) == "set":
        return wanted(assembly.manifest, name)
    lacking = [admin for _, admin in table.admins if not _has_version(assembly, admin)]
    return Wanted(name, table.kind, f"needs {lacking[0]} first", f"keyturn provision {name}") if lacking else None


def _provisioned(assembly: Assembly, name: str, passed: Pass) -> bool:
    """Whether the pass may go on: one that fails keeps nothing else from its turn, somebody who stops it does."""
    try:
        answer = _one(assembly, name)
    except KeyturnError as error:
        passed.failed.append((name, error))
        return True
    if answer.error is None:
        passed.done.append(answer)
        return True
    passed.failed.append((name, answer.error))
    rotation = (answer.data or {}).get("rotation")
    return rotation is None or rotation["stopped"]["status"] != "interrupted"


def _has_version(assembly: Assembly, name: str) -> bool:
    """A first version on its way is none yet."""
    row = assembly.journal.projected().get(name, {})
    rotation = row.get("rotation")
    return row.get("current") is not None and (rotation is None or rotation["trigger"] != PROVISION)


def _failed(name: str, error: KeyturnError) -> dict[str, str]:
    return {"secret": name, "code": error.code, "message": error.message, "remedy": error.remedy}
