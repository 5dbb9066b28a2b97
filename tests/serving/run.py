"""`python -m tests.serving.run`: a FastAPI service of four processes behind nginx, rotated under its users.

    --requests N --rotations N   how many at least
    --seed N                     of what the users do, and of which rotation is disturbed how

Progress goes to stderr. The last line is for scripts: `rotations=N requests=N failed=N logged_out=N p99_ms=N`.
Exit status 1 when a request failed, a user was logged out, or anything else is not as promised.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.serving import outcome
from tests.serving.proof import Settings, prove
from tests.serving.stage import stage

USERS = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print progress to stderr and the figures to stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--rotations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=160.0, help="requests in a second that the users aim at")
    parser.add_argument("--results", type=Path, help="where the figures go as JSON")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended
    settings = Settings(given.requests, given.rotations, given.seed, given.rate, given.rotations > 1)
    with tempfile.TemporaryDirectory(prefix="keyturn-serving-") as folder:
        Path(folder).chmod(0o711)
        with stage(Path(folder), USERS, deadline="2m") as (place, people):
            result = prove(settings, place, people, tell)
    said = outcome.figures(settings, USERS, result)
    if given.results:
        outcome.keep(said, given.results)
    for line in outcome.lines(said):
        print(line)
    print(result.last_line)
    return 0 if result.passed and result.rotations >= given.rotations else 1


def tell(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
