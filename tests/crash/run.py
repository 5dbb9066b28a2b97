"""`python -m tests.crash.run`: a rotation under every fault, by lanes that run side by side.

    --kills N --logins N       how many at least (the long form: every cell, every system call, every error)
    --short N                  instead: a seeded part, N of each fault
    --state FOLDER             where the figures are kept; a run that was cut off continues there

Progress goes to stderr. The last line is for scripts: `kills=N violations=N logins=N`. Exit status 1 with
a violation.
"""

import argparse
import json
import multiprocessing
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path

from keyturn.testing.postgres_server import HBA, PostgresServer
from scripts import emulators
from tests.crash import outcome
from tests.crash.faults import syscalls
from tests.crash.lanes import ENDLESS, LANES, WITHOUT_TLS, Settings, run
from tests.crash.ledger import Ledger

TELL_EVERY = 10.0
LOGINS_PER_KILL = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print progress to stderr and the figures to stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--logins", type=int, help=f"default: {LOGINS_PER_KILL} to a kill")
    parser.add_argument("--short", type=int, help="this many of each fault, and no more")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=0.015, help="seconds between log-ins of a load process")
    parser.add_argument("--state", type=Path)
    parser.add_argument("--results", type=Path, help="where the figures go as JSON")
    parser.add_argument("--fresh", action="store_true", help="forget what is kept in the state folder")
    parser.add_argument("--lane", action="append", choices=LANES, help="only this one; may be repeated")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        state = given.state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keyturn-crash-")))
        if given.fresh:
            shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True, exist_ok=True)
        postgres = stack.enter_context(PostgresServer(fsync=True, hba=(HBA, WITHOUT_TLS)))
        context = multiprocessing.get_context("fork")
        settings = Settings(given.seed, given.short, state, given.every, context.Event())
        for ended_by in (signal.SIGINT, signal.SIGTERM):  # lanes end after their rotation, and the figures are kept
            signal.signal(ended_by, lambda *_: settings.stop.set())
        tell(f"seed={given.seed} state={state}")
        names = [name for name in LANES if name in (given.lane or LANES)]
        missing = syscalls.denied()
        names = [name for name in names if not (missing and name.startswith("syscall"))]
        names = [name for name in names if name != "key-vault-emulators" or emulators.present()]
        lanes = {name: context.Process(target=run, args=(name, settings, postgres), name=name) for name in names}
        watch(lanes, settings, given.kills, given.logins or LOGINS_PER_KILL * given.kills)
        return conclude(lanes, state, missing, given.results)


def watch(lanes: Mapping[str, BaseProcess], settings: Settings, kills: int, logins: int) -> None:
    """Start the lanes, tell how far they are, and stop the endless ones when everything is there."""
    for lane in lanes.values():
        lane.start()
    started, told = time.monotonic(), 0.0
    first = total(lanes, settings.state)
    while any(lane.is_alive() for lane in lanes.values()):
        time.sleep(0.5)
        now = total(lanes, settings.state)
        ending = all(not lane.is_alive() for name, lane in lanes.items() if name not in ENDLESS)
        if settings.quota is None and ending and now.kills >= kills and now.logins >= logins:
            settings.stop.set()
        if time.monotonic() - told >= TELL_EVERY:
            told = time.monotonic()
            passed = told - started
            todo = [(kills - now.kills, now.kills - first.kills), (logins - now.logins, now.logins - first.logins)]
            left = max((passed * missing / max(made, 1) for missing, made in todo), default=0.0)
            alive = ",".join(name for name, lane in lanes.items() if lane.is_alive())
            tell(
                f"{passed:.0f} s: kills={now.kills} logins={now.logins} rotations={now.rotations} "
                f"violations={len(now.violations)} done={len(now.done)}/{now.planned} "
                f"at least {max(left, 0):.0f} s more ({alive})"
            )
    for lane in lanes.values():
        lane.join()


def total(lanes: Mapping[str, BaseProcess], state: Path) -> Ledger:
    """All ledgers together."""
    return Ledger.total(Ledger.read(state / f"{name}.json") for name in lanes)


def conclude(lanes: Mapping[str, BaseProcess], state: Path, missing: str, results: Path | None) -> int:
    """Print the table and the figures; 1 with a violation, a lane that failed, or a long form with an empty cell."""
    whole = total(lanes, state)
    broken = [name for name, lane in lanes.items() if lane.exitcode]
    whole.violations += [f"the lane {name} ended with {lanes[name].exitcode}" for name in broken]
    for violation in whole.violations:
        tell(f"violation: {violation}")
    figures = outcome.figures(whole, missing)
    if results is not None:
        results.write_text(json.dumps(figures, indent=1) + "\n")
    for line in outcome.lines(figures):
        print(line)
    unmet = results is not None and not figures["complete"]
    return 1 if whole.violations or unmet else 0


def tell(line: str) -> None:
    """Progress goes to stderr."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
