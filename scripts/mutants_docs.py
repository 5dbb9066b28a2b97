"""Write docs/mutants.md from the headers of the patches in tests/mutants."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.mutants import IN_MAKE_TEST, LANES, Mutant, read
from scripts.run_tests import ROOT

PAGE = Path("docs/mutants.md")
_CHANGED = re.compile(r"^\+\+\+ b/src/keyturn/(\S+)", re.MULTILINE)

_HEAD = """# Seeded bugs

<!-- made from tests/mutants by `python -m scripts.mutants_docs` -->

A test that has never failed shows little. Here are {number} bugs, each a patch in [tests/mutants](../tests/mutants),
and the one test that must find each. `make mutants` copies the checkout {lanes} times. In a copy, for each bug: it sees
the named test pass, puts the bug in, and sees that test fail. Failing is what counts: a test that cannot be
collected or set up, or that runs out of time, has found nothing. A patch that no longer applies is red, so whoever
changes the code moves the bug along. The last line is `mutants={number} killed={number}`.

`make test` looks that all {number} patches apply, and tries {sample} of those whose tests need no server,
always the same ones.

The rules of a rotation have more of them, as switches of the model instead of patches:
[tests/model/bugs.py](../tests/model/bugs.py).
"""


def page(mutants: Sequence[Mutant]) -> str:
    """The whole document."""
    rooms: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        rooms.setdefault(_place(mutant), []).append(mutant)
    parts = [_HEAD.format(number=len(mutants), lanes=LANES, sample=IN_MAKE_TEST)]
    parts += [_section(place, found) for place, found in sorted(rooms.items())]
    return "\n".join(parts)


def _place(mutant: Mutant) -> str:
    """The room that it is in, and of an adapter its kind."""
    changed = _CHANGED.search(mutant.patch.read_text(encoding="utf-8"))
    folders = Path(changed[1]).parent.parts if changed else ()
    return "/".join(folders[:2]) or "elsewhere"


def _section(place: str, mutants: Sequence[Mutant]) -> str:
    rows = [
        f"| {_cell(one.bug)} | {_cell(one.harm)} | `{one.test.removeprefix('tests/')}` | "
        f"`python -m scripts.mutants {one.name}` |"
        for one in mutants
    ]
    head = ["| bug | in production | found by `tests/`… | seen again by |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {place}", "", *head, *rows, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the page anew; the tests say when that is due."""
    (ROOT / PAGE).write_text(page(read(ROOT / "tests" / "mutants")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
