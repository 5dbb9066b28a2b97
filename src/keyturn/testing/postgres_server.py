"""A private PostgreSQL for tests and the demo: own directory, own port on loopback, TLS and SCRAM only."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString, Self

from psycopg import sql

from keyturn.core.errors import AdapterError, NotFound, Unavailable
from keyturn.core.secret import Bundle
from keyturn.system.postgres import Server, Session, connect
from keyturn.system.scram import verifier
from keyturn.testing.certificates import Authority
from keyturn.testing.watcher import Watcher, start_on_a_free_port

START_SECONDS = 30.0
SUPERUSER = "keyturn_test_superuser"
HBA = "hostssl all all 127.0.0.1/32 scram-sha-256"


def binaries(packaged: Path = Path("/usr/lib/postgresql")) -> Path:
    """The directory of the newest `postgres` on this machine, of a Debian package or on PATH.

    Raises:
        NotFound: there is none.
    """
    found = sorted(packaged.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("postgres")
    if found:
        return found[-1].parent
    if on_path and shutil.which("initdb", path=str(Path(on_path).parent)):
        return Path(on_path).parent
    raise NotFound("no PostgreSQL server is installed", "apt-get install postgresql")


class PostgresServer:
    """A server that lives as long as the `with` block; nothing of it is left behind.

    It accepts `hostssl` with scram-sha-256 from loopback and nothing else. `ca_file` verifies it,
    `superuser` is for preparing a test, never for Keyturn itself. As root it runs as user `postgres`.

    Args:
        settings: more lines for postgresql.conf, by name.
        fsync: off for speed; nothing here is kept, and a crash of the server alone loses nothing.
        hba: the lines of pg_hba.conf.
        names: the DNS name and the addresses in its certificate.
        programs: the directory of `postgres` and `initdb`; None for the newest on this machine.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        settings: dict[str, str] | None = None,
        *,
        fsync: bool = False,
        hba: tuple[str, ...] = (HBA,),
        names: tuple[str, ...] = ("localhost", "127.0.0.1"),
        programs: Path | None = None,
    ) -> None:
        self.programs = programs or binaries()
        self.directory = Path(tempfile.mkdtemp(prefix="keyturn-postgres-"))
        self.port = 0
        self.ca_file = str(self.directory / "ca.pem")
        self.log = self.directory / "server.log"
        self.superuser = Bundle({"username": SUPERUSER, "password": secrets.token_urlsafe(30)})
        self._settings = {"fsync": "on" if fsync else "off", **(settings or {})}
        self._hba, self._names = hba, names
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: Watcher | None = None

    def __enter__(self) -> Self:
        try:
            self._initialise()
            start_on_a_free_port(self._start_at, self.stop)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(signal.SIGQUIT)  # at once: what it would still write is thrown away
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "data"

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        assert self._process is not None
        return self._process.pid

    def server(self, dbname: str = "postgres", application: str = "test") -> Server:
        """Where it is, for `system.postgres.connect`."""
        return Server(self.host, self.port, dbname, application, sslrootcert=self.ca_file)

    def connect(self, dbname: str = "postgres") -> Session:
        """A superuser's session, in autocommit mode."""
        session = connect(replace(self.server(dbname), sslmode="verify-ca"), self.superuser)
        session.deadline = float("inf")
        return session

    def execute(self, *statements: LiteralString | sql.Composed, dbname: str = "postgres") -> list[tuple[Any, ...]]:
        """Run statements as the superuser; the rows of the last one."""
        with self.connect(dbname) as session:
            for statement in statements:
                cursor = session.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def prepare(self, dbname: str) -> Bundle:
        """Create a database and its admin as docs/targets/postgres.md asks for; the admin's credential."""
        admin = self.create_admin(f"{dbname}_admin")
        owner = sql.Identifier(f"{dbname}_admin")
        self.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(dbname), owner))
        return admin

    def create_admin(self, name: str) -> Bundle:
        """Create a role that may create roles and see sessions, and is no superuser; its credential."""
        admin = Bundle({"username": name, "password": secrets.token_urlsafe(30)})
        role, check = sql.Identifier(name), sql.Literal(verifier(admin["password"]))
        self.execute(
            sql.SQL("CREATE ROLE {} LOGIN CREATEROLE NOSUPERUSER PASSWORD {}").format(role, check),
            sql.SQL("GRANT pg_read_all_stats TO {}").format(role),
        )
        return admin

    def start(self) -> None:
        """Start the postmaster on the same data, and wait until it takes log-ins."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own list of arguments, no shell
                [self.programs / "postgres", "-D", self.data, "-p", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal is for us; we end the server ourselves
                **_as_postgres(),
            )
        self._watcher = Watcher(self._process.pid, self.directory)
        self._wait_until_ready()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the postmaster: SIGINT ends its sessions first, SIGQUIT is a crash."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        self._process = None
        if self._watcher is not None:
            self._watcher.dismiss()
            self._watcher = None

    def crash(self) -> None:
        """Kill -9 every process of the server at once; `start` brings it up again on the same data."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)  # it shall neither start another one nor tidy up
        for pid in [*_children(self._process.pid), self._process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.stop(signal.SIGKILL)

    def _start_at(self, port: int) -> None:
        self.port = port
        self.start()

    def _initialise(self) -> None:
        self._chown(self.directory)
        pwfile = self.directory / "superuser"
        pwfile.write_text(verifier(self.superuser["password"]))
        pwfile.chmod(0o600)
        self._chown(pwfile)
        self._initdb(pwfile)
        pwfile.unlink()
        self._write_tls()
        self._write("data/pg_hba.conf", "".join(f"{line}\n" for line in self._hba))
        self._write("data/postgresql.auto.conf", "".join(f"{k} = '{v}'\n" for k, v in self._configuration().items()))

    def _initdb(self, pwfile: Path) -> None:
        self._run(
            *("initdb", "-D", self.data, "-U", SUPERUSER, "--pwfile", pwfile, "--no-sync"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"),
        )

    def _run(self, program: str, *arguments: str | Path) -> None:
        """One of PostgreSQL's programs as its user, to its end."""
        done = subprocess.run(  # noqa: S603  # our own list of arguments, no shell
            [self.programs / program, *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            **_as_postgres(),
        )
        if done.returncode:
            raise Unavailable(f"{program} failed: {done.stdout.decode(errors='replace').strip()[-400:]}")

    def _write_tls(self) -> None:
        authority = Authority()
        leaf = authority.issue(*self._names)
        Path(self.ca_file).write_bytes(authority.certificate)
        Path(self.ca_file).chmod(0o644)
        self.directory.chmod(0o711)  # others may pass to ca.pem, and list nothing
        self._write("data/server.crt", leaf.chain.decode("ascii"))
        self._write("data/server.key", leaf.private_key.decode("ascii"))

    def _configuration(self) -> dict[str, str]:
        return {
            "listen_addresses": self.host,
            "unix_socket_directories": "",
            "ssl": "on",
            "ssl_cert_file": "server.crt",
            "ssl_key_file": "server.key",
            "password_encryption": "scram-sha-256",
            "max_connections": "200",
            "synchronous_commit": "on",
            "shared_buffers": "16MB",
            "log_timezone": "UTC",
            **self._settings,
        }

    def _write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text)
        self._chown(path)

    def _chown(self, path: Path) -> None:
        if os.getuid() == 0:
            shutil.chown(path, "postgres", "postgres")

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                break
            with contextlib.suppress(AdapterError):
                self.connect().close()
                return
            time.sleep(0.02)
        tail = self.log.read_text(errors="replace")[-400:]
        raise Unavailable(f"the test server did not start: {' '.join(tail.split())}")


def _as_postgres() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _children(pid: int) -> list[int]:
    """The processes that this one has started and that are there."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
