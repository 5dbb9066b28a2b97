"""Runs the gates and says which ones do not hold.

The last line is for scripts: `gates run=N failed=N`.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.gates.table import GATES

ROOT = Path(__file__).resolve().parents[2]


def main(wanted: Sequence[str]) -> int:
    """Exit status 0 when every gate holds, 2 for a name that is no gate."""
    if unknown := set(wanted) - {gate.name for gate in GATES}:
        print(f"no such gate: {', '.join(sorted(unknown))}; there are {', '.join(gate.name for gate in GATES)}")
        return 2
    gates = [gate for gate in GATES if not wanted or gate.name in wanted]
    failed = 0
    for gate in gates:
        start = time.monotonic()
        problems = gate.problems(ROOT)
        failed += bool(problems)
        print(f"{'FAILS' if problems else 'holds'}  {gate.name:<13} {time.monotonic() - start:6.1f} s", flush=True)
        for problem in problems:
            print(f"       {problem}")
    print(f"gates run={len(gates)} failed={failed}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
