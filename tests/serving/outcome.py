"""The figures of a long run: as JSON, as lines for a script, and as part of docs/serving-proof.md.

`python -m tests.serving.outcome` writes the page anew from tests/serving/results.json.
"""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keyturn
from keyturn.testing import nginx_server, redis_server
from keyturn.testing.postgres_server import binaries
from tests.serving.place import PROCESSES, ROOT
from tests.serving.proof import Result, Settings

RESULTS = ROOT / "tests" / "serving" / "results.json"
PAGE = ROOT / "docs" / "serving-proof.md"
BEGIN, END = "<!-- figures: written by python -m tests.serving.outcome -->", "<!-- end of figures -->"
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
LIBRARIES = ("fastapi", "uvicorn", "psycopg", "psycopg-pool", "redis", "PyJWT")


def figures(settings: Settings, users: int, result: Result) -> dict[str, Any]:
    """Everything that is said of a run."""
    said = result.tally
    return {
        "schema": "keyturn/serving-proof/1",
        "date": datetime.now(UTC).date().isoformat(),
        "command": f"make serving REQUESTS={settings.requests} ROTATIONS={settings.rotations} SEED={settings.seed}",
        "processes": PROCESSES,
        "users": users,
        "rotations": result.rotations,
        "requests": said.requests,
        "failed": said.failed + said.wrong,
        "logged_out": said.logged_out,
        "how": dict(sorted(said.how.items())),
        "lost": said.lost,
        "resent": said.resent,
        "acknowledged": sum(said.acknowledged.values()),
        "violations": result.violations,
        "minutes": round(result.seconds / 60, 1),
        "slowest_rotation_s": round(result.slowest_rotation, 1),
        "ms": {
            phase: {"requests": len(ms), **{name: said.percentile(part, phase) for name, part in PERCENTILES.items()}}
            for phase, ms in sorted(said.ms.items())
        },
        "p99_ms": said.percentile(0.99),
        "versions": versions(),
        "machine": f"{os.cpu_count()} cores, Linux {platform.machine()}",
    }


def lines(said: dict[str, Any]) -> Iterator[str]:
    """What a person reads before the last line."""
    for phase, ms in said["ms"].items():
        yield f"{phase:16}" + " ".join(f"{name}={value:g}" for name, value in ms.items())
    yield f"lost with the killed process={said['lost']} sent again at the reload={said['resent']}"
    for how, count in said["how"].items():
        yield f"{count} x {how}"
    yield from (f"violation: {line}" for line in said["violations"])


def page(said: dict[str, Any]) -> str:
    """The part of the page that a run writes."""
    head = (
        f"{said['date']}, `{said['command']}`: **{said['rotations']} rotations, {said['requests']:,} requests, "
        f"{said['failed']} failed, {said['logged_out']} users logged out**, {said['acknowledged']:,} writes "
        f"acknowledged and all of them there, {len(said['violations'])} violations; {said['users']} users, "
        f"{said['minutes']:g} minutes, slowest rotation {said['slowest_rotation_s']:g} s."
    )
    faults = (
        f"Not counted as failed: {said['lost']} requests that were in the killed process, "
        f"{said['resent']} sent again when nginx was reloaded."
    )
    table = ["| phase | requests | p50 ms | p95 ms | p99 ms | max ms |", "| --- |" + " ---: |" * 5]
    table += [
        f"| {phase} | " + " | ".join(f"{value:,}" for value in ms.values()) + " |" for phase, ms in said["ms"].items()
    ]
    made = f"{said['machine']}; " + ", ".join(f"{name} {number}" for name, number in said["versions"].items()) + "."
    return "\n".join([BEGIN, "", head, "", faults, "", *table, "", made, "", END])


def with_figures(text: str, said: dict[str, Any]) -> str:
    """The page with its figures replaced."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + page(said) + after


def versions() -> dict[str, str]:
    """Of all that took part."""
    servers = {
        "PostgreSQL": [str(binaries() / "postgres"), "--version"],
        "Redis": [redis_server.program(), "--version"],
        "nginx": [nginx_server.program(), "-v"],
    }
    return {
        "keyturn": keyturn.__version__,
        "Python": platform.python_version(),
        **{name: _version(command) for name, command in servers.items()},
        **{name: version(name) for name in LIBRARIES},
    }


def _version(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"\d+(?:\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "unknown"


def keep(said: dict[str, Any], results: Path) -> None:
    """Write the figures."""
    results.write_text(json.dumps(said, indent=1) + "\n")


def main() -> int:
    """Write the page from the results that are kept."""
    PAGE.write_text(with_figures(PAGE.read_text(), json.loads(RESULTS.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
