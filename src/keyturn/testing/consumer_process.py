"""An application process for tests and the demo: works nonstop on `keyturn.client`, and counts.

    python -m keyturn.testing.consumer_process --client FILE --log FILE [--table NAME]

It knows only what any application knows: its client file. One thread logs in afresh through the
handle, another one queries through a live pool. The log gets a JSON line every 0.2 s and a last one
on SIGTERM or SIGINT; all counts are since the start:

    {"pid": 1, "version": "…", "stale": false, "final": false, "logins": {"ok": 9, "refused_first": 0,
     "failed": 0}, "queries": {"ok": 30, "failed": 0}, "errors": {}, "slowest_ms": 12}

`refused_first`: log-ins that were turned down with what the handle gave, and worked after one
re-read (the contract of a consumer allows that); `failed`: those that did not.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg_pool import ConnectionPool

from keyturn.client import Handle, Secrets
from keyturn.client.adapters.psycopg_pool import live_pool
from keyturn.core.errors import KeyturnError

LOG_EVERY = 0.2


class Counts:
    """What has happened since the start; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._slowest = 0.0

    def add(self, what: str, error: BaseException | None = None, seconds: float = 0.0) -> None:
        """Count one; an error by class and SQLSTATE, never by its words."""
        with self._lock:
            self._counts[what] += 1
            self._slowest = max(self._slowest, seconds)
            if error is not None:
                state = getattr(error, "sqlstate", None)
                self._errors[type(error).__name__ + (f" {state}" if state else "")] += 1

    def line(self) -> dict[str, object]:
        """All counts, JSON-able."""
        with self._lock:
            logins = {key: self._counts[f"login {key}"] for key in ("ok", "refused_first", "failed")}
            queries = {key: self._counts[f"query {key}"] for key in ("ok", "failed")}
            slowest = round(self._slowest * 1000)
            return {"logins": logins, "queries": queries, "errors": dict(self._errors), "slowest_ms": slowest}


class Work:
    """The application: two threads that work until `ending` is set."""

    def __init__(
        self,
        secrets: Secrets,
        name: str,
        pool: ConnectionPool[Connection[Any]],
        use: sql.Composed,
        parameters: dict[str, Any],
    ) -> None:
        self.counts = Counts()
        self.ending = threading.Event()
        self._secrets = secrets
        self._handle: Handle = secrets[name]
        self._pool = pool
        self._use = use
        self._parameters = parameters

    def log_in(self) -> None:
        """One fresh log-in as the contract of a consumer says: re-read once if it is turned down."""
        try:
            self._fresh()
        except psycopg.OperationalError as refused:
            self._again(refused)
        else:
            self.counts.add("login ok")

    def _again(self, refused: psycopg.OperationalError) -> None:
        try:
            self._secrets.refresh()
            self._fresh()
        except (psycopg.Error, KeyturnError) as error:
            self.counts.add("login failed", error)
        else:
            self.counts.add("login refused_first", refused)

    def _fresh(self) -> None:
        with psycopg.connect(self._handle.reveal(), connect_timeout=10, **self._parameters) as connection:
            connection.execute(self._use)

    def query(self) -> None:
        """One statement through the pool."""
        started = time.monotonic()
        try:
            with self._pool.connection() as connection:
                connection.execute(self._use)
        except psycopg.Error as error:
            self.counts.add("query failed", error, time.monotonic() - started)
        else:
            self.counts.add("query ok", seconds=time.monotonic() - started)

    def repeat(self, what: Callable[[], None], pause: float) -> threading.Thread:
        """Do it with that pause between, in a thread, until the end."""

        def run() -> None:
            while not self.ending.wait(pause):
                try:
                    what()
                except KeyturnError as error:
                    self.counts.add(f"{what.__name__.replace('log_in', 'login')} failed", error)

        thread = threading.Thread(target=run, name=what.__name__)
        thread.start()
        return thread

    def line(self, *, final: bool) -> str:
        """What goes to the log."""
        try:
            standing: dict[str, object] = {"version": self._handle.version, "stale": self._handle.stale}
        except KeyturnError as error:
            standing = {"version": None, "stale": True, "reason": type(error).__name__}
        return json.dumps({"pid": os.getpid(), "final": final, **standing, **self.counts.line()}) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="consumer_process", description="An application that works and counts.")
    parser.add_argument("--client", required=True, help="its keyturn.client.json")
    parser.add_argument("--log", required=True, help="gets JSON lines; made anew")
    parser.add_argument("--name", default="database-url", help="published name of the connection string")
    parser.add_argument("--table", help="a table that the application reads")
    parser.add_argument("--login-every", type=float, default=0.04, help="seconds between fresh log-ins")
    parser.add_argument("--query-every", type=float, default=0.02, help="seconds between pooled queries")
    parser.add_argument("--pool-size", type=int, default=2)
    parser.add_argument("--pooled", action="store_true", help="prepare no statements: another pooler is in between")
    return parser.parse_args()


def main() -> int:
    """Run until SIGTERM or SIGINT; 0 when everything was done and counted, 3 when it could not start."""
    arguments = _arguments()
    table = sql.Identifier(*arguments.table.split(".")) if arguments.table else None
    use = sql.SQL("SELECT * FROM {} LIMIT 1").format(table) if table else sql.Composed([sql.SQL("SELECT 1")])
    ending = threading.Event()
    for ended_by in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ended_by, lambda *_: ending.set())
    try:
        with Secrets.open(arguments.client) as secrets:
            size = arguments.pool_size
            parameters = {"prepare_threshold": None} if arguments.pooled else {}
            check = lambda connection: connection.execute(use)  # noqa: E731 - one line is clearer here
            pool = live_pool(secrets, arguments.name, check=check, kwargs=parameters, min_size=size, max_size=size)
            with pool:
                _work(Work(secrets, arguments.name, pool, use, parameters), arguments, ending)
    except KeyturnError as error:
        sys.stderr.write(f"{error.message}\n{error.remedy}\n")
        return error.exit_status
    return 0


def _work(work: Work, arguments: argparse.Namespace, ending: threading.Event) -> None:
    threads = [work.repeat(work.log_in, arguments.login_every), work.repeat(work.query, arguments.query_every)]
    with Path(arguments.log).open("w", encoding="utf-8", buffering=1) as log:
        while not ending.wait(LOG_EVERY):
            log.write(work.line(final=False))
        work.ending.set()
        for thread in threads:
            thread.join()
        log.write(work.line(final=True))


if __name__ == "__main__":
    sys.exit(main())
