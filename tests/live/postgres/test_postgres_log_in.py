"""What each kind of failed log-in is called, and that no password is in what is raised."""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from keyturn.core.errors import AdapterError, Unavailable, Unsupported
from keyturn.core.secret import Bundle, SecretValue
from keyturn.system.postgres import (
    LogInRefused,
    NoLogIn,
    Server,
    SessionRefused,
    Untrusted,
    answers,
    begin,
    connect,
)
from keyturn.system.scram import verifier
from keyturn.testing.certificates import Authority
from keyturn.testing.postgres_server import HBA, PostgresServer
from tests.values import stands_in

PASSWORD = "right-password-of-the-role-4711"
RIGHT = Bundle({"username": "visitor", "password": PASSWORD})
WRONG = Bundle({"username": "visitor", "password": "wrong-password-4711"})
ODD_RULES = (
    "hostssl trusting all 127.0.0.1/32 trust",
    "hostssl asking all 127.0.0.1/32 password",
    "hostssl rejecting all 127.0.0.1/32 reject",
    HBA,
)


@pytest.fixture(scope="module")
def odd() -> Iterator[PostgresServer]:
    """A server with few connections, a certificate for another name, and rules that nobody should have."""
    settings = {"max_connections": "4", "superuser_reserved_connections": "1"}
    with PostgresServer(settings, hba=ODD_RULES, names=("elsewhere.invalid",)) as server:
        for name in ("trusting", "asking", "rejecting"):
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        create_visitor(server)
        yield server


@pytest.fixture(scope="module")
def visited(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The common server, with a role that may log in."""
    create_visitor(postgres)
    yield postgres
    postgres.execute("DROP ROLE visitor")


@pytest.fixture(autouse=True)
def visitor_is_as_new(visited: PostgresServer) -> None:
    """Whatever a test did to the role is undone before the next."""
    visited.execute("ALTER ROLE visitor LOGIN CONNECTION LIMIT -1")


def create_visitor(server: PostgresServer) -> None:
    """A log-in role with the password of `RIGHT`."""
    check = sql.Literal(verifier(RIGHT["password"]))
    server.execute(sql.SQL("CREATE ROLE visitor LOGIN PASSWORD {}").format(check))


def failure(server: Server, bundle: Bundle = RIGHT) -> AdapterError:
    """What `connect` raises; nothing in it may hold the password."""
    with pytest.raises(AdapterError) as caught:
        connect(server, bundle).close()
    told = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert not stands_in(bundle["password"], told)
    return caught.value


def test_right_password(visited: PostgresServer) -> None:
    """The right password gives an encrypted session under our own application name."""
    with contextlib.closing(connect(visited.server(application="keyturn/x"), RIGHT)) as session:
        row = session.execute(
            "SELECT session_user, current_setting('application_name'), s.ssl, s.version"
            " FROM pg_stat_ssl s WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert row == ("visitor", "keyturn/x", True, "TLSv1.3")


@settings(max_examples=20)
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=60))
def test_verifier_means_the_password(visited: PostgresServer, password: str) -> None:
    """PostgreSQL lets in whoever knows the password behind our verifier, and stores no plaintext."""
    made = verifier(SecretValue(password))
    visited.execute(sql.SQL("ALTER ROLE visitor PASSWORD {}").format(sql.Literal(made)))
    connect(visited.server(), Bundle({"username": "visitor", "password": password})).close()
    assert visited.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'visitor'") == [(made,)]
    restored = verifier(RIGHT["password"])
    visited.execute(sql.SQL("ALTER ROLE visitor PASSWORD {}").format(sql.Literal(restored)))


def test_wrong_password(visited: PostgresServer) -> None:
    """A wrong password is refused by the authentication answer 28P01."""
    error = failure(visited.server(), WRONG)
    assert isinstance(error, LogInRefused)
    assert "28P01" in error.message


def test_unknown_role(visited: PostgresServer) -> None:
    """A role that does not exist is refused like a wrong password, so that names cannot be guessed."""
    assert isinstance(failure(visited.server(), Bundle({"username": "nobody-here", "password": "x"})), LogInRefused)


def test_no_login_role(visited: PostgresServer) -> None:
    """NOLOGIN is said to the right password only: 28000 for it, 28P01 for a wrong one."""
    visited.execute("ALTER ROLE visitor NOLOGIN")
    right, wrong = failure(visited.server()), failure(visited.server(), WRONG)
    assert isinstance(right, LogInRefused)
    assert "28000" in right.message
    assert isinstance(wrong, LogInRefused)
    assert "28P01" in wrong.message


def test_connection_limit(visited: PostgresServer) -> None:
    """A role with CONNECTION LIMIT 0 was authenticated: no refusal of its password."""
    visited.execute("ALTER ROLE visitor CONNECTION LIMIT 0")
    error = failure(visited.server())
    assert isinstance(error, SessionRefused)
    assert "53300" in error.message
    assert "CONNECTION LIMIT" in error.remedy


def test_no_connect_privilege(visited: PostgresServer) -> None:
    """A role without CONNECT on the database gets no session, and the remedy names the grant."""
    visited.execute("CREATE DATABASE closed", "REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    error = failure(visited.server("closed"))
    assert isinstance(error, SessionRefused)
    assert "GRANT CONNECT" in error.remedy


def test_no_such_database(visited: PostgresServer) -> None:
    """A database that does not exist is no refusal of the password."""
    assert isinstance(failure(visited.server("no-such-database")), SessionRefused)


def test_server_that_lets_anybody_in(odd: PostgresServer) -> None:
    """A server that asks for no password proves nothing about one: no session with it."""
    error = failure(replace(odd.server("trusting"), sslmode="verify-ca"))
    assert isinstance(error, SessionRefused)
    assert "SCRAM" in error.message


def test_server_that_asks_for_plaintext(odd: PostgresServer) -> None:
    """A server that asks for the plaintext password does not get it."""
    error = failure(replace(odd.server("asking"), sslmode="verify-ca"))
    assert isinstance(error, SessionRefused)
    assert "SCRAM" in error.message


def test_rejected_by_rule(odd: PostgresServer) -> None:
    """28000 from pg_hba.conf comes before any password: it is no refusal of the credential."""
    error = failure(replace(odd.server("rejecting"), sslmode="verify-ca"))
    assert isinstance(error, SessionRefused)
    assert "28000" in error.message
    assert "pg_hba.conf" in error.remedy


def test_server_is_full(odd: PostgresServer) -> None:
    """A server without a free connection says nothing about the credential."""
    server = replace(odd.server(), sslmode="verify-ca")
    with contextlib.ExitStack() as stack:
        for _ in range(3):  # of four connections one is kept for superusers
            stack.enter_context(contextlib.closing(connect(server, RIGHT)))
        kept_for_others = failure(server)
        stack.enter_context(contextlib.closing(odd.connect()))
        none_left = failure(server)
    assert isinstance(kept_for_others, SessionRefused)
    assert type(none_left) is NoLogIn
    assert "53300" in kept_for_others.message
    assert "53300" in none_left.message


def test_certificate_for_another_name(odd: PostgresServer) -> None:
    """A certificate of the right authority for another host is not trusted."""
    assert isinstance(failure(odd.server()), Untrusted)


def test_certificate_of_another_authority(visited: PostgresServer, odd: PostgresServer) -> None:
    """A certificate of an authority that was not named is not trusted."""
    error = failure(replace(visited.server(), sslrootcert=odd.ca_file))
    assert isinstance(error, Untrusted)
    assert "certificate" in error.message


def test_authorities_of_the_host(visited: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `sslrootcert` the host's own authorities decide."""
    server = replace(visited.server(), sslrootcert=None)
    assert isinstance(failure(server), Untrusted)
    monkeypatch.setenv("SSL_CERT_FILE", visited.ca_file)
    connect(server, RIGHT).close()


def test_no_authorities_at_all(visited: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any authorities nothing is connected to, be the mode weaker or not."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/ca.pem")
    assert isinstance(failure(replace(visited.server(), sslrootcert=None)), Untrusted)
    assert "sslmode" in failure(replace(visited.server(), sslrootcert=None, sslmode="verify-ca")).message


def test_plaintext_where_tls_is_required(visited: PostgresServer) -> None:
    """A server that wants TLS turns a plaintext session away before a password."""
    assert isinstance(failure(replace(visited.server(), sslmode="disable")), SessionRefused)


def test_no_fallback_to_plaintext() -> None:
    """After a server says that it has no TLS, not one more byte is sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[bytes] = []

        def say_no() -> None:
            with listener.accept()[0] as line:
                line.recv(8)
                line.sendall(b"N")
                heard.append(line.recv(100))

        thread = threading.Thread(target=say_no)
        thread.start()
        error = failure(Server("127.0.0.1", listener.getsockname()[1], "x", "x"))
        thread.join()
    assert isinstance(error, Untrusted)
    assert heard == [b""]


def test_black_hole() -> None:
    """A server that accepts and never answers ends at the deadline, as unavailable."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server("127.0.0.1", listener.getsockname()[1], "x", "x", connect_timeout=0.2)
        error = failure(server)
    assert type(error) is Unavailable
    assert "0.2 s" in error.message


def test_nobody_listens(visited: PostgresServer) -> None:
    """A closed port is unavailable, with the reason."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(replace(visited.server(), port=port))
    assert type(error) is Unavailable
    assert "refused" in error.message


def test_babble() -> None:
    """A server that speaks another protocol is no refusal."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def babble() -> None:
            with listener.accept()[0] as line:
                line.recv(8)
                line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        error = failure(Server("127.0.0.1", listener.getsockname()[1], "x", "x"))
        thread.join()
    assert isinstance(error, Unavailable)


def test_words_of_an_old_protocol_are_made_harmless() -> None:
    """An error by the protocol before 3.0 is the server's own text: no control character of it is kept."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shout() -> None:
            with listener.accept()[0] as line:
                line.recv(1000)
                line.sendall(b"E\x1b]0;owned\x07\x1b[2J nobody home\0")

        thread = threading.Thread(target=shout)
        thread.start()
        error = failure(Server("127.0.0.1", listener.getsockname()[1], "x", "x", "disable"))
        thread.join()
    assert type(error) is Unavailable
    assert "nobody home" in error.message
    assert error.message.isprintable()


def test_frozen_in_the_middle(visited: PostgresServer) -> None:
    """A server that freezes inside a session ends at the session's deadline, as unavailable."""
    with contextlib.closing(connect(replace(visited.server(), deadline=0.5), RIGHT)) as session:
        backend = session.pgconn.backend_pid
        thaw = threading.Timer(20, os.kill, (backend, signal.SIGCONT))
        thaw.start()
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(Unavailable), answers("asking"):
                session.execute("SELECT 1")
        finally:
            thaw.cancel()
            os.kill(backend, signal.SIGCONT)


def test_server_gives_up_by_itself(visited: PostgresServer) -> None:
    """A statement that would outlast the deadline is cancelled by the server."""
    with contextlib.closing(connect(replace(visited.server(), deadline=0.4), RIGHT)) as session:
        with answers("beginning"):
            begin(session)
        session.deadline = float("inf")
        with pytest.raises(Unavailable, match="57014"), answers("sleeping"):
            session.execute("SELECT pg_sleep(60)")


def test_environment_changes_nothing(visited: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What libpq would take from the environment does not reach our connections."""
    for name, text in {
        "PGHOSTADDR": "192.0.2.1",
        "PGSSLMODE": "disable",
        "PGSSLROOTCERT": "/nonexistent",
        "PGOPTIONS": "-c search_path=evil",
        "PGREQUIREAUTH": "none",
        "PGAPPNAME": "evil",
        "PGTARGETSESSIONATTRS": "standby",
        "PGGSSENCMODE": "require",
    }.items():
        monkeypatch.setenv(name, text)
    with contextlib.closing(connect(visited.server(), RIGHT)) as session:
        assert session.execute("SHOW search_path").fetchone() == ('"$user", public',)


@pytest.mark.parametrize("fields", [{"value": "x"}, {"username": "visitor"}, {"username": "visitor", "password": ""}])
def test_bundle_that_is_no_log_in(visited: PostgresServer, fields: dict[str, str]) -> None:
    """A bundle without user name or password is refused before anything is sent."""
    with pytest.raises(Unsupported):
        connect(visited.server(), Bundle(fields))


def test_nothing_sent_to_an_impostor(visited: PostgresServer, tmp_path: Path) -> None:
    """An impostor on the right address with a certificate of its own learns neither role nor password."""
    leaf = Authority().issue("localhost", "127.0.0.1")
    (tmp_path / "pair.pem").write_bytes(leaf.chain + leaf.private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[bytes] = []

        def pretend() -> None:
            with listener.accept()[0] as line:
                line.recv(8)
                line.sendall(b"S")
                with contextlib.suppress(OSError), context.wrap_socket(line, server_side=True) as tls:
                    heard.append(tls.recv(65536))

        thread = threading.Thread(target=pretend)
        thread.start()
        error = failure(Server("127.0.0.1", listener.getsockname()[1], "x", "x", sslrootcert=visited.ca_file))
        thread.join()
    assert isinstance(error, Untrusted)
    assert heard in ([], [b""])


def test_another_libpq(visited: PostgresServer) -> None:
    """With the system's own libpq a log-in is answered as ever, or the library is named as too old."""
    program = f"""
from keyturn.core.errors import AdapterError
from keyturn.core.secret import Bundle
from keyturn.system.postgres import Server, connect
try:
    connect(Server("127.0.0.1", {visited.port}, "postgres", "x", sslrootcert={visited.ca_file!r}),
            Bundle({{"username": "visitor", "password": "wrong"}}))
except AdapterError as error:
    print(type(error).__name__)
"""
    environ = {**os.environ, "PSYCOPG_IMPL": "python"}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in {"LogInRefused", "Unsupported"}
