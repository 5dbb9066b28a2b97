"""`make bench`: every measurement, one line for each figure, and all of them in `bench/results.json`.

The last line is for scripts: `bench figures=N goals=N missed=NAME,...`. A goal that is missed is said with its
figure and ends with status 0: a slow or busy machine is no fault of the code. With `--strict` it ends with 1.
"""

import argparse
import json
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from bench import (
    at_size,
    client_cold,
    client_herd,
    client_import,
    client_mixed,
    client_read,
    journal_writes,
    run,
    start_up,
    vault_read,
)
from bench.measure import Figure
from keyturn import __version__

BENCHES: Mapping[str, Callable[[Path], list[Figure]]] = {
    "journal_writes": journal_writes.measure,
    "vault_read": vault_read.measure,
    "start_up": start_up.measure,
    "run": run.measure,
    "at_size": at_size.measure,
    "client_read": client_read.measure,
    "client_import": client_import.measure,
    "client_mixed": client_mixed.measure,
    "client_cold": client_cold.measure,
    "client_herd": client_herd.measure,
}
RESULTS = Path(__file__).parent / "results.json"
MIB = 1 << 20


def machine() -> dict[str, object]:
    """What sort of machine this is, and what was measured with what."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "memory_mib": memory // MIB,
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "keyturn": __version__,
        **{name: version(name) for name in ("cryptography", "pyrage", "pydantic", "typer")},
    }


def as_json(figure: Figure) -> dict[str, object]:
    """A figure as it is kept."""
    kept: dict[str, object] = {
        "value": float(f"{figure.value:.4g}"),
        "unit": figure.unit,
        "rounds": figure.rounds,
        "spread": round(figure.spread, 3),
    }
    if figure.goal is not None:
        kept |= {"goal": str(figure.goal), "met": figure.goal.met(figure.value)}
    return kept


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 where a goal is missed and `--strict` was asked for."""
    parser = argparse.ArgumentParser(description="Measure against named peers.")
    parser.add_argument(
        "benches", nargs="*", help=f"of {', '.join(BENCHES)}; default: all, and results.json is written"
    )
    parser.add_argument("--scratch", type=Path, default=None, help="where to measure; default: the temporary folder")
    parser.add_argument("--strict", action="store_true", help="a missed goal is a failure")
    given = parser.parse_args(arguments)
    about, figures = machine(), list[Figure]()
    with tempfile.TemporaryDirectory(prefix="keyturn-bench-", dir=given.scratch) as scratch:
        for name in given.benches or BENCHES:
            for figure in BENCHES[name](Path(scratch)):
                print(figure.line(), flush=True)
                figures.append(figure)
    if not given.benches:
        document = {"machine": about, "figures": {figure.name: as_json(figure) for figure in figures}}
        RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    goals = [figure for figure in figures if figure.goal is not None]
    missed = [figure.name for figure in goals if figure.goal is not None and not figure.goal.met(figure.value)]
    print(f"bench figures={len(figures)} goals={len(goals)} missed={','.join(missed)}")
    return 1 if missed and given.strict else 0


if __name__ == "__main__":
    sys.exit(main())
