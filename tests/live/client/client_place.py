"""A database with two log-in roles, an application that it is delivered to, and processes of that application."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from psycopg import sql

from keyturn.consumers.application import Application
from keyturn.core.compose import compose
from keyturn.core.consumer import Delivery, Observation
from keyturn.core.secret import Bundle
from keyturn.system.scram import verifier
from keyturn.testing.postgres_server import PostgresServer

TEMPLATE = "postgresql://{username}:{password}@{host}:{port}/{dbname}?sslmode=verify-full&sslrootcert={ca}"
_numbers = count(1)


class Database:
    """A database of its own with roles `<name>_a` and `<name>_b`, both members of `<name>_owner`."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.name = f"client{next(_numbers)}"
        self.run(f"CREATE ROLE {self.name}_owner NOLOGIN", f"CREATE DATABASE {self.name} OWNER {self.name}_owner")
        self.bundles = {slot: self._slot(slot) for slot in "ab"}
        self.run(f"SET ROLE {self.name}_owner", "CREATE TABLE deals (id int)", inside=True)

    def run(self, *statements: str, inside: bool = False) -> list[tuple[Any, ...]]:
        """Run statements as the superuser; the rows of the last one."""
        composed = [sql.Composed([sql.SQL(statement)]) for statement in statements]
        return self.server.execute(*composed, dbname=self.name if inside else "postgres")

    def role(self, slot: str) -> str:
        """The role of that slot."""
        return f"{self.name}_{slot}"

    def published(self, bundle: Bundle) -> dict[str, Any]:
        """The views of a bundle."""
        server = self.server
        places = {"host": "localhost", "port": str(server.port), "dbname": self.name, "ca": server.ca_file}
        return {"database-url": compose(TEMPLATE, bundle, places)}

    def sessions(self, slot: str) -> int:
        """How many sessions that role has open."""
        query = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{self.role(slot)}'"  # noqa: S608 - our own name
        return int(self.run(query)[0][0])

    def _slot(self, slot: str) -> Bundle:
        bundle = Bundle({"username": self.role(slot), "password": secrets.token_urlsafe(24)})
        check = sql.Literal(verifier(bundle["password"]))
        role = sql.Identifier(self.role(slot))
        self.server.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, check))
        self.run(f"GRANT {self.name}_owner TO {self.role(slot)}")
        self.run(f"ALTER ROLE {self.role(slot)} IN DATABASE {self.name} SET role = '{self.name}_owner'")
        return bundle


class Place:
    """A delivered application in a directory: deliveries, observations, processes."""

    def __init__(self, home: Path, database: Database, expect: int) -> None:
        self.home = home
        self.database = database
        self.application = Application(
            name="clo-api",
            service="clo",
            environment="test",
            bundle_dir=home / "run" / "bundle",
            status_dir=home / "run" / "status",
            expect=expect,
        )
        self.client_file = home / "keyturn.client.json"
        content = {
            "schema": "keyturn/client/1",
            "source": {"kind": "bundle-dir", "path": str(home / "run" / "bundle")},
            "status_dir": str(home / "run" / "status"),
            "max_stale": "30s",
            "secrets": ["database"],
        }
        self.client_file.write_text(json.dumps(content))
        self._fences = count(1)
        self._processes: list[subprocess.Popen[bytes]] = []

    def deliver(self, slot: str, version: str) -> None:
        """Deliver the credential of that slot as that version."""
        bundle = self.database.bundles[slot]
        published = self.database.published(bundle)
        self.application.deliver(Delivery("database", version, bundle, next(self._fences), published))

    def observe(self) -> Observation:
        """What the application says, with the bundles of both slots as versions v1 and v2."""
        bundles = self.database.bundles
        return self.application.observe("database", {"v1": bundles["a"], "v2": bundles["b"]})

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        """One more process of the application."""
        number = len(self._processes)
        command = [sys.executable, "-m", "keyturn.testing.consumer_process", "--client", str(self.client_file)]
        command += ["--log", str(self.log(number)), "--table", "deals", *more]
        process = subprocess.Popen(command, cwd=self.home, env=dict(os.environ))
        self._processes.append(process)
        return process

    def log(self, number: int) -> Path:
        """The log of a process, by the order in which they were started."""
        return self.home / f"log-{number}.json"

    def stop(self) -> list[dict[str, Any]]:
        """End all processes; the last line of each one's log."""
        for process in self._processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self._processes:
            assert process.wait(30) == 0
        logs = [self.log(number).read_text().splitlines() for number in range(len(self._processes))]
        self._processes.clear()
        return [json.loads(lines[-1]) for lines in logs]

    def kill(self) -> None:
        """End what still runs."""
        for process in self._processes:
            process.kill()
            process.wait()


def until(seen: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until it is so; fail when it never is."""
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.05)
