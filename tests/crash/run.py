"""`python -m tests.crash.run --kills N`: kill a rotating process N times, at every point in turn.

The last line is for scripts: `kills=N violations=N logins=N`. Exit status 1 with a violation.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keyturn.testing.installation import Installation, Pace
from keyturn.testing.postgres_server import PostgresServer
from tests.crash.harness import Harness

KILLS_PER_ROTATION = 10
FAST = Pace(overlap="0s", max_stale="300ms", connect_timeout="500ms")
LOAD = ("--login-every", "0.1", "--query-every", "0.1")
"""What each process of the application does: 10 fresh log-ins and 10 queries in a second."""


def schedule(points: list[str], kills: int, seed: int) -> Iterator[list[str]]:
    """Points for one rotation after another: each list ascends, and all lists together cover all points.

    With fewer kills than points, a seeded part; with more, the points again.
    """
    draw = random.Random(seed)  # noqa: S311 - which points come first, not a secret
    left = kills
    while left > 0:
        stride = max(1, -(-len(points) // KILLS_PER_ROTATION))
        starts = list(range(stride))
        draw.shuffle(starts)
        for start in starts:
            chosen = points[start::stride][:left]
            if not chosen:
                return
            yield chosen
            left -= len(chosen)


def main() -> int:
    """Run, print progress to stderr and the figures to stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="keyturn-crash-") as folder,
        PostgresServer() as postgres,
        Installation(Path(folder), postgres, pace=FAST) as installation,
    ):
        installation.prepare()
        installation.provision(LOAD)
        return run(Harness(installation, tell), arguments.kills, arguments.seed)


def run(harness: Harness, kills: int, seed: int) -> int:
    """Kill as often as asked, then print the figures; 1 with a violation."""
    points = harness.points()
    missed = [plan for plans in schedule(points, kills, seed) for plan in harness.rotate_through(plans)]
    for plan in missed:  # a kill before it had let the rotation go another way: once more, alone
        for again in harness.rotate_through([plan]):
            tell(f"not reached: {again}")
    harness.installation.stop_application()
    tally = harness.tally
    for violation in (*tally.violations, *harness.failed_requests()):
        tell(f"violation: {violation}")
    print(f"points={len(points)} covered={len(tally.covered)} rotations={tally.rotations}")
    print(f"kills={tally.kills} violations={len(tally.violations)} logins={harness.logins()}")
    return 1 if tally.violations else 0


def tell(line: str) -> None:
    """Progress goes to stderr."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
