"""A process of an application whose credential has one slot: refused, it reads again until it is let in.

    python -m tests.live.postgres.healing_client --client FILE --log FILE

One session is opened at the start and used until the end; beside it a fresh log-in every 10 ms. A line
of JSON when that session stands, one for each log-in whose first try was refused, and one on SIGTERM with the counts:

    {"up": true}
    {"at": 1764000000.0, "healed_ms": 41}
    {"logins": 900, "refused_first": 1, "never": 0, "session": true}

`at` is the moment just before the value was read (seconds since the epoch), `never` how many log-ins
were not let in within `HEAL` seconds, `session` whether the one from the start still works.
"""

import argparse
import json
import signal
import threading
import time
from pathlib import Path
from typing import TextIO

import psycopg

from keyturn.client import Secrets
from keyturn.core.errors import KeyturnError

HEAL = 5.0
EVERY = 0.01


class Client:
    """Logs in again and again, and counts."""

    def __init__(self, secrets: Secrets, log: TextIO) -> None:
        self._secrets, self._handle, self._log = secrets, secrets["database-url"], log
        self._kept = self._connect()
        self.logins = self.refused_first = self.never = 0
        self._say({"up": True})

    def log_in(self) -> None:
        """One log-in; turned down, it heals by reading again."""
        self.logins += 1
        at = time.time()
        try:
            self._connect().close()
        except psycopg.OperationalError:
            self.refused_first += 1
            healed = self._heal()
            self.never += not healed
            self._say({"at": at, "healed_ms": round((time.time() - at) * 1000)})

    def end(self) -> None:
        """Say the counts."""
        with self._kept:
            lives = self._kept.execute("SELECT 1").fetchone() == (1,)
        counts = {"logins": self.logins, "refused_first": self.refused_first, "never": self.never}
        self._say({**counts, "session": lives})

    def _heal(self) -> bool:
        until = time.monotonic() + HEAL
        while time.monotonic() < until:
            try:
                self._secrets.refresh()
                self._connect().close()
            except (psycopg.OperationalError, KeyturnError):
                time.sleep(EVERY)
            else:
                return True
        return False

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._handle.reveal(), connect_timeout=5)

    def _say(self, what: dict[str, object]) -> None:
        self._log.write(json.dumps(what) + "\n")


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="healing_client")
    parser.add_argument("--client", required=True)
    parser.add_argument("--log", required=True)
    arguments = parser.parse_args()
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    with Path(arguments.log).open("w", buffering=1) as log, Secrets.open(arguments.client) as secrets:
        client = Client(secrets, log)
        while not ending.wait(EVERY):
            client.log_in()
        client.end()


if __name__ == "__main__":
    main()
