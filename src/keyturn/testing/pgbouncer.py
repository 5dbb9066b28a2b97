"""A private pgbouncer for tests: the real program, in front of a private PostgreSQL, on loopback only."""

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from psycopg import sql

from keyturn.core.errors import NotFound, Unavailable
from keyturn.core.secret import SecretValue
from keyturn.system.postgres import Server
from keyturn.system.scram import verifier
from keyturn.testing.postgres_server import HBA, PostgresServer
from keyturn.testing.watcher import Watcher, start_on_a_free_port

START_SECONDS = 15.0
LOOKS_AT_LOGIN = "rolcanlogin AND (rolvaliduntil IS NULL OR rolvaliduntil > now())"
"""What the function behind auth_query asks of a role, as docs/targets/pgbouncer.md says."""

_LOOKUP = """
CREATE FUNCTION {name}(wanted text) RETURNS TABLE (rolname name, rolpassword text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS
$$ SELECT rolname, rolpassword FROM pg_authid WHERE rolname = wanted AND {condition} $$
"""
_CONFIGURATION = """
[databases]
{dbname} = host={server} port={server_port} dbname={dbname} auth_user={auth_user}

[pgbouncer]
pidfile = {directory}/pid
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {directory}/userlist.txt
auth_query = SELECT * FROM {lookup}($1)
pool_mode = {mode}
server_idle_timeout = {server_idle_timeout}
client_tls_sslmode = require
client_tls_cert_file = {directory}/server.crt
client_tls_key_file = {directory}/server.key
server_tls_sslmode = {server_tls}
"""


@contextlib.contextmanager
def server_behind() -> Iterator[tuple[PostgresServer, Path]]:
    """A PostgreSQL that also listens on a Unix socket, for the pooler alone; with the socket's directory.

    So the pooler's sessions come from `local`, and everybody else's from 127.0.0.1.
    """
    settings = {"unix_socket_directories": ".", "log_statement": "all"}
    with PostgresServer(settings, hba=(HBA, "local all all scram-sha-256")) as server:
        yield server, server.data


def program() -> str:
    """The path of `pgbouncer`. Raises NotFound when it is not installed."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise NotFound("no pgbouncer is installed", "apt-get install pgbouncer")
    return found


class PgBouncer:
    """A pooler for one database that lives as long as the `with` block; nothing of it is left behind.

    It refuses to be root, so as root it runs as user `postgres`. It shows the certificate of the server.

    Args:
        postgres: what it stands in front of.
        dbname: the database, which is there already; the role and function behind auth_query are made in it.
        mode: its `pool_mode`.
        socket: the directory of PostgreSQL's Unix socket; None for TCP and TLS to it.
        idle_timeout: `server_idle_timeout`, in seconds.
        condition: what auth_query asks of a role.
    """

    host = "127.0.0.1"

    def __init__(  # noqa: PLR0913  # what a configuration file says, one by one
        self,
        postgres: PostgresServer,
        dbname: str,
        *,
        mode: str = "transaction",
        socket: Path | None = None,
        idle_timeout: int = 600,
        condition: str = LOOKS_AT_LOGIN,
    ) -> None:
        self._program = program()
        self._postgres, self._dbname, self.mode, self.socket = postgres, dbname, mode, socket
        self._idle_timeout, self._condition = idle_timeout, condition
        self._role, self._password = f"pool_{secrets.token_hex(4)}", SecretValue(secrets.token_urlsafe(30))
        self._lookup = f"lookup_{secrets.token_hex(4)}"
        self.directory = Path(tempfile.mkdtemp(prefix="keyturn-pgbouncer-"))
        self.log = self.directory / "pgbouncer.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: Watcher | None = None

    def __enter__(self) -> Self:
        try:
            self._prepare()
            start_on_a_free_port(self._start_at, self.stop)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def address(self) -> str:
        """Where PostgreSQL sees it come from, as a manifest says it."""
        return "local" if self.socket else "127.0.0.1"

    def server(self, application: str = "test") -> Server:
        """Where it is, for `system.postgres.connect`."""
        return Server(self.host, self.port, self._dbname, application, sslrootcert=self._postgres.ca_file)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own list of arguments, no shell
                [self._program, str(self.directory / "pgbouncer.ini")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **_as_somebody(),
            )
        self._watcher = Watcher(self._process.pid, self.directory)
        until = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
                return
            time.sleep(0.01)
        tail = self.log.read_text(errors="replace")[-400:]
        raise Unavailable(f"pgbouncer did not start: {' '.join(tail.split())}")

    def stop(self) -> None:
        """Stop it at once, as a crash would: its clients lose their connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._watcher is not None:
            self._watcher.dismiss()
            self._watcher = None

    def _start_at(self, port: int) -> None:
        self.port = port
        self._configure()
        self.start()

    def _prepare(self) -> None:
        """The role that may ask for verifiers through one function, and the certificate."""
        role, lookup = sql.Identifier(self._role), sql.Identifier(self._lookup)
        check = sql.Literal(verifier(self._password))
        condition = sql.SQL(self._condition)
        self._postgres.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, check),
            sql.SQL(_LOOKUP).format(name=lookup, condition=condition),
            sql.SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC").format(lookup),
            sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(lookup, role),
            dbname=self._dbname,
        )
        for name in ("server.crt", "server.key"):
            self._write(name, (self._postgres.data / name).read_text())
        self._write("userlist.txt", _user(self._role, self._password.reveal()))
        self._own(self.directory)

    def _configure(self) -> None:
        self._write(
            "pgbouncer.ini",
            _CONFIGURATION.format(
                directory=self.directory,
                dbname=self._dbname,
                server=self.socket or self._postgres.host,
                server_port=self._postgres.port,
                server_tls="disable" if self.socket else "require",
                auth_user=self._role,
                lookup=self._lookup,
                mode=self.mode,
                port=self.port,
                server_idle_timeout=self._idle_timeout,
            ),
        )

    def _write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text)
        self._own(path)

    def _own(self, path: Path) -> None:
        if os.getuid() == 0:
            shutil.chown(path, "postgres", "postgres")


def _user(name: str, password: str) -> str:
    """A line of userlist.txt."""
    return f'"{name}" "{password}"\n'


def _as_somebody() -> dict[str, Any]:
    """Root is refused by pgbouncer."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
