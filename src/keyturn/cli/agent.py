"""`keyturn agent`: gives applications what was delivered to them, over a socket, and takes their reports."""

import resource
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from keyturn.agent.doors import Door, doors
from keyturn.agent.happened import CLOSED_DOOR, NOT_RELOADED, READY, RELOADED, STOPPING, Happened, Say
from keyturn.agent.server import Server
from keyturn.cli import say
from keyturn.cli.answer import Answer, Events, JsonOrEvents, answering, write_json
from keyturn.cli.opening import chosen, manifest
from keyturn.core.clock import rfc3339
from keyturn.core.errors import KeyturnError, UsageError
from keyturn.manifest import Manifest
from keyturn.system.listening import listening
from keyturn.system.notify import READY as IS_READY
from keyturn.system.notify import STOPPING as IS_STOPPING
from keyturn.system.notify import WATCHDOG, notify, reloading, watchdog_interval
from keyturn.system.wakeups import Wakeups

EVERYBODY = 0o666
"""Who may connect: the kernel says who it is, and that decides."""
DRAIN_WITHIN = 3.0
TURN = 1.0


def command(
    context: typer.Context,
    *,
    at: Annotated[
        Path | None, typer.Option("--socket", metavar="PATH", help="Where to listen; else agent_socket.")
    ] = None,
    as_json: JsonOrEvents = False,
    as_events: Events = False,
) -> None:
    """Serve what was delivered to the applications of this host.

    Holds each consumer's newest bundle in memory, pushes it to its processes, and writes their
    reports for Keyturn. Who a process is, the kernel says: agent_user, agent_group. Needs no key
    of a vault. SIGTERM ends it, SIGHUP has it read the manifest anew.
    """

    def work() -> Answer:
        declared = manifest(context)
        path = at or declared.keyturn.agent_socket
        if path is None:
            raise UsageError("nothing says where to listen", 'agent_socket = "/run/keyturn/agent.sock" in [keyturn]')
        counted = _Counted(_event if as_events else _line)
        opened = _opened(declared, counted)
        _many_descriptors()
        with listening(path.absolute(), EVERYBODY) as listener, Wakeups() as wakeups:
            server = Server(listener, opened, counted)
            counted(Happened(READY, "", f"{path}: {', '.join(opened)}"))
            _serve(context, server, wakeups, counted)
        return Answer({"socket": str(path), "events": dict(counted.counts)}, notes=("the agent has ended",))

    answering("agent", as_json or as_events, work)


def _serve(context: typer.Context, server: Server, wakeups: Wakeups, tell: Say) -> None:
    """Until somebody asks it to end."""
    server.wake_by(wakeups.fd)
    interval = watchdog_interval()
    turn = TURN if interval is None else min(TURN, interval / 3)
    notify(IS_READY)
    beaten = time.monotonic()
    while not wakeups.stopping:
        server.turn(turn)
        if wakeups.read_anew():
            _reload(context, server, tell)
        if interval is not None and time.monotonic() - beaten >= interval / 3:
            notify(WATCHDOG)
            beaten = time.monotonic()
    notify(IS_STOPPING)
    tell(Happened(STOPPING, "", f"{server.peers} processes are connected"))
    server.drain(DRAIN_WITHIN)


def _reload(context: typer.Context, server: Server, tell: Say) -> None:
    """Read the manifest anew; one that is off changes nothing."""
    notify(reloading())
    try:
        opened = _opened(manifest(context), tell)
    except KeyturnError as failure:
        tell(Happened(NOT_RELOADED, "", f"goes on as before: {failure.message.splitlines()[0]}"))
    else:
        server.open(opened)
        tell(Happened(RELOADED, "", f"{chosen(context).manifest}: {', '.join(opened)}"))
    notify(IS_READY)


def _opened(declared: Manifest, tell: Say) -> Mapping[str, Door]:
    opened, notes = doors(declared)
    for note in notes:
        tell(Happened(CLOSED_DOOR, "", note))
    return opened


def _many_descriptors() -> None:
    """As many as this user may have: one for each process that connects."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Counted:
    """Tells, and counts what it told."""

    def __init__(self, tell: Say) -> None:
        self._tell = tell
        self.counts: dict[str, int] = {}

    def __call__(self, happened: Happened) -> None:
        self.counts[happened.what] = self.counts.get(happened.what, 0) + 1
        self._tell(happened)


def _line(happened: Happened) -> None:
    """For people and journals, on stderr."""
    whose = f"{happened.consumer}: " if happened.consumer else ""
    say.note(f"{happened.what}: {whose}{happened.line}")


def _event(happened: Happened) -> None:
    """For programs, on stdout. The agent goes on when nobody reads its events any more."""
    head = {"schema": "keyturn/events/1", "event": "agent", "time": rfc3339(datetime.now(UTC))}
    try:
        write_json({**head, "what": happened.what, "consumer": happened.consumer or None, "line": happened.line})
    except BrokenPipeError:
        say.unread()
