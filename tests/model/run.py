"""The figures of the model: `python -m tests.model.run [--long] [--trace NAME]`; status 1 if anything is off."""

import sys
import time
from argparse import ArgumentParser

from .bugs import BUGS, LONG, SHORT, Bug, Searched, searched


def _whole(setting: Searched) -> bool:
    began = time.process_time()
    result = searched(setting)
    print(f"{result.line()} ({time.process_time() - began:.1f} s of processor time)", flush=True)
    if result.law:
        print(*result.trace, sep="\n")
    return not result.law


def _found(bug: Bug, traced: str) -> bool:
    result = searched(bug.setting)
    found = bool(result.law) and result.law.startswith(bug.law)
    by = f"found by law {result.law} in {len(result.trace)} lines" if result.law else "NOT FOUND"
    other = "" if found else f" (should be law {bug.law})"
    print(f"seeded fault: {bug.setting.name}: {by}{other}", flush=True)
    if bug.setting.name == traced:
        print(*result.trace, sep="\n")
    return found


def main() -> int:
    """Search everything, then each seeded fault."""
    parser = ArgumentParser(description="Search the rotation machine exhaustively within bounds.")
    parser.add_argument("--long", action="store_true", help="search farther: minutes, and some gigabytes")
    parser.add_argument("--trace", default="", metavar="NAME", help="print the counterexample of this seeded fault")
    options = parser.parse_args()
    whole = [_whole(setting) for setting in (*SHORT, *(LONG if options.long else ()))]
    found = [_found(bug, options.trace) for bug in BUGS]
    print(f"searches={len(whole)} broken={whole.count(False)} faults={len(found)} found={found.count(True)}")
    return 0 if all(whole) and all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
