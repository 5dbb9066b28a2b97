"""What the agent and its clients say to each other over the socket (docs/formats/agent.md).

Each message is a JSON object behind its length. Both sides take it for a stranger's word: bounded, and read into
exactly one shape or not at all.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keyturn.core import strict_json
from keyturn.core.generation import nonce
from keyturn.core.secret import NAME

SCHEMA = "keyturn/agent-socket/1"
MAX_FROM_CLIENT = 72 * 1024
"""Bytes of one message: a status of 64 KiB, and what is around it."""
MAX_FROM_AGENT = 16 * 1024 * 1024
"""Bytes of one message: all that one consumer may read."""
MIN_EVERY_MS, MAX_EVERY_MS = 100, 10_000
_END_OF_NUMBERS = 2**53
_HEAD = struct.Struct(">I")

HELLO, ASK, REPORT = "hello", "ask", "report"
WELCOME, REFUSED, GENERATION, CHALLENGE, FRESH = "welcome", "refused", "generation", "challenge", "fresh"

_SHAPES: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    HELLO: {"schema": str, "consumer": (str, type(None)), "every_ms": int},
    ASK: {"number": int},
    REPORT: {"status": dict},
    WELCOME: {"schema": str, "consumer": str, "environment": str, "process": dict, "reports": bool, "now_ms": int},
    REFUSED: {"message": str, "remedy": str},
    GENERATION: {"environment": str, "secrets": dict},
    CHALLENGE: {"nonce": str},
    FRESH: {"good_at_ms": int, "number": int},
}
FROM_CLIENT = frozenset({HELLO, ASK, REPORT})
FROM_AGENT = frozenset(_SHAPES) - FROM_CLIENT


def framed(kind: str, **content: object) -> bytes:
    """A message as it goes over the socket."""
    body = strict_json.dump({"type": kind, **content})
    return _HEAD.pack(len(body)) + body


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its type, and the keys that this type has."""

    kind: str
    content: Mapping[str, Any]


class Frames:
    """Cuts a stream of bytes into messages.

    Args:
        known: the types that may come from over there.
        limit: bytes of one message at most.
    """

    def __init__(self, known: frozenset[str], limit: int) -> None:
        self._known = known
        self._limit = limit
        self._rest = bytearray()

    @property
    def half(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._rest)

    def feed(self, more: bytes) -> Iterator[Message]:
        """The messages that are complete now.

        Raises:
            ValueError: no message of an allowed type and shape, or a length beyond the limit. Nothing that follows
                can be made sense of.
        """
        self._rest += more
        while len(self._rest) >= _HEAD.size:
            (size,) = _HEAD.unpack_from(self._rest)
            if size > self._limit:
                raise ValueError(f"a message of {size} bytes, at most {self._limit} are taken")
            end = _HEAD.size + size
            if len(self._rest) < end:
                return
            body = bytes(self._rest[_HEAD.size : end])
            del self._rest[:end]
            yield self._message(body)

    def _message(self, body: bytes) -> Message:
        content = strict_json.load(body)
        kind = content.pop("type", None) if isinstance(content, dict) else None
        if not isinstance(content, dict) or not isinstance(kind, str) or kind not in self._known:
            raise ValueError("no message of a known type")
        if any(isinstance(value, int) and not 0 <= value < _END_OF_NUMBERS for value in content.values()):
            raise ValueError("a number that nobody counts to")
        return Message(kind, strict_json.exactly(content, _SHAPES[kind]))


@dataclass(frozen=True, slots=True)
class Hello:
    """A client's first word: which consumer it is of (None: the only one it can be), and how often it wants to hear."""

    consumer: str | None
    every_ms: int

    def framed(self) -> bytes:
        """As it goes over the socket."""
        return framed(HELLO, schema=SCHEMA, consumer=self.consumer, every_ms=self.every_ms)

    @classmethod
    def of(cls, message: Message) -> "Hello":
        """The hello in that message.

        Raises:
            ValueError: another message, schema or shape.
        """
        content = _begun(message, HELLO)
        consumer, every_ms = content["consumer"], content["every_ms"]
        if consumer is not None and not NAME.match(consumer):
            raise ValueError("a consumer's name is not a name")
        if not MIN_EVERY_MS <= every_ms <= MAX_EVERY_MS:
            raise ValueError(f"every_ms is not within {MIN_EVERY_MS} and {MAX_EVERY_MS}")
        return cls(consumer, every_ms)


@dataclass(frozen=True, slots=True)
class Welcome:
    """The agent's first word.

    `host`, `pid`, `start`, `boot` and `namespace` are those of the client's process as the agent sees it: reports go
    under them. `now_ms` is the agent's clock, which both must have in common.
    """

    consumer: str
    environment: str
    host: str
    pid: int
    start: str
    boot: str
    namespace: str
    reports: bool
    now_ms: int

    def framed(self) -> bytes:
        """As it goes over the socket."""
        process = {"host": self.host, "pid": self.pid, "start": self.start}
        process |= {"boot": self.boot, "namespace": self.namespace}
        head = {"schema": SCHEMA, "consumer": self.consumer, "environment": self.environment}
        return framed(WELCOME, **head, process=process, reports=self.reports, now_ms=self.now_ms)

    @classmethod
    def of(cls, message: Message) -> "Welcome":
        """The welcome in that message.

        Raises:
            ValueError: another message, schema or shape.
        """
        content = _begun(message, WELCOME)
        words: dict[str, type] = dict.fromkeys(("host", "start", "boot", "namespace"), str)
        process = strict_json.exactly(content["process"], {**words, "pid": int})
        head = (content["consumer"], content["environment"])
        return cls(*head, **process, reports=content["reports"], now_ms=content["now_ms"])


def nonce_of(message: Message) -> str:
    """The nonce of a challenge, empty when nothing is asked.

    Raises:
        ValueError: it is no nonce.
    """
    return nonce(message.content["nonce"]) if message.content["nonce"] else ""


def _begun(message: Message, kind: str) -> Mapping[str, Any]:
    if message.kind != kind:
        raise ValueError(f"{message.kind} came before {kind}")
    if message.content["schema"] != SCHEMA:
        raise ValueError(f"schema is not {SCHEMA}")
    return message.content
