"""An installation whose target has one role, with an application that heals by reading again."""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from keyturn.journal.record import Record
from keyturn.testing.installation import SECRET_NAME, Installation

ROOT = Path(__file__).resolve().parents[3]
UP_SECONDS = 30.0
DYING = """
import os, signal, sys
from pathlib import Path
from keyturn.manifest import load
from keyturn.wiring import Assembly

where, method, when = sys.argv[2:]


class Dying:
    def __init__(self, part):
        self._part = part

    def __getattr__(self, name):
        found = getattr(self._part, name)
        return self._around(found) if name == method else found

    def _around(self, found):
        def dying(*args, **kwargs):
            if when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            found(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)

        return dying


assembly = Assembly(load(Path(sys.argv[1])), around=lambda room, part: Dying(part) if room == where else part)
engine = assembly.engine("database")
engine.begin("test")
engine.advance(60)
"""
"""Rotates, and ends itself with SIGKILL just before or just after one call of one part."""


class Single(Installation):
    """As `Installation`, with only the first of the two roles declared."""

    def prepare(self) -> None:
        """State, manifest, database; the manifest names one role."""
        super().prepare()
        text = self.manifest_path.read_text()
        two = f'roles = ["{self.roles[0]}", "{self.roles[1]}"]'
        assert two in text
        self.manifest_path.write_text(text.replace(two, f'roles = ["{self.roles[0]}"]'))

    def start_application(self, more: Iterable[str] = ()) -> None:
        """Processes that heal."""
        for number in range(len(self.processes), self.expected):
            command = [sys.executable, "-m", "tests.live.postgres.healing_client", *more]
            command += ["--client", str(self.client_path), "--log", str(self.folder / f"app-{number}.log")]
            self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=ROOT))
        until = time.monotonic() + UP_SECONDS
        while sum('"up"' in log.read_text() for log in self.logs) < self.expected:
            assert time.monotonic() < until, "the application did not start"
            time.sleep(0.02)

    def said(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """What the application said until it ended: log-ins that were refused first, and the counts."""
        lines = [json.loads(line) for log in self.logs for line in log.read_text().splitlines()]
        return [line for line in lines if "at" in line], [line for line in lines if "logins" in line]

    def records(self) -> Iterator[Record]:
        """The secret's stream."""
        assembly = self.assembly()
        yield from assembly.journal.read(SECRET_NAME)
        assembly.close()

    def die(self, room: str, method: str, when: str) -> int:
        """Rotate in a process that is killed there; how it ended."""
        command = [sys.executable, "-c", DYING, str(self.manifest_path), room, method, when]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode
