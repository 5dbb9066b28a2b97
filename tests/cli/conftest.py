"""The real command; what it says is kept, for the canary at the end."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from psycopg import sql

from keyturn.cli.main import run
from keyturn.testing.installation import TABLE, Installation, Pace
from keyturn.testing.postgres_server import PostgresServer

SECONDS = 60.0
PLAIN = {"NO_COLOR": "1", "COLUMNS": "100", "TERM": "dumb", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Said:
    """How one command ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The last line of stdout, which is the envelope."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


def schema(name: str) -> Any:
    """A committed schema."""
    return json.loads(files("keyturn.cli").joinpath("schemas", f"{name}.json").read_text())


def check(document: dict[str, Any]) -> dict[str, Any]:
    """The document, if it is of the schema that it names."""
    name = document["schema"].split("/")[1]
    jsonschema.validate(document, schema(name))
    return document


@dataclass(slots=True)
class Keyturn:
    """`keyturn` with a manifest, in a folder."""

    folder: Path
    manifest: Path | None = None
    heard: list[str] = field(default_factory=list)

    def command(self, *words: str | Path) -> list[str]:
        """The words of the process."""
        chosen = ["--manifest", str(self.manifest)] if self.manifest else []
        return [sys.executable, "-m", "keyturn", *chosen, *map(str, words)]

    def environment(self, **more: str) -> dict[str, str]:
        """This process's, without our own names in it."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
        return {**plain, **PLAIN, **more}

    def __call__(self, *words: str | Path, stdin: bytes = b"", **more: str) -> Said:
        """Run it to its end: in this process, unless the environment shall differ."""
        if not more:
            return self._here(*words, stdin=stdin)
        done = subprocess.run(
            self.command(*words),
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=self.environment(**more),
            timeout=SECONDS,
            check=False,
        )
        return self.ended(done.returncode, done.stdout, done.stderr)

    def _here(self, *words: str | Path, stdin: bytes) -> Said:
        out, err, before = io.StringIO(), io.StringIO(), sys.stdin
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
        try:
            with contextlib.chdir(self.folder), redirect_stdout(out), redirect_stderr(err):
                status = run(self.command(*words)[3:])
        finally:
            sys.stdin = before
        return self.ended(status, out.getvalue().encode(), err.getvalue().encode())

    def ended(self, status: int, out: bytes, err: bytes) -> Said:
        """What it said, which is never a traceback."""
        said = Said(status, out.decode(), err.decode())
        assert "Traceback" not in said.out + said.err
        self.heard += [said.out, said.err]
        return said

    def document(self, *words: str | Path, status: int = 0, **how: Any) -> dict[str, Any]:
        """The envelope of `--json`, after it was held against its schema."""
        said = self(*words, "--json", **how)
        assert said.status == status, said
        return check(said.document)

    def start(self, *words: str | Path) -> "subprocess.Popen[bytes]":
        """Begin it, and do not wait."""
        return subprocess.Popen(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self.environment(),
        )

    def end(self, process: "subprocess.Popen[bytes]") -> Said:
        """Wait for what `start` began."""
        out, err = process.communicate(timeout=SECONDS)
        return self.ended(process.returncode, out, err)


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for it; the test fails when it does not come."""
    until = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.05)


@pytest.fixture
def keyturn(tmp_path: Path) -> Keyturn:
    """The command in an empty folder."""
    return Keyturn(tmp_path)


@pytest.fixture
def begun(keyturn: Keyturn) -> Keyturn:
    """The same after `init`, with one secret that a person changes."""
    said = keyturn("init", "--service", "clo", "--recovery-file", "recovery")
    assert said.status == 0, said
    keyturn.manifest = keyturn.folder / "keyturn.toml"
    declared = (
        '\n[secrets.smtp]\nkind = "manual"\nfields = ["username", "password"]\nowner = "ops@example.com"\n'
        'purpose = "mail"\nused_by = "keyturn"\n'
    )
    keyturn.manifest.write_text(keyturn.manifest.read_text() + declared)
    return keyturn


PACE = Pace(overlap="0s", max_stale="500ms", connect_timeout="1s")


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, request: pytest.FixtureRequest
) -> Iterator[Installation]:
    """A prepared installation with two processes, in a database of its own; nothing is provisioned yet."""
    dbname = f"cli_{request.module.__name__.rpartition('test_')[2]}"
    with Installation(tmp_path_factory.mktemp("clo"), postgres, processes=2, pace=PACE, dbname=dbname) as made:
        made.prepare()
        yield made


def furnish(installation: Installation) -> None:
    """The table that the application works with, then the application."""
    installation.postgres.execute(
        sql.SQL("SET ROLE {}").format(sql.Identifier(installation.owner)),
        sql.SQL("CREATE TABLE {} (id bigserial PRIMARY KEY, name text NOT NULL)").format(sql.Identifier(TABLE)),
        dbname=installation.dbname,
    )
    installation.start_application()


@pytest.fixture(scope="module")
def clo(installation: Installation) -> Keyturn:
    """The command on that installation."""
    return Keyturn(installation.folder, installation.manifest_path)


@contextlib.contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """As the user `nobody`, who can go through the folders of the test and owns nothing. Only root can be another."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *list(folder.parents)[:-2]):
        path.chmod(path.stat().st_mode | 0o011)
    (folder / "keyturn.toml").chmod(0o644)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
