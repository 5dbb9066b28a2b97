"""One log-in to PostgreSQL over a plain socket, with the keys that SCRAM derives kept for the next one.

libpq hashes the password 4,096 times for every log-in, which is most of what a log-in costs a client.
A process that logs in hundreds of times a second derives the keys once per version and salt (RFC 5802,
section 3) and proves them afresh each time; to the server both are the same: it checks every proof.
"""

import base64
import hashlib
import hmac
import secrets
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

PROTOCOL = 196608
"""Version 3.0 of the frontend/backend protocol."""

_SASL, _SASL_CONTINUE, _SASL_FINAL = 10, 11, 12
_SECONDS = 10.0


class Refused(Exception):
    """The server's answer was an error; the text is its SQLSTATE."""


class Lost(Exception):
    """No answer: the server was not there, or went away."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a password becomes under one salt."""

    client: bytes
    stored: bytes
    server: bytes

    @classmethod
    def derive(cls, password: str, salt: bytes, iterations: int) -> "Keys":
        """RFC 5802, section 3."""
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
        client = hmac.digest(salted, b"Client Key", "sha256")
        return cls(client, hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256"))


class LogIns:
    """Logs in again and again.

    Args:
        address: of the server.
        dbname: the database.
    """

    def __init__(self, address: tuple[str, int], dbname: str) -> None:
        self._address, self._dbname = address, dbname
        self._known: dict[tuple[str, bytes], Keys] = {}

    def once(self, version: str, username: str, password: str) -> None:
        """One log-in up to the moment that the server is ready for a query.

        Raises:
            Refused: the server said no.
            Lost: it said nothing.
        """
        try:
            with socket.create_connection(self._address, _SECONDS) as line:
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._log_in(_Line(line), version, username, password)
                line.sendall(b"X\0\0\0\x04")
        except OSError as error:
            raise Lost(type(error).__name__) from None

    def _log_in(self, line: "_Line", version: str, username: str, password: str) -> None:
        words = ("user", username, "database", self._dbname, "application_name", "crash-load")
        line.send(b"", struct.pack("!I", PROTOCOL) + b"".join(word.encode() + b"\0" for word in words) + b"\0")
        line.authentication(_SASL)
        mine = "n=,r=" + base64.b64encode(secrets.token_bytes(18)).decode()
        first = f"n,,{mine}".encode()
        line.send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
        theirs = line.authentication(_SASL_CONTINUE).decode()
        nonce, salt, iterations = (part[2:] for part in theirs.split(","))
        keys = self._keys(version, password, base64.b64decode(salt), int(iterations))
        bare = f"c=biws,r={nonce}"
        message = f"{mine},{theirs},{bare}".encode()
        signature = hmac.digest(keys.stored, message, "sha256")
        proof = bytes(a ^ b for a, b in zip(keys.client, signature, strict=True))
        line.send(b"p", f"{bare},p={base64.b64encode(proof).decode()}".encode())
        expected = b"v=" + base64.b64encode(hmac.digest(keys.server, message, "sha256"))
        if line.authentication(_SASL_FINAL) != expected:
            raise Lost("the server does not know the password")
        line.ready()

    def _keys(self, version: str, password: str, salt: bytes, iterations: int) -> Keys:
        if (version, salt) not in self._known:
            self._known = {(version, salt): Keys.derive(password, salt, iterations)}
        return self._known[version, salt]


class _Line:
    """Messages of the protocol on a socket."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._messages = self._received()

    def send(self, kind: bytes, body: bytes) -> None:
        self._line.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def authentication(self, wanted: int) -> bytes:
        """The body of the authentication message of that number."""
        kind, body = next(self._messages)
        if kind != b"R" or struct.unpack("!I", body[:4])[0] != wanted:
            raise Lost(f"message {kind!r} where an authentication request was due")
        return body[4:]

    def ready(self) -> None:
        """Wait until the server is ready for a query: the role may log in and the database is open."""
        while next(self._messages)[0] != b"Z":
            pass

    def _received(self) -> Iterator[tuple[bytes, bytes]]:
        kept = b""
        while True:
            while len(kept) < 5 or len(kept) < 1 + struct.unpack("!I", kept[1:5])[0]:
                piece = self._line.recv(65536)
                if not piece:
                    raise Lost("closed")
                kept += piece
            end = 1 + struct.unpack("!I", kept[1:5])[0]
            kind, body, kept = kept[:1], kept[5:end], kept[end:]
            if kind == b"E":
                raise Refused(next(field[1:].decode() for field in body.split(b"\0") if field.startswith(b"C")))
            yield kind, body
