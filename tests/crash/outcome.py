"""The figures of a run: as JSON, as lines for a script, and as the page of docs/reliability.md.

`python -m tests.crash.outcome` writes the page anew from tests/crash/results.json.
"""

import json
import os
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg import pq

import keyturn
from keyturn.testing.postgres_server import binaries
from tests.crash import table
from tests.crash.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests" / "crash" / "results.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- figures: written by python -m tests.crash.outcome -->", "<!-- end of figures -->"
COMMAND = "make crash"


def figures(whole: Ledger, missing: str) -> dict[str, Any]:
    """Everything that is said of a run."""
    calls = whole.calls
    faults = tuple(fault for fault in table.FAULTS if not (missing and fault in table.SYSCALLS))
    return {
        "schema": "keyturn/crash/1",
        "date": datetime.now(UTC).date().isoformat(),
        "complete": not table.empty(whole.cells, faults),
        "kills": whole.kills,
        "logins": whole.logins,
        "unanswered": whole.lost,
        "rotations": whole.rotations,
        "violations": whole.violations,
        "slowest_recovery_s": round(whole.slowest, 1),
        "syscalls": calls["found"],
        "injected": calls["injected"],
        "skipped": {key.removeprefix("skipped "): n for key, n in calls.items() if key.startswith("skipped ")},
        "ends": dict(sorted(whole.ends.items())),
        "vault": dict(sorted(whole.vault.items())),
        "faults": list(faults),
        "cells": dict(sorted(whole.cells.items())),
        "missing": f"crash-syscalls({missing})" if missing else "",
        "note": "",
        "versions": _versions(),
        "machine": f"{os.cpu_count()} cores, Linux {platform.machine()}",
        "hours": round(whole.seconds / 3600, 2),
    }


def lines(said: dict[str, Any]) -> Iterator[str]:
    """The table, then the figures; the last line is for a script."""
    faults = tuple(said["faults"])
    yield " " * 24 + "".join(f"{fault:>20}" for fault in faults)
    for step, phase, counts in table.rows(said["cells"], faults):
        yield f"{step:15} {phase:8}" + "".join(f"{count:>20}" for count in counts)
    empty, size = len(table.empty(said["cells"], faults)), table.size(faults)
    yield f"cells={size - empty} of {size}, rotations={said['rotations']} slowest={said['slowest_recovery_s']}s"
    skipped = ",".join(f"{count}({why})" for why, count in said["skipped"].items())
    yield f"syscalls={said['syscalls']} injected={said['injected']} skipped={skipped or 0}"
    if vault := _of_vault(said):
        yield vault
    if said["missing"]:
        yield f"missing={said['missing']}"
    yield f"kills={said['kills']} violations={len(said['violations'])} logins={said['logins']}"


def _of_vault(said: dict[str, Any]) -> str:
    """What a Key Vault was asked, and how that went wrong; empty where there was none."""
    wrong = {what: count for what, count in said.get("vault", {}).items() if what != "requests"}
    if not wrong:
        return ""
    kinds = ", ".join(f"{count:,} ({what})" for what, count in wrong.items())
    return f"{said['vault']['requests']:,} requests to Key Vault, {sum(wrong.values()):,} of which went wrong: {kinds}."


def page(said: dict[str, Any]) -> str:
    """The part of docs/reliability.md that a run writes."""
    faults = tuple(said["faults"])
    empty, size = len(table.empty(said["cells"], faults)), table.size(faults)
    skipped = ", ".join(f"{count} ({why})" for why, count in said["skipped"].items()) or "none"
    done = (
        f"{said['date']}, `{COMMAND}`: **{said['kills']:,} kills, {said['logins']:,} log-ins of contract consumers, "
        f"{len(said['violations'])} violations** in {said['rotations']:,} rotations and {said['hours']} h; "
        f"{size - empty} of {size} cells of the table filled; slowest recovery {said['slowest_recovery_s']} s."
    )
    head = [
        done if said["complete"] else f"{done} **This run was cut off: not every cell was met.**",
        *(["", said["note"]] if said["note"] else []),
        "",
        f"{said['syscalls']} system calls found, {said['injected']} kills and errors injected; skipped: {skipped}.",
        *(["", vault] if (vault := _of_vault(said)) else []),
        "",
        f"{said['machine']}; " + ", ".join(f"{name} {version}" for name, version in said["versions"].items()) + ".",
        "",
        "| step | phase | " + " | ".join(faults) + " |",
        "| --- | --- |" + " ---: |" * len(faults),
    ]
    body = [f"| {step} | {phase} | {' | '.join(counts)} |" for step, phase, counts in table.rows(said["cells"], faults)]
    ends = ["", "How rotations and looks ended: " + ", ".join(f"{how} {n:,}" for how, n in said["ends"].items()) + "."]
    return "\n".join([BEGIN, "", *head, *body, *ends, "", END])


def with_figures(text: str, said: dict[str, Any]) -> str:
    """The page with its figures replaced."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + page(said) + after


def _versions() -> dict[str, str]:
    server = subprocess.run([binaries() / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "keyturn": keyturn.__version__,
        "Python": platform.python_version(),
        "PostgreSQL": server.split()[2],
        "libpq": str(pq.version()),
        "SQLite": sqlite3.sqlite_version,
    }


def main() -> int:
    """Write the page from the results that are kept."""
    PAGE.write_text(with_figures(PAGE.read_text(), json.loads(RESULTS.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
