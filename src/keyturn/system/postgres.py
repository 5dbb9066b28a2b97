"""One connection to one PostgreSQL server, with a deadline on everything and a typed answer to every failure.

libpq gives no SQLSTATE for a log-in that fails, and its text is translated by the server. So the
verbosity of its errors is set to "SQLSTATE only" before the log-in starts: what is left of the
server's words is five characters, which no locale changes and which hold no value of a secret.
"""

import ctypes
import ctypes.util
import importlib
import math
import re
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import pq
from psycopg.abc import RV, PQGen
from psycopg.conninfo import make_conninfo
from psycopg.pq.abc import PGconn
from psycopg.rows import TupleRow

from keyturn.core.errors import (
    AdapterError,
    Conflict,
    Denied,
    NotFound,
    OutcomeUnknown,
    Unavailable,
    Unsupported,
)
from keyturn.core.secret import Bundle
from keyturn.system.tls import host_authorities

SSL_MODES: Final = ("verify-full", "verify-ca", "require", "disable")
"""What may be asked for. `allow` and `prefer` are left out: they fall back to plaintext without a word."""

_LIBPQ = 160000  # the first with require_auth and sslcertmode
_SQLSTATE_ONLY = 3  # PQERRORS_SQLSTATE in libpq-fe.h
_REASON = 200  # characters of libpq's own text
_LOG_IN_STATE = re.compile(r":  ([0-9A-Z]{5})\s*\Z")
_TLS = re.compile(r"\b(SSL|TLS|certificate)\b", re.IGNORECASE)
_LOST = ("08", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04")
_BUSY = ("57014", "55P03", "53", "40", "XX000")  # XX000: a catalogue row that another transaction changed


@dataclass(frozen=True, slots=True)
class Server:
    """How to reach one server. Times are in seconds; `application` is what the server's views call us.

    `sslrootcert` is the file with the authorities to trust; None means the host's own.
    """

    host: str
    port: int
    dbname: str
    application: str
    sslmode: str = "verify-full"
    sslrootcert: str | None = None
    connect_timeout: float = 5.0
    deadline: float = 15.0

    @property
    def node(self) -> str:
        """`host:port`, as people write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class LogInRefused(Denied):
    """The server's authentication answer was no: wrong password, or a role that may not log in."""


class SessionRefused(Denied):
    """The credential was not what it turned on, and yet no session came of it."""


class NoLogIn(Unavailable):
    """The server answered before it asked for a password, and takes no log-in now."""


class Untrusted(Unavailable):
    """The server could not show by TLS that it is the one that was asked for."""


class Session(psycopg.Connection[TupleRow]):
    """A psycopg connection whose every wait ends at `deadline` (monotonic seconds)."""

    deadline = math.inf

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for the server as psycopg does, but never beyond the deadline."""
        left = max(0.0, self.deadline - time.monotonic())
        bounded = min(left, math.inf if timeout is None else timeout)
        return super().wait(gen, interval, None if math.isinf(bounded) else bounded)


def connect(server: Server, credential: Bundle) -> Session:
    """Log in with the bundle's `username` and `password`; one attempt, in autocommit mode.

    The password goes only to a server that asks for SCRAM-SHA-256: one that lets anybody in, or
    asks for the plaintext, is refused by us (libpq's `require_auth`).

    Raises:
        LogInRefused: SQLSTATE 28P01, or 28000 after the password was checked.
        SessionRefused: authenticated, then turned away (53300, 42501, 3D000), or not let in to
            authenticate at all (28000 from pg_hba.conf).
        Untrusted: TLS could not be set up as asked; nothing went over the line in plaintext.
        NoLogIn: turned away before any password was asked for (53300, 57P03; 08P01 by pgbouncer).
        Unavailable: no answer before the deadline, or none that belongs to a log-in.
        Unsupported: the bundle is no log-in, or libpq is too old.
    """
    if not credential.get("username") or not credential.get("password"):
        raise Unsupported("the bundle has no username and password", "keyturn set it with both fields")
    if pq.version() < _LIBPQ:
        raise Unsupported("psycopg found a libpq older than 16, which cannot insist on SCRAM", "use psycopg[binary]")
    started = time.monotonic()
    pgconn = pq.PGconn.connect_start(
        make_conninfo(
            "", user=credential["username"].reveal(), password=credential["password"].reveal(), **_options(server)
        ).encode()
    )
    _answer_in_sqlstate(pgconn)
    if not _logged_in(pgconn, started + server.connect_timeout):
        pgconn.finish()
        raise Unavailable(f"{server.node} did not answer within {server.connect_timeout:g} s")
    if pgconn.status != pq.ConnStatus.OK:
        failure = _log_in_failure(server, pgconn)
        pgconn.finish()
        raise failure
    pgconn.nonblocking = 1
    session = Session(pgconn)
    session.deadline = started + server.deadline
    session.autocommit = True
    session.prepare_threshold = None
    return session


@contextmanager
def answers(what: str, *, sent: bool = False) -> Iterator[None]:
    """Raise psycopg's errors as ours.

    Args:
        what: what is being done, for the message.
        sent: whether the effect may stand although no reply comes.

    Raises:
        OutcomeUnknown: the line broke after `sent`.
        Unavailable, Denied, NotFound, Conflict, Unsupported: by SQLSTATE; nothing was changed.
        Unsupported: also for an answer that cannot be read. Comments on roles are shared by databases
            of all encodings and reach us as they were typed.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _translated(error, what, sent=sent) from None
    except ValueError:
        raise Unsupported(
            f"{what}: the server's answer cannot be read", "look for a COMMENT ON ROLE that is not UTF-8"
        ) from None


def begin(session: Session) -> None:
    """Open a transaction that the server itself gives up when the session's deadline has come.

    So what was sent to a server that stood still, or got lost on the way, does not happen later.
    """
    left = session.deadline - time.monotonic()
    limit = 0 if math.isinf(left) else max(1, int(left * 1000))
    session.execute(
        f"BEGIN; SET LOCAL statement_timeout = {limit}; "
        f"SET LOCAL idle_in_transaction_session_timeout = {limit}".encode()
    )


def _options(server: Server) -> dict[str, str | int | None]:
    """Everything libpq would otherwise take from the environment or the home directory."""
    tls = server.sslmode != "disable"
    return {
        "host": server.host,
        "hostaddr": "",
        "port": server.port,
        "dbname": server.dbname,
        "application_name": server.application,
        "options": "",
        "service": None,
        "sslmode": server.sslmode,
        "sslrootcert": (server.sslrootcert or host_authorities() or "system") if tls else "",
        "sslcertmode": "disable",
        "gssencmode": "disable",
        "require_auth": "scram-sha-256",
        "target_session_attrs": "any",
        "client_encoding": "utf8",
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": int(server.deadline * 1000),
    }


def _libpq() -> ctypes.CDLL:
    """The libpq that psycopg itself uses: a symbol is looked up in its module and in what that loads."""
    if pq.__impl__ == "python":
        return ctypes.CDLL(ctypes.util.find_library("pq"))
    return ctypes.CDLL(importlib.import_module(pq.PGconn.__module__).__file__)


def _answer_in_sqlstate(pgconn: PGconn) -> None:
    pointer = pgconn.pgconn_ptr  # type: ignore[attr-defined]  # documented, but not in psycopg's protocol
    _libpq().PQsetErrorVerbosity(ctypes.c_void_p(pointer), ctypes.c_int(_SQLSTATE_ONLY))


def _logged_in(pgconn: PGconn, until: float) -> bool:
    """Drive the log-in to its end, good or bad; False when `until` (monotonic) comes first."""
    wanted = pq.PollingStatus.WRITING
    while pgconn.status != pq.ConnStatus.BAD:
        ready = select.poll()
        ready.register(pgconn.socket, select.POLLIN if wanted == pq.PollingStatus.READING else select.POLLOUT)
        if not ready.poll(max(0.0, until - time.monotonic()) * 1000):
            return False
        wanted = pq.PollingStatus(pgconn.connect_poll())
        if wanted not in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
            return True
    return True


def _log_in_failure(server: Server, pgconn: PGconn) -> AdapterError:
    """What the end of a log-in means.

    28000 is said of a role that may not log in, after the password was found right, but also by
    pg_hba.conf before any password: whether one was asked for tells them apart.
    """
    text = pgconn.get_error_message()
    found = _LOG_IN_STATE.search(text)
    if found is None:
        return _libpq_failure(server, text)
    state, asked = found[1], pgconn.used_password
    if asked and state in {"28P01", "28000"}:
        return LogInRefused(f"{server.node} refused the log-in ({state})")
    if asked or state in {"28000", "28P01"}:
        return SessionRefused(f"{server.node} gave no session ({state})", _SESSION_REMEDY.get(state, ""))
    return NoLogIn(f"{server.node} takes no log-in now ({state})")


_SESSION_REMEDY = {
    "28000": "let pg_hba.conf ask this role for scram-sha-256",
    "3D000": "check dbname",
    "42501": "GRANT CONNECT ON DATABASE to the role",
    "53300": "raise CONNECTION LIMIT of the role, or max_connections",
}


def _libpq_failure(server: Server, text: str) -> AdapterError:
    """A failure that libpq found by itself; its text names hosts and files, never the password."""
    # A server that answers by the protocol before 3.0 puts its own words here: they move no cursor.
    reason = "".join(c if c.isprintable() else "?" for c in " ".join(text.split())[-_REASON:])
    if "scram-sha-256" in text:
        return SessionRefused(
            f"{server.node} does not ask for a SCRAM-SHA-256 password", "use scram-sha-256 in its pg_hba.conf"
        )
    if _TLS.search(text):
        return Untrusted(f"TLS with {server.node} failed: {reason}", "check sslrootcert and the server's certificate")
    return Unavailable(f"{server.node} cannot be reached: {reason}")


def _translated(error: psycopg.Error, what: str, *, sent: bool) -> AdapterError:
    """The error by its SQLSTATE alone: the text could quote a statement."""
    state = error.sqlstate
    if state is None or state.startswith(_LOST):
        if sent:
            return OutcomeUnknown(f"{what}: the connection was lost after the request was sent")
        return Unavailable(f"{what}: the connection was lost")
    if state.startswith(_BUSY):
        return Unavailable(f"{what}: PostgreSQL could not do it now ({state})")
    for states, kind in _MEANING:
        if state in states:
            return kind(f"{what}: PostgreSQL answered {state}")
    return Unsupported(f"{what}: PostgreSQL answered {state}")


_MEANING: tuple[tuple[tuple[str, ...], type[AdapterError]], ...] = (
    (("42501",), Denied),
    (("42704", "3D000", "3F000", "42P01"), NotFound),
    (("25006", "42710"), Conflict),
)


def log_in_state(conninfo: str, seconds: float) -> str | None:
    """The SQLSTATE with which a server turns this log-in down, tried once, with libpq's own options.

    None when it lets in, or gave no such answer within `seconds`.
    """
    pgconn = pq.PGconn.connect_start(conninfo.encode())
    try:
        _answer_in_sqlstate(pgconn)
        _logged_in(pgconn, time.monotonic() + seconds)
        found = _LOG_IN_STATE.search(pgconn.get_error_message())
        return found[1] if found else None
    finally:
        pgconn.finish()
