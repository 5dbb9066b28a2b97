"""`python -m tests.crash.load --client FILE --log FILE --port N --dbname NAME --every SECONDS`: log in, nonstop.

A contract consumer that does nothing else: before each log-in it reads the credential through
`keyturn.client`; turned down, it reads once more and tries again, and what its first try met is counted.
It logs in without TLS: the load shall fall on the server's authentication and not on handshakes (the
installation's ordinary application processes do both). The log is as that of
`keyturn.testing.consumer_process`, with `lost` for log-ins that got no answer: a server that is down
says nothing of a credential.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from keyturn.client import Handle, Secrets
from keyturn.core.errors import KeyturnError
from tests.crash.scram_login import LogIns, Lost, Refused

LOG_EVERY = 0.25
NOT_A_CREDENTIAL = ("57P", "08", "53")
"""Starting up, shutting down, out of connections: nothing that a credential is blamed for."""


class Load:
    """The log-ins of one process, and what came of them."""

    def __init__(self, secrets: Secrets, log_ins: LogIns) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self._secrets = secrets
        self._handle: Handle = secrets["database-url"]
        self._log_ins = log_ins

    def log_in(self) -> None:
        """One log-in, and one more with what is read anew if it was turned down."""
        if self._try("ok"):
            return
        self.counts["refused_first"] += 1
        with suppress(KeyturnError):
            self._secrets.refresh()
        if not self._try("healed"):
            self.counts["failed"] += 1

    def line(self) -> str:
        """All counts since the start."""
        logins = {key: self.counts[key] for key in ("ok", "refused_first", "failed", "lost")}
        return json.dumps({"pid": os.getpid(), "logins": logins, "errors": dict(self.errors)}) + "\n"

    def _try(self, counted: str) -> bool:
        try:
            self._once(self._handle.version, self._handle.reveal())
        except Lost as error:
            self.counts["lost"] += 1
            self.errors[f"lost {error}"] += 1
        except (Refused, KeyturnError) as error:
            if str(error).startswith(NOT_A_CREDENTIAL):
                self.counts["lost"] += 1
            else:
                self.errors[f"{type(error).__name__} {error}"] += 1
                return False
        else:
            self.counts[counted] += 1
        return True

    def _once(self, version: str, url: str) -> None:
        parts = urlsplit(url)
        self._log_ins.once(version, unquote(parts.username or ""), unquote(parts.password or ""))


def main() -> int:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dbname", required=True)
    parser.add_argument("--every", type=float, default=0.01)
    arguments = parser.parse_args()
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    os.nice(5)  # the kills come first: the load takes what they leave
    with Secrets.open(arguments.client) as secrets, Path(arguments.log).open("w", buffering=1) as log:
        load = Load(secrets, LogIns(("127.0.0.1", arguments.port), arguments.dbname))
        due = said = time.monotonic()
        while not ending.wait(max(0.0, due - time.monotonic())):
            due = max(due + arguments.every, time.monotonic() - 1.0)
            load.log_in()
            if time.monotonic() - said >= LOG_EVERY:
                said = time.monotonic()
                log.write(load.line())
        log.write(load.line())
    return 0


if __name__ == "__main__":
    sys.exit(main())
