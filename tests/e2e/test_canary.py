"""No value leaves but to the store, the target and the consumer; and the search that says so can see."""

import base64
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import pytest
from psycopg import sql

import keyturn
from keyturn.core.secret import Bundle
from keyturn.journal.audit import records
from keyturn.system.postgres import Session
from keyturn.system.scram import verifier
from keyturn.testing.installation import ADMIN_NAME, SECRET_NAME, Installation, Pace
from keyturn.testing.postgres_server import PostgresServer
from keyturn.wiring import state_of
from tests.e2e.canary import Known, Seen, Watch, argv, environments, files, forms
from tests.e2e.speak import HEAD

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = Path(keyturn.__file__).resolve().parent
PACE = Pace(overlap="0s", max_stale="500ms", connect_timeout="1s")
SECONDS = 90.0
LOOKS_ON = (
    ("status",),
    ("status", SECRET_NAME),
    ("list",),
    ("get", SECRET_NAME),
    ("get", "database-url"),
    ("get", ADMIN_NAME),
    ("plan",),
    ("history", SECRET_NAME),
    ("audit", "show"),
    ("doctor",),
)
SHOWN = (
    ('return f"SecretValue({MASK})"', "return self._text"),
    ("return MASK", "return self._text"),
    ("return format(MASK, spec)", "return format(self._text, spec)"),
)
"""What makes a value show itself: the three places of core/secret.py that put a mask in its place."""

WAYS = 18
"""In at least so many ways a value that shows itself must be caught."""


def canary() -> str:
    """A password with every character that some encoding changes."""
    return f"K/+%&=?#@: <a>\"b'\\c${{d}}{token_hex(16)}"


@dataclass(slots=True)
class Stage:
    """An installation, the command on it, and everything that was said and seen."""

    installation: Installation
    source: Path = PACKAGE.parent
    said: list[tuple[str, bytes]] = field(default_factory=list, repr=False)
    values: dict[str, str | bytes] = field(default_factory=dict, repr=False)

    @property
    def temporary(self) -> Path:
        """Where the commands put their temporary files."""
        return self.installation.folder / "tmp"

    @property
    def environment(self) -> dict[str, str]:
        """Of every command: debugging is on, and the package is the one of `source`."""
        more = {"KEYTURN_DEBUG": "1", "TMPDIR": str(self.temporary), "PYTHONPATH": f"{self.source}{os.pathsep}{ROOT}"}
        plain = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
        return {**plain, **more, "PYTHONDONTWRITEBYTECODE": "1"}

    def keyturn(self, *words: str, stdin: bytes = b"") -> int:
        """Run the command; its exit status."""
        return self.python("-m", "keyturn", "--manifest", str(self.installation.manifest_path), *words, stdin=stdin)

    def python(self, *words: str, stdin: bytes = b"") -> int:
        """Run Python on the package of `source`, keep what it says, and give its exit status."""
        done = subprocess.run(
            [sys.executable, *words],
            input=stdin,
            capture_output=True,
            cwd=self.installation.folder,
            env=self.environment,
            timeout=SECONDS,
            check=False,
        )
        name = " ".join(words[-2:])
        self.said += [(f"stdout of {name}", done.stdout), (f"stderr of {name}", done.stderr)]
        return done.returncode

    def look_on(self) -> None:
        """All commands that only look, in both forms, one after the other in one process."""
        manifest = ["--manifest", str(self.installation.manifest_path)]
        lines = [[*manifest, *words, *form] for words in LOOKS_ON for form in ((), ("--json",))]
        assert self.python("-c", f"from keyturn.cli.main import run; print([run(line) for line in {lines!r}])") == 0
        ends = json.loads(self.said[-2][1].splitlines()[-1])
        assert len(ends) == len(lines)
        assert set(ends) <= {0, 1}, self.said[-2:]  # `doctor` may have findings

    def learn(self, secret: str) -> None:
        """Keep all parts of the current version, to be looked for."""
        assembly = self.installation.assembly()
        try:
            bundle = assembly.bundle(secret)
            version = assembly.store(secret).current(secret)
            self._keep(f"{secret} {version}", bundle)
            self.values |= {
                f"{name} of {version}": text
                for name, view in assembly.published(secret, bundle).items()
                for text in [_text(view.reveal())]
            }
        finally:
            assembly.close()

    def _keep(self, name: str, bundle: Bundle) -> None:
        self.values[f"password of {name}"] = _text(bundle["password"].reveal())
        self.values[f"proof key of {name}"] = _text(bundle.proof_key.reveal())
        self.values[f"proof key of {name} as bytes"] = bytes.fromhex(bundle.proof_key.reveal())


def _text(text: str) -> str:
    """The value under a name: what is looked for has to be kept."""
    return text


@pytest.fixture
def stage(tmp_path: Path, postgres: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A prepared installation; the admin's password is a canary that came through the command line, by stdin."""
    dbname = f"canary{len(request.node.name)}"
    with Installation(tmp_path, postgres, processes=2, pace=PACE, dbname=dbname) as installation:
        stage = Stage(installation)
        stage.temporary.mkdir(mode=0o700)
        installation.prepare()
        bring_admin(stage)
        installation.provision()
        stage.learn(SECRET_NAME)
        yield stage


def bring_admin(stage: Stage) -> None:
    """Change the admin's password at the target, as a person would, and tell Keyturn by `set`."""
    name, password = f"{stage.installation.dbname}_admin", canary()
    check = sql.Literal(verifier(Bundle({"password": password})["password"]))
    stage.installation.postgres.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), check))
    path = stage.installation.folder / "name"
    path.write_text(name)
    words = ("set", ADMIN_NAME, f"username=@{path}", "password=-", "--json")
    assert stage.keyturn(*words, stdin=password.encode()) == 0, stage.said
    stage.learn(ADMIN_NAME)
    assert stage.values[next(what for what in stage.values if ADMIN_NAME in what)] == password


def activity(session: Session) -> Seen:
    """What the sessions of the server run or ran last."""
    rows = session.execute("SELECT DISTINCT query, application_name FROM pg_stat_activity").fetchall()
    return [("pg_stat_activity", str(part).encode()) for row in rows for part in row]


def lying(stage: Stage) -> Iterator[tuple[str, bytes]]:
    """All that lies in files: Keyturn's, the application's, the server's log. Where values are served is left out."""
    installation = stage.installation
    state = state_of(installation.folder / "state", {})
    yield from files(installation.folder, *bundles(installation), state.key_file)
    yield "server log", installation.postgres.log.read_bytes()


@contextmanager
def write_ahead_log_kept(installation: Installation) -> Iterator[None]:
    """A reader of the journal, so that no writer is the last one, who would clear the write-ahead log away."""
    with closing(sqlite3.connect(state_of(installation.folder / "state", {}).journal)) as reader:
        reader.execute("SELECT * FROM sqlite_master").fetchall()
        yield


def bundles(installation: Installation) -> list[Path]:
    """The directories where the application's values lie, the link to the newest included."""
    return [path for path in installation.run.iterdir() if path.name != "status"]


def key(installation: Installation) -> bytes:
    """The vault's key."""
    return bytes.fromhex(state_of(installation.folder / "state", {}).key_file.read_text())


def test_no_value_leaves_but_to_store_target_and_consumer(stage: Stage) -> None:
    """Through a rotation and all commands with debugging on, no value in any form is in any channel but its own."""
    installation = stage.installation
    with (
        installation.postgres.connect() as session,
        write_ahead_log_kept(installation),
        Watch(argv, environments, lambda: activity(session), lambda: files(stage.temporary)) as watch,
    ):
        assert stage.keyturn("rotate", SECRET_NAME, "--json=events") == 0, stage.said[-1]
        stage.learn(SECRET_NAME)
        stage.look_on()
        during = list(lying(stage))  # while the application runs
    assert not watch.errors
    assert min(watch.rounds) > 10
    assert any(b"rotate" in content for place, content in watch.seen if place.startswith("cmdline"))
    installation.stop_application()
    known = Known({**stage.values, "vault key": key(installation)})
    assert len(stage.values) == 2 * 4 + 3
    assert known.found([*stage.said, *watch.seen, *during, *lying(stage)]) == []
    names = {place.rpartition("/")[2] for place, _ in during}
    assert {"journal.db", "journal.db-wal", "high-water.json", "vault.db", "state-vault.db", "vault.anchor"} <= names
    assert {"state-vault.anchor", "app-0.log", "server log"} <= names
    assert any(place.startswith("state/locks/") for place, _ in during)
    assert any(place.startswith("run/status/") for place, _ in during)
    assert list(stage.temporary.iterdir()) == []


def test_where_values_are_served_nobody_else_may_look(stage: Stage) -> None:
    """The bundle directory is 0700, its files are 0600, and the search does see the values in it."""
    places = bundles(stage.installation)
    real = [path for place in places for path in (place, *place.rglob("*")) if not path.is_symlink()]
    assert {path.stat().st_mode & 0o777 for path in real if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in real if path.is_file()} == {0o600}
    seen = Known(stage.values).found(files(stage.installation.run, stage.installation.run / "status"))
    assert any("password of database" in line and line.endswith("raw") for line in seen)
    assert any("database-url" in line and line.endswith("raw") for line in seen)


def in_a_file(folder: Path, value: bytes) -> Seen:
    """A file among others."""
    (folder / "below").mkdir()
    (folder / "below" / "left").write_bytes(b"before" + value + b"after")
    return files(folder)


def in_a_database(folder: Path, value: bytes) -> Seen:
    """A row of a database of ours, not yet in its main file."""
    with closing(sqlite3.connect(folder / "journal.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE events (bytes BLOB)")
        database.execute("INSERT INTO events VALUES (?)", (b"before" + value,))
        database.commit()
        return list(files(folder))


def in_a_name(folder: Path, value: bytes) -> Seen:
    """An empty file that is named after it."""
    (folder / value.hex()).touch()
    return files(folder)


def by_a_child(look: Callable[[], Seen], words: list[str], environment: dict[str, str]) -> Seen:
    """A process that lives for as long as it takes to see it."""
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", *words]
    with (
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **environment}
        ) as child,
        Watch(look) as watch,
    ):
        assert child.stdout is not None
        child.stdout.readline()
        before = watch.rounds[0]
        while watch.rounds[0] < before + 2 and not watch.errors:
            pass
        child.communicate()
    return watch.seen


CHANNELS: dict[str, Callable[[Path, bytes], Seen]] = {
    "file": in_a_file,
    "database": in_a_database,
    "name of a file": in_a_name,
    "argv": lambda _, value: by_a_child(argv, [f"--password={value.decode()}"], {}),
    "environment": lambda _, value: by_a_child(environments, [], {"PASSWORD": value.decode()}),
}


@pytest.mark.parametrize("channel", CHANNELS)
def test_what_is_planted_in_a_channel_is_found(channel: str, tmp_path: Path) -> None:
    """The same search finds a value in a file, a write-ahead log, a name, a child's arguments and environment."""
    known = Known({"planted": canary()})
    assert known.found(CHANNELS[channel](tmp_path, token_hex(20).encode())) == []
    other = tmp_path / "other"
    other.mkdir()
    planted = token_hex(20)
    found = Known({"planted": planted}).found(CHANNELS[channel](other, planted.encode()))
    assert any("planted" in line for line in found)
    assert not any(planted in line for line in found)


def test_what_the_server_was_told_in_clear_is_found_in_its_log_and_its_sessions(postgres: PostgresServer) -> None:
    """A password in the text of a statement is seen in the log, and in pg_stat_activity while its session lives."""
    planted = token_hex(20)
    with postgres.connect() as session, postgres.connect() as other:
        session.execute(sql.SQL("SELECT {}").format(sql.Literal(planted)))
        known = Known({"planted": planted})
        assert "pg_stat_activity: planted, raw" in known.found(activity(other))
    assert "server log: planted, raw" in known.found([("server log", postgres.log.read_bytes())])


@pytest.mark.parametrize("number", range(len(forms(canary()))))
def test_every_form_of_a_value_is_found(number: int) -> None:
    """Wherever it stands in the text, and broken into lines where the form is base64."""
    value = canary()
    name, form = forms(value)[number]
    known = Known({"planted": value})
    for text in (form, b"x" + form, b"xy" + form + b"z"):
        assert f"here: planted, {name}" in known.found([("here", text)])
    assert known.found([("here", b"x" * 1000)]) == []


@pytest.mark.parametrize("before", range(4))
def test_base64_of_a_longer_text_is_found(before: int) -> None:
    """At each of the three offsets, in both alphabets, and in lines of 76 characters."""
    value = canary()
    text = b"a" * before + value.encode() + b"more"
    for encode, name in ((base64.b64encode, "base64"), (base64.urlsafe_b64encode, "base64url")):
        assert f"here: planted, {name}" in Known({"planted": value}).found([("here", encode(text))])
    assert Known({"planted": value}).found([("here", base64.encodebytes(text))])
    assert Known({"planted": value}).found([("here", quote(text).encode())])


def without_redaction(folder: Path) -> Path:
    """A copy of the package whose values show themselves."""
    shutil.copytree(PACKAGE, folder / "keyturn", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "keyturn" / "core" / "secret.py"
    text = path.read_text()
    for mask, shown in SHOWN:
        assert text.count(mask) == 1, mask
        text = text.replace(mask, shown)
    path.write_text(text)
    return folder


def ways(output: bytes, known: Known) -> list[str]:
    """The ways of `speak` in which something of a value was written."""
    parts = output.decode().split(HEAD)[1:]
    return [name for name, _, said in (part.partition("\n") for part in parts) if known.found([(name, said.encode())])]


def test_a_build_without_redaction_is_caught(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same commands, and a script that writes values in all ways, are caught with a package whose values show."""
    known = Known(stage.values)
    words = ("-m", "tests.e2e.speak", str(stage.installation.manifest_path), str(stage.installation.client_path))
    caught: dict[Path, Any] = {}
    for source in (PACKAGE.parent, without_redaction(tmp_path_factory.mktemp("open"))):
        stage.source, stage.said = source, []
        assert stage.python("-c", "import keyturn; print(keyturn.__file__)") == 0
        assert stage.said[0][1].decode().startswith(f"{source}/")
        assert stage.python(*words) == 0, stage.said[-1]
        output = stage.said[-2][1]
        stage.look_on()
        caught[source] = ways(output, known), known.found(stage.said)
        assert output.decode().count(HEAD) > WAYS
    (masked, nowhere), (open_ways, everywhere) = caught.values()
    assert (masked, nowhere) == ([], [])
    assert len(open_ways) >= WAYS
    assert any("password of database" in line for line in everywhere)


def test_a_revealed_value_is_found_in_what_the_command_says(stage: Stage) -> None:
    """The one command that prints a value is caught by the search, and the journal knows why it was printed."""
    reason = "to see whether the search sees"
    assert stage.keyturn("get", f"{SECRET_NAME}.password", "--reveal", "--reason", reason) == 0
    found = Known(stage.values).found(stage.said)
    assert any(line.startswith("stdout") and "password of database" in line for line in found)
    assert not any(line.startswith("stderr") for line in found)
    journal = state_of(stage.installation.folder / "state", {}).journal
    assert any(record.data.get("reason") == reason for record in records(journal, SECRET_NAME))
