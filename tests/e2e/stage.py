"""An installation with every part that this version has, the command on it, and everything that was said and seen."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

import pytest
from psycopg import sql

import keyturn
from keyturn.core.secret import Bundle
from keyturn.journal.checkpoint import pin_of
from keyturn.leaks.encodings import ENCODINGS
from keyturn.stores.local.self_keys import SelfKeys
from keyturn.system.scram import verifier
from keyturn.testing.installation import ADMIN_NAME, TABLE, Installation, Pace
from keyturn.testing.pgbouncer import PgBouncer
from keyturn.testing.postgres_replica import REPLICATION_HBA, PostgresReplica
from keyturn.testing.postgres_server import PostgresServer
from keyturn.wiring import state_of
from tests.e2e import tracing
from tests.e2e.canary import Channels, Known
from tests.e2e.syslog_receiver import Receiver
from tests.e2e.wire import Wire

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = Path(keyturn.__file__).resolve().parent
PACE = Pace(overlap="0s", max_stale="300ms", connect_timeout="1s")
SECONDS = 90.0
REFUSED = 5
"""Exit status: by policy."""
LOUD = {
    "log_statement": "all",
    "log_min_messages": "debug5",
    "log_min_error_statement": "debug5",
    "log_error_verbosity": "verbose",
    "log_parameter_max_length_on_error": "-1",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_replication_commands": "on",
    "log_line_prefix": "",
    "debug_print_parse": "on",
    "unix_socket_directories": ".",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "all",
}
"""PostgreSQL says all that it can say; without a time in each line, what it repeats is the same line."""

SITE = """
import logging, sys, traceback
logging.basicConfig(level=logging.DEBUG)
logging.getLogger("canary").debug("this process logs at DEBUG")
"""
"""A sitecustomize.py: every Python process below logs all that anybody says."""

TOLD = """#!/bin/sh
{ tr '\\0' '\\n' < /proc/$$/cmdline; tr '\\0' '\\n' < /proc/$$/environ; } >> "$0.heard"
echo "told of $KEYTURN_SECRET $KEYTURN_VERSION"
sleep 0.15
"""
"""A program that writes down its own arguments and environment, and lives long enough to be seen from outside."""

MORE = """
[consumers.web]
kind = "files"
bundle_dir = "{run}/web"
env_file = "web.env"
reload = ["{folder}/reload"]
confirm = ["{folder}/confirm"]
proof = "claimed"
max_stale = "300ms"

[consumers.worker]
kind = "files"
bundle_dir = "{run}/worker"
signal = {{ pidfile = "{folder}/worker.pid", name = "WINCH" }}
grace = "100ms"
max_stale = "300ms"

[consumers.nightly]
kind = "job"
bundle_dir = "{run}/nightly"
status_dir = "{folder}/nightly-status"
longest_run = "500ms"
max_stale = "300ms"

[keyturn.checkpoints]
key = "{pin}"

[keyturn.checkpoints.targets.mount]
kind = "file"
path = "{folder}/outside/checkpoints"

[keyturn.checkpoints.targets.log]
kind = "syslog"
address = "udp:127.0.0.1:{syslog}"
"""


def canary() -> str:
    """A password with every character that some encoding changes."""
    return f"K/+%&=?#@: <a>\"b'\\c${{d}}{token_hex(16)}"


@dataclass(frozen=True, slots=True)
class Hosts:
    """A server that says all it can, and its replica."""

    primary: PostgresServer
    replica: PostgresReplica


@contextmanager
def hosts() -> Iterator[Hosts]:
    """Both, for as long as the block lasts."""
    lines = (*REPLICATION_HBA, "local all all scram-sha-256")
    with PostgresServer(LOUD, hba=lines) as primary, PostgresReplica(primary) as replica:
        primary.execute("CREATE EXTENSION pg_stat_statements")
        yield Hosts(primary, replica)


@dataclass(slots=True)
class Stage:
    """All of it. `source` is where the package comes from that every process of ours runs."""

    installation: Installation
    hosts: Hosts
    wire: Wire
    pool: PgBouncer
    syslog: Receiver
    source: Path = PACKAGE.parent
    channels: Channels = field(default_factory=Channels, repr=False)
    values: dict[str, str | bytes] = field(default_factory=dict, repr=False)
    core_limit: bytes = b""

    @property
    def folder(self) -> Path:
        """Everything of Keyturn and of its consumers lies below it."""
        return self.installation.folder

    @property
    def temporary(self) -> Path:
        """Where the commands put their temporary files."""
        return self.folder / "tmp"

    @property
    def environment(self) -> dict[str, str]:
        """Of every process: debugging is on, and the package is the one of `source`."""
        paths = (str(self.source), str(self.folder / "python"), str(ROOT))
        more = {"KEYTURN_DEBUG": "1", "TMPDIR": str(self.temporary), "PYTHONPATH": os.pathsep.join(paths)}
        plain = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
        return {**plain, **more, "PYTHONDONTWRITEBYTECODE": "1"}

    def command(self, *words: str) -> list[str]:
        """The words of a process of the command."""
        return [sys.executable, "-m", "keyturn", "--manifest", str(self.installation.manifest_path), *words]

    def keyturn(self, *words: str, stdin: bytes = b"", channel: str | None = None) -> int:
        """Run the command, keep what it says, and give its exit status."""
        return self.run(self.command(*words), words, stdin=stdin, channel=channel)

    def all(self, *lines: tuple[str, ...]) -> None:
        """Run commands one after the other in one process; each may end with 0, or with 1 for findings."""
        form = ("--json",) if all("--json" in line for line in lines) else ()
        self._several(lines, "max(ends) > 1", (lines[0][0], "and others", *form))

    def none(self, channel: str, *lines: tuple[str, ...]) -> None:
        """The same with commands that all have to fail."""
        self._several(lines, "min(ends) < 2", (lines[0][0], "all fail"), channel)

    def _several(
        self, lines: tuple[tuple[str, ...], ...], bad: str, words: tuple[str, ...], channel: str | None = None
    ) -> None:
        manifest = ["--manifest", str(self.installation.manifest_path)]
        path = self.folder.parent / "several"
        path.write_text(json.dumps([[*manifest, *line] for line in lines]))
        script = "import json, sys; from keyturn.cli.main import run; lines = json.load(open(sys.argv[1])); "
        script += f"ends = [run(line) for line in lines]; sys.stderr.write(f'{{ends}}\\n'); sys.exit({bad})"
        assert self.run([sys.executable, "-c", script, str(path)], words, channel=channel) == 0, self.said(words[0])

    def run(self, argv: list[str], words: tuple[str, ...], *, stdin: bytes = b"", channel: str | None = None) -> int:
        """Run a program, keep what it says under a channel, and give its exit status."""
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=self.environment,
            timeout=SECONDS,
            check=False,
        )
        self.heard(words, done.stdout, done.stderr, channel)
        return done.returncode

    def heard(self, words: tuple[str, ...], out: bytes, err: bytes, channel: str | None = None) -> None:
        """Keep what a command said."""
        name = " ".join(words)
        form = "--json=events" if "--json=events" in words else "--json" if "--json" in words else "for people"
        self.channels.add(channel or f"stdout of keyturn, {form}", [(name, out)])
        self.channels.add(channel or "stderr and logging at DEBUG", [(name, err)])

    def said(self, name: str) -> bytes:
        """What was said last under such a name: for the message of a failed test."""
        said = b"\n".join(c for one in self.channels for place, c in self.channels[one] if name in place)
        leaks = Known(self.values).names(said)
        return f"it said {sorted(leaks)}".encode() if leaks else said[-2000:]

    def learn(self, secret: str) -> None:
        """Keep all parts of the current version, to be looked for."""
        with closing(self.installation.assembly()) as assembly:
            bundle = assembly.bundle(secret)
            version = assembly.store(secret).current(secret)
            self._keep(f"{secret} {version}", bundle)
            for name, view in assembly.published(secret, bundle).items():
                self.know(f"{name} of {version}", view.reveal())

    def know(self, what: str, value: str | bytes) -> None:
        """Keep a value, to be looked for."""
        self.values[what] = value

    def _keep(self, name: str, bundle: Bundle) -> None:
        self.know(f"password of {name}", bundle["password"].reveal())
        self.know(f"proof key of {name}", bundle.proof_key.reveal())
        self.know(f"proof key of {name} as bytes", bytes.fromhex(bundle.proof_key.reveal()))

    def client(self, name: str, status: Path) -> Path:
        """A client file for a consumer's bundle directory."""
        path = self.folder / f"{name}.client.json"
        text = self.installation.client_path.read_text()
        text = text.replace(str(self.installation.run / "bundle"), str(self.installation.run / name))
        path.write_text(text.replace(str(self.installation.run / "status"), str(status)))
        return path

    def start_application(self) -> None:
        """One process of the application, which logs at DEBUG, too."""
        installation = self.installation
        words = ["-m", "keyturn.testing.consumer_process", "--client", str(installation.client_path), "--pooled"]
        words += ["--log", str(self.folder / "app-0.log"), "--table", TABLE, "--login-every", "0.3"]
        with (self.folder / "app-0.err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, *words], stdin=subprocess.DEVNULL, stderr=err, env=self.environment
            )
        installation.processes.append(process)


@contextmanager
def staged(folder: Path, hosts: Hosts, dbname: str, source: Path = PACKAGE.parent) -> Iterator[Stage]:
    """An installation with a replica, a pooler, four consumers and two places for checkpoints; nothing provisioned."""
    with ExitStack() as stack:
        wire = stack.enter_context(Wire(hosts.primary))
        receiver = stack.enter_context(Receiver())
        made = Installation(folder, hosts.primary, processes=1, pace=PACE, dbname=dbname, port=wire.port)
        stack.enter_context(made)
        made.prepare()
        pool = stack.enter_context(PgBouncer(hosts.primary, dbname, socket=hosts.primary.data))
        loud(pool)
        stage = Stage(made, hosts, wire, pool, receiver, source)
        furnish(stage)
        yield stage


def loud(pool: PgBouncer) -> None:
    """Have the pooler say all it can, and let its own user look at its console."""
    path = pool.directory / "pgbouncer.ini"
    pool.stop()
    (pool.directory / "pid").unlink(missing_ok=True)  # of one that was killed; it may be empty, which would be refused
    path.write_text(path.read_text() + f"verbose = 5\nadmin_users = {pool_login(pool)['username']}\n")
    pool.start()


def pool_login(pool: PgBouncer) -> Mapping[str, str]:
    """Name and password in its userlist.txt."""
    _, name, _, password, _ = (pool.directory / "userlist.txt").read_text().split('"')
    return {"username": name, "password": password}


def furnish(stage: Stage) -> None:
    """The rest of the manifest, the programs it names, and a canary for the admin's password."""
    installation, folder = stage.installation, stage.folder
    for name in ("tmp", "python", "outside", "nightly-status"):
        (folder / name).mkdir(mode=0o700)
    (folder / "python" / "sitecustomize.py").write_text(SITE)
    for name in ("reload", "confirm"):
        (folder / name).write_text(TOLD)
        (folder / name).chmod(0o700)
    (folder / "worker.pid").write_text(f"{os.getpid()}\n")
    (folder / "worker.pid").chmod(0o600)
    text = installation.manifest_path.read_text()
    for old, new in replacements(stage).items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    with closing(installation.assembly()) as assembly:
        pin = pin_of(SelfKeys(assembly.self_vault).checkpoint_public_key())
    more = MORE.format(run=installation.run, folder=folder, pin=pin, syslog=stage.syslog.port)
    installation.manifest_path.write_text(text + more)


def replacements(stage: Stage) -> dict[str, str]:
    """What the manifest of an installation lacks: the replica, the pooler, the other consumers."""
    wire, pool, primary = stage.wire, stage.pool, stage.hosts.primary
    host, end = f'["{primary.host}:{wire.port}"]', 'connect_timeout = "1s" }'
    pooler = f'pooler = {{ hosts = ["{pool.host}:{pool.port}"], mode = "{pool.mode}", addresses = ["{pool.address}"], '
    pooler += f'sslrootcert = "{primary.ca_file}", release_idle = true }} }}'
    return {
        f"hosts = {host}": f'hosts = ["{primary.host}:{wire.port}", "{primary.host}:{stage.hosts.replica.port}"]',
        end: end.removesuffix(" }") + ", " + pooler,
        'consumers = ["clo-api"]': 'consumers = ["clo-api", "web", "worker", "nightly"]',
    }


def bring_admin(stage: Stage) -> None:
    """Change the admin's password at the target, as a person would, and tell Keyturn by `import` and by `set`."""
    name, password = f"{stage.installation.dbname}_admin", canary()
    role, check = sql.Identifier(name), sql.Literal(verifier(Bundle({"password": password})["password"]))
    server = stage.hosts.primary
    server.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, check),
        sql.SQL("GRANT pg_signal_backend TO {}").format(role),
        sql.SQL("GRANT SELECT ON pg_catalog.pg_hba_file_rules TO {}").format(role),
        sql.SQL("GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO {}").format(role),
        dbname=stage.installation.dbname,
    )
    import_admin(stage, name, password)
    path = stage.folder / "name"
    path.write_text(name)
    words = ("set", ADMIN_NAME, f"username=@{path}", "password=-", "--json")
    assert stage.keyturn(*words, stdin=password.encode()) == 0, stage.said("set")
    stage.learn(ADMIN_NAME)
    assert password in stage.values.values()


def import_admin(stage: Stage, name: str, password: str) -> None:
    """The same out of secret files that are a person's own: planned, refused for lack of a word, and taken in."""
    path = stage.folder.parent / f"{stage.folder.name}.secrets"
    path.mkdir(mode=0o700)
    for part, text in (("username", name), ("password", password)):
        (path / f"postgres_admin_{part}").write_text(text)
    assert stage.keyturn("import", str(path), "--plan") == 0, stage.said("import")
    assert stage.keyturn("import", str(path), "--json") == REFUSED, stage.said("import")
    assert stage.keyturn("import", str(path), "--replace") == 0, stage.said("import")
    shutil.rmtree(path)


SERVED = ("bundle", "web", "worker", "nightly")
"""Where values lie by right, below the folder `run`."""

CHANNELS = 32
"""Ways out that this version has, beside those that strace sees."""


def channels() -> int:
    """How many channels there are on this machine."""
    return CHANNELS + len(tracing.CHANNELS) * tracing.possible()


def show(capsys: pytest.CaptureFixture[str], title: str, stage: Stage, hits: Mapping[str, list[str]]) -> None:
    """Print the table past pytest's capture, so that every run says what was looked at."""
    with capsys.disabled():
        sys.stdout.write(f"\ncanary, {title}: {len(stage.values)} values, {len(ENCODINGS)} encodings\n")
        sys.stdout.write(f"{stage.channels.table(hits)}\n")
        missing = "" if tracing.possible() else f"{len(tracing.CHANNELS)} of strace (ptrace)"
        sys.stdout.write(f"channels={len(hits)} hits={sum(map(len, hits.values()))} missing={missing}\n")


def key(installation: Installation) -> bytes:
    """The vault's key."""
    return bytes.fromhex(state_of(installation.folder / "state", {}).key_file.read_text())
