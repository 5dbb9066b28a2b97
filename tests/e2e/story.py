"""What an installation goes through in a year, in short: adopted, rotated, backed up, recovered, looked at, broken."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from sqlite3 import connect as open_sqlite

from psycopg import sql

from keyturn.core.secret import Bundle
from keyturn.system.postgres import Session, connect
from keyturn.system.scram import verifier
from keyturn.testing.installation import ADMIN_NAME, SECRET_NAME, TABLE
from keyturn.testing.postgres_server import SUPERUSER
from keyturn.wiring import state_of
from tests.e2e import tracing
from tests.e2e.canary import Seen, Watch, argv, environments, files
from tests.e2e.stage import SECONDS, TOLD, Stage, bring_admin, canary, key, pool_login

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
    ("audit", "verify"),
    ("audit", "checkpoint"),
    ("doctor",),
    ("tick",),
    ("vault", "slots"),
)
PASSPHRASE = "correct horse & battery"
ERRORS = "errors provoked on purpose"


def live(stage: Stage, more: Callable[[Stage], None] = lambda _: None) -> None:
    """All of it, once, and `more` at the end; every process, session and temporary file is watched meanwhile."""
    with (
        stage.hosts.primary.connect() as primary,
        stage.hosts.replica.connect() as replica,
        console(stage) as pooler,
        Watch(
            argv,
            environments,
            lambda: files(stage.temporary),
            lambda: activity(primary, replica),
        ) as watch,
    ):
        adopt(stage)
        begin(stage)
        rotate(stage)
        stage.channels.add("pgbouncer: SHOW at its console", shown(pooler))
        with write_ahead_log_kept(stage):
            keep(stage)
            let_in(stage)
            look_on(stage)
            stage.channels.add("journal", among(stage, "journal"))
    stage.installation.stop_application()
    break_it(stage)
    more(stage)
    gather(stage, watch)


def adopt(stage: Stage) -> None:
    """A database in use: its old role has a canary for a password; a person runs the script."""
    installation, server = stage.installation, stage.hosts.primary
    name = f"{installation.dbname}_old"
    old = Bundle({"username": name, "password": canary()})
    stage.know("password of the adopted role", old["password"].reveal())
    role, check = sql.Identifier(name), sql.Literal(verifier(old["password"]))
    server.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, check))
    server.execute(
        sql.SQL("CREATE TABLE {} (id bigserial PRIMARY KEY, name text NOT NULL)").format(sql.Identifier(TABLE)),
        sql.SQL("ALTER TABLE {} OWNER TO {}").format(sql.Identifier(TABLE), role),
        dbname=installation.dbname,
    )
    bring_admin(stage)
    path = stage.folder / "adopt.sql"
    from_role = ("--from", name)
    place = replace(server.server(installation.dbname), application="the old one")
    with connect(place, old) as session:
        session.deadline = float("inf")
        assert stage.keyturn("adopt", SECRET_NAME, *from_role, "--output", str(path)) == 0, stage.said("adopt")
        assert stage.keyturn("adopt", SECRET_NAME, *from_role, "--json") == 0, stage.said("adopt")
    stage.channels.add("adopt: its script", [(path.name, path.read_bytes())])
    psql(stage, path)
    assert stage.keyturn("adopt", SECRET_NAME, "--verify", "--json") == 0, stage.said("--verify")


def psql(stage: Stage, path: Path) -> None:
    """A person runs a script as the superuser, who is not Keyturn's: the password is in a file of that person."""
    server = stage.hosts.primary
    passfile = stage.folder.parent / f"{stage.folder.name}.pgpass"
    passfile.touch(mode=0o600)
    with passfile.open("w") as line:
        line.write("*:*:*:*:")
        line.write(server.superuser["password"].reveal())
    place = f"host={server.host} port={server.port} user={SUPERUSER} sslmode=verify-ca"
    place += f" dbname={stage.installation.dbname} sslrootcert={server.ca_file} passfile={passfile}"
    status = stage.run(
        ["psql", "-X", "-a", "-e", "-d", place, "-f", str(path)], ("psql",), channel="adopt: psql runs it"
    )
    passfile.unlink()
    assert status == 0, stage.said("psql")


def begin(stage: Stage) -> None:
    """The first version, the application, and a first night."""
    assert stage.keyturn("provision", SECRET_NAME, "--json") == 0, stage.said("provision")
    stage.learn(SECRET_NAME)
    stage.start_application()
    run_job(stage)


def run_job(stage: Stage) -> None:
    """One run of the nightly job under the wrapper; it writes down what it was given."""
    program = stage.folder / "job"
    program.write_text(TOLD)
    program.chmod(0o700)
    client = stage.client("nightly", stage.folder / "nightly-status")
    words = ("-m", "keyturn.client.job", "--config", str(client), "--", str(program))
    assert stage.run([tracing.PYTHON, *words], words[:2], channel="job: what wrapper and program said") == 0


def rotate(stage: Stage) -> None:
    """One rotation under strace, where that is allowed; the job runs when it has got the new version."""
    words = ("rotate", SECRET_NAME, "--json=events")
    before = index(stage)
    trace = stage.folder.parent / f"{stage.folder.name}.strace"
    out, err = stage.folder.parent / "rotate.out", stage.folder.parent / "rotate.err"
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen(
            [*tracing.prefix(trace), *stage.command(*words)],
            stdin=subprocess.DEVNULL,
            stdout=to_out,
            stderr=to_err,
            cwd=stage.folder,
            env=stage.environment,
        )
    with process:
        wait_until(lambda: index(stage) != before or process.poll() is not None)
        if process.poll() is None:
            stage.core_limit = limits(process.pid)
            run_job(stage)
        process.wait(SECONDS)
    stage.heard(words, out.read_bytes(), err.read_bytes())
    assert process.returncode == 0, stage.said("rotate")
    stage.learn(SECRET_NAME)
    if trace.exists():
        served = (stage.installation.run, stage.folder / "state")
        for channel, seen in tracing.channels(trace, served).items():
            stage.channels.add(channel, seen)


def index(stage: Stage) -> bytes:
    """What lies for the nightly job."""
    found = [path.read_bytes() for path in sorted((stage.installation.run / "nightly").glob("index.json"))]
    return b"".join(found)


def limits(pid: int) -> bytes:
    """The line on core files of a running process or of the one that it runs (proc(5))."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    last = children[-1] if children else pid
    return b"\n".join(line for line in Path(f"/proc/{last}/limits").read_bytes().splitlines() if b"core file" in line)


def keep(stage: Stage) -> None:
    """A backup, looked into with the key file and with a probe; a tick, and a checkpoint outside."""
    path = stage.folder / "kept.backup"
    check = ("restore", str(path), "--check", "--probe", "--json")
    stage.all(("backup", str(path), "--json"), check, ("tick", "--json"))
    stage.channels.add("backup: its file", [(path.name, path.read_bytes())])


def let_in(stage: Stage) -> None:
    """A passphrase, a recovery code and a second key file; the recovery code opens the backup, too."""
    own_keys(stage)
    stage.know("vault key", key(stage.installation))
    stage.know("vault key in hex", key(stage.installation).hex())
    stage.know("passphrase", PASSPHRASE)
    code, second = stage.folder.parent / "code", stage.folder.parent / "second.key"
    assert stage.keyturn("vault", "add-passphrase", "alice", "-", stdin=PASSPHRASE.encode()) == 0, stage.said("alice")
    path = stage.folder / "second.backup"
    stage.all(
        ("vault", "add-recovery", "paper", "--recovery-file", str(code)),
        ("vault", "add-key-file", "second", str(second)),
        ("backup", str(path)),
        ("restore", str(path), "--check", "--recovery", f"@{code}"),
        ("vault", "remove", "second"),
    )
    stage.know("recovery code", code.read_text().strip())
    stage.know("recovery code without its dashes", code.read_text().strip().replace("-", ""))
    stage.know("second key", bytes.fromhex(second.read_text()))
    state_of(stage.folder / "state", {}).key_file.unlink()
    words = ("vault", "recover", "--passphrase", "-")
    assert stage.keyturn(*words, stdin=PASSPHRASE.encode()) == 0, stage.said("recover")
    stage.know("new vault key", key(stage.installation))
    stage.channels.add("backup: its file", [(path.name, path.read_bytes())])


def own_keys(stage: Stage) -> None:
    """Keyturn's own: what signs checkpoints, and what makes fingerprints, if it was used."""
    with closing(stage.installation.assembly()) as assembly:
        vault = assembly.self_vault
        for name in vault.names():
            for field, value in vault.read(name, vault.current(name) or "").items():
                stage.know(f"{field} of {name}", value.reveal())
                stage.know(f"{field} of {name} as bytes", bytes.fromhex(value.reveal()))


def look_on(stage: Stage) -> None:
    """All commands that only look, in both forms, one after the other in one process."""
    for form in ((), ("--json",)):
        stage.all(*((*words, *form) for words in LOOKS_ON))


def break_it(stage: Stage) -> None:
    """Everything that can fail, with values in its hands."""
    wrong = canary()
    stage.know("a wrong passphrase", wrong)
    bad: list[str] = []
    for number, text in enumerate((f"{wrong}\0", f"{wrong}\n\n{wrong}", f"\x1b{wrong}", wrong)):
        path = stage.folder.parent / f"bad-{number}"
        path.write_text(text)
        bad.append(f"@{path}")
    shutil.copy(stage.folder / "kept.backup", stage.folder / "torn.backup")
    with (stage.folder / "torn.backup").open("r+b") as torn:
        torn.truncate(100_000)
    stage.none(
        ERRORS,
        *(("set", ADMIN_NAME, "username=@name", f"password={one}") for one in bad[:3]),
        ("set", ADMIN_NAME, "username=@name", f"password={wrong}"),
        ("vault", "recover", "--passphrase", bad[3]),
        ("vault", "recover", bad[3]),
        ("restore", str(stage.folder / "torn.backup"), "--check"),
        ("restore", str(stage.folder / "kept.backup"), "--check", "--recovery", bad[3]),
    )
    script = ("-m", "tests.e2e.errors", str(stage.installation.manifest_path), str(stage.folder))
    assert stage.run([tracing.PYTHON, *script], script[:2], channel=ERRORS) == 0, stage.said("tests.e2e.errors")
    server, role = stage.hosts.primary, sql.Identifier(f"{stage.installation.dbname}_admin")
    server.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(role))
    stage.none(ERRORS, *((command, SECRET_NAME, "--json") for command in ("rotate", "provision", "adopt")))
    server.execute(sql.SQL("ALTER ROLE {} LOGIN").format(role))


def gather(stage: Stage, watch: Watch) -> None:
    """What lies where at the end, and what was seen meanwhile."""
    assert not watch.errors, watch.errors
    assert min(watch.rounds) > 5, watch.rounds
    for look, start in (("argv of every process", "cmdline"), ("environment of every child", "environ")):
        stage.channels.add(look, [one for one in watch.seen if one[0].startswith(start)])
    stage.channels.add("pg_stat_activity of both hosts", [one for one in watch.seen if one[0] == "pg_stat_activity"])
    places = ("cmdline", "environ", "pg_stat_activity")
    stage.channels.add(
        "temporary files, while they were there",
        [one for one in watch.seen if not one[0].startswith(places)],
    )
    for name in ("journal", "vaults", "state", "status", "logs", "reload", "job", "checkpoints", "rest"):
        stage.channels.add(NAMES[name], among(stage, name))
    for name, seen in at_the_servers(stage).items():
        stage.channels.add(name, seen)
    stage.channels.add("checkpoints: syslog", [("message", one) for one in stage.syslog.messages])


NAMES = {
    "journal": "journal",
    "vaults": "vaults, anchors, slot tables",
    "state": "state directory: the rest",
    "status": "status directories",
    "logs": "logs of the application at DEBUG",
    "reload": "files: argv, environment, output of reload and confirm",
    "job": "job: argv and environment of its program",
    "checkpoints": "checkpoints: file",
    "rest": "manifest and all other files",
}


def among(stage: Stage, what: str) -> Seen:
    """The files of one kind, and their names. Where values are served, and the key, are no channel."""
    folder, run = stage.folder, stage.installation.run
    served = [path for path in run.iterdir() if path.name != "status" and not path.name.endswith("-output")]
    state = state_of(folder / "state", {})
    kept = files(folder, *served, state.key_file, stage.temporary)
    return [one for one in kept if _kind(one[0]) == what]


KINDS = (
    ("journal", re.compile(r"journal\.db")),
    ("vaults", re.compile(r"vault\.db|\.anchor$")),
    ("reload", re.compile(r"(reload|confirm)\.heard$|reload-output$")),
    ("job", re.compile(r"^job\.heard$")),
    ("status", re.compile(r"status")),
    ("logs", re.compile(r"^app-")),
    ("checkpoints", re.compile(r"outside|^checkpoints$")),
    ("state", re.compile(r"^state")),
)
"""The first that fits the name; all others are the rest."""


def _kind(place: str) -> str:
    name = place.removeprefix("name of ")
    return next((kind for kind, pattern in KINDS if pattern.search(name)), "rest")


def at_the_servers(stage: Stage) -> dict[str, Seen]:
    """Logs, statistics, catalogues and the write-ahead log of the target, its replica and its pooler."""
    primary, replica = stage.hosts.primary, stage.hosts.replica
    with primary.connect() as session:
        statements = session.execute("SELECT DISTINCT query FROM pg_stat_statements").fetchall()
        comments = session.execute(
            "SELECT description FROM pg_shdescription UNION "
            "SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting"
        ).fetchall()
        session.execute("CHECKPOINT")
    return {
        "PostgreSQL: log, debug5 and all statements": [("server log", once(primary.log))],
        "PostgreSQL: log of the replica": [("log of the replica", once(replica.log))],
        "PostgreSQL: pg_stat_statements": [("pg_stat_statements", str(row[0]).encode()) for row in statements],
        "PostgreSQL: comments and settings": [("comments", str(row[0]).encode()) for row in comments],
        "PostgreSQL: write-ahead log": files(primary.data / "pg_wal"),
        "pgbouncer: log at verbose=5": [("log of pgbouncer", stage.pool.log.read_bytes())],
        "wire: what was sent to PostgreSQL, without TLS": [("sent", stage.wire.sent)],
        "wire: what PostgreSQL answered": [("answered", stage.wire.answered)],
    }


def once(log: Path) -> bytes:
    """Each line of a log once."""
    return b"\n".join(dict.fromkeys(log.read_bytes().splitlines()))


def activity(*sessions: Session) -> Seen:
    """What the sessions of the servers run or ran last, and what they are called."""
    rows = [
        row
        for session in sessions
        for row in session.execute("SELECT DISTINCT query, application_name FROM pg_stat_activity").fetchall()
    ]
    return [("pg_stat_activity", str(part).encode()) for row in rows for part in row]


@contextmanager
def console(stage: Stage) -> Iterator[Session]:
    """A session at the pooler's own console."""
    place = replace(stage.pool.server(), dbname="pgbouncer", sslmode="verify-full")
    with connect(place, Bundle(pool_login(stage.pool))) as session:
        session.deadline = float("inf")
        yield session


def shown(console: Session) -> Iterator[tuple[str, bytes]]:
    """All that the console shows."""
    for what in ("CLIENTS", "SERVERS", "POOLS", "DATABASES", "USERS", "CONFIG", "STATS", "SOCKETS"):
        rows = console.execute(sql.SQL("SHOW {}").format(sql.SQL(what))).fetchall()
        yield f"SHOW {what}", repr(rows).encode()


@contextmanager
def write_ahead_log_kept(stage: Stage) -> Iterator[None]:
    """A reader of the journal, so that no writer is the last one, who would clear the write-ahead log away."""
    with closing(open_sqlite(state_of(stage.folder / "state", {}).journal)) as reader:
        reader.execute("SELECT * FROM sqlite_master").fetchall()
        yield


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for it; the test fails when it does not come."""
    until = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.02)
