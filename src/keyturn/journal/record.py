"""What the journal keeps: events go in, records come out, and the bytes in between never change.

A record is canonical JSON, written once (docs/formats/journal.md). Its hash is SHA-256 over the
bytes as they are stored: nothing is ever serialised a second time in order to check it.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn, Protocol, TypeAlias, runtime_checkable

from keyturn.core.clock import Moment, parse_rfc3339
from keyturn.core.errors import Corrupt, TooLarge, UsageError

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | bool | None"

FORMAT = 1
SYSTEM = "system"
"""The stream that orders the others: every record says which head of it was seen."""

NO_HASH = "0" * 64
"""Stands where there is no predecessor."""

MAX_RECORD_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 16
MAX_INT = 2**53 - 1
"""The largest whole number that every JSON reader takes exactly (RFC 8259, section 6)."""

_HASH = re.compile(r"[0-9a-f]{64}\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z", re.ASCII)
PRINTABLE = bytes(range(0x20, 0x7F))
_SURROGATE = re.compile("[\ud800-\udfff]")
_FIELDS = frozenset(
    "actor boot critical data format kind kind_version monotonic_ms prev seen seq stream time".split()  # noqa: SIM905 - reads as the document does
)


@dataclass(frozen=True, slots=True)
class Event:
    """What is to be appended: a reserved kind and plain JSON data, never a value of a secret."""

    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a stream; `seq` 0 and 64 zeros for an empty one."""

    seq: int
    hash: str


EMPTY = Head(0, NO_HASH)


@dataclass(frozen=True, slots=True)
class Record:
    """What was stored.

    `seq` counts from 1, `prev` is the hash of the record before it (64 zeros for the first),
    `time` is RFC 3339 UTC with milliseconds, `monotonic_ms` belongs to `boot`, `seen` is the head
    of the system stream when this was written. `stored` are the bytes as they lie in the journal
    and `hash` is their SHA-256 in hex.
    """

    stream: str
    seq: int
    prev: str
    time: str
    boot: str
    monotonic_ms: int
    actor: str
    kind: str
    kind_version: int
    critical: bool
    seen: Head
    data: Mapping[str, Any]
    stored: bytes
    hash: str

    @property
    def head(self) -> Head:
        """The head of its stream, as long as nothing follows."""
        return Head(self.seq, self.hash)

    def moment(self) -> Moment:
        """When it was written, in the form that a wait may rest on."""
        return Moment(parse_rfc3339(self.time), self.boot, self.monotonic_ms / 1000)


class Journal(Protocol):
    """An append-only, hash-chained record. Raises `AdapterError` and `UsageError`, nothing else."""

    def append(self, stream: str, expected_seq: int, event: Event) -> Record:
        """Store the event after record `expected_seq`; durable on return.

        Raises:
            Conflict: the head is another one by now; nothing was written.
            RolledBack: the journal is older than what this host has seen of it.
            Unsupported: the stream holds a critical kind that this version does not know.
            Unavailable: locked, or no room; nothing was written.
            OutcomeUnknown: the disk failed; read the head before anything else.
            Corrupt: the bytes are not what was written.
            UsageError: the event is not plain JSON of a reserved kind.
        """

    def read(self, stream: str, after: int = 0) -> tuple[Record, ...]:
        """The records behind `after`, in order. Raises Corrupt when the chain does not hold."""

    def head(self, stream: str) -> Head:
        """The last record of the stream."""

    def streams(self) -> tuple[str, ...]:
        """The names of all streams that hold a record, sorted."""

    def projected(self) -> Mapping[str, Mapping[str, Any]]:
        """The status row of each stream (`keyturn.journal.projection`)."""


def plain(content: object, where: str = "data", depth: int = 0) -> JSON:
    """A deep copy of `content` made of nothing but JSON's own types.

    Floats have no canonical form and are refused, and so is every other type: a `SecretValue`, a
    `Bundle` or bytes cannot get into the journal by mistake.

    Raises:
        UsageError: names the place and the type, never the content.
    """
    try:
        return _plain(content, MAX_DEPTH - depth)
    except _Foreign as foreign:
        raise UsageError(f"{where}{foreign.place}{foreign.why}") from None


class _Foreign(Exception):
    """Something that is not plain JSON: where, told from the inside out, and why."""

    def __init__(self, why: str, place: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.place = place


def _plain(content: object, left: int) -> JSON:
    if isinstance(content, dict | MappingProxyType):
        return _table(content, _deeper(left))
    if isinstance(content, list | tuple):
        return _list(content, _deeper(left))
    if isinstance(content, str):
        return _text(content)
    if content is None or isinstance(content, bool):
        return content
    if isinstance(content, int):
        return _whole(content)
    raise _Foreign(f" is of type {type(content).__name__}, which a journal does not hold")


def _deeper(left: int) -> int:
    if not left:
        raise _Foreign(f" is nested deeper than {MAX_DEPTH} levels")
    return left - 1


def _table(content: Mapping[object, object], left: int) -> dict[str, JSON]:
    copy: dict[str, JSON] = {}
    for key, item in content.items():
        name = key if type(key) is str and key.isascii() else _key(key)
        try:
            # The commonest case by far, without another call.
            copy[name] = item if type(item) is str and item.isascii() else _plain(item, left)
        except _Foreign as foreign:
            foreign.place = f".{name}{foreign.place}"
            raise
    return copy


def _list(content: Sequence[object], left: int) -> list[JSON]:
    copy: list[JSON] = []
    for at, item in enumerate(content):
        try:
            copy.append(_plain(item, left))
        except _Foreign as foreign:
            foreign.place = f"[{at}]{foreign.place}"
            raise
    return copy


def _whole(number: int) -> int:
    if abs(number) > MAX_INT:
        raise _Foreign(" is a number beyond 2**53 - 1")
    return int(number)


def _text(text: str) -> str:
    if not text.isascii() and _SURROGATE.search(text):
        raise _Foreign(" holds a lone surrogate")
    return str.__str__(text)


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise _Foreign(f" has a key of type {type(key).__name__}")
    return _text(key)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical(content: object) -> bytes:
    """Canonical JSON: keys sorted by code point, no spaces, everything but printable ASCII escaped.

    Raises:
        UsageError: something else than JSON's own types, or a float.
    """
    return encoded(plain(content))


def encoded(content: object) -> bytes:
    """Canonical JSON of what is plain already, because it comes out of records."""
    return _ENCODER.encode(content).encode("ascii")


def digest(stored: bytes) -> str:
    """The hash of a record: SHA-256 of its bytes, in hex."""
    return hashlib.sha256(stored).hexdigest()


def write(head: Mapping[str, Any], event: Event) -> Record:
    """The record of `event`; `head` holds the fields that the journal adds.

    Raises:
        UsageError: the event's data is not plain JSON.
        TooLarge: longer than `MAX_RECORD_BYTES`.
    """
    content = plain({**head, "format": FORMAT, "kind": event.kind, "data": event.data})
    assert isinstance(content, dict)
    if not isinstance(content["data"], dict):
        raise UsageError("the data of an event is a table of fields")
    stored = encoded(content)
    if len(stored) > MAX_RECORD_BYTES:
        raise TooLarge(f"a {event.kind} record of {len(stored)} bytes", f"a record holds {MAX_RECORD_BYTES} at most")
    return _record(content, stored)


def parse(stored: bytes) -> Record:
    """The record in these bytes, taken strictly.

    Raises:
        Corrupt: not a record of this format; the message holds none of the bytes.
    """
    return _record(load(stored, "a record"), stored)


def _record(fields: dict[str, Any], stored: bytes) -> Record:
    if fields.keys() != _FIELDS or not _counts(fields["format"], 1) or fields["format"] != FORMAT:
        raise Corrupt("a record does not have the fields of its format")
    seen = fields.pop("seen")
    del fields["format"]
    if not is_head(seen):
        raise Corrupt("a record does not say which head of the system stream it saw")
    for name, kind in _TYPES:
        if type(fields[name]) is not kind:
            raise Corrupt(f"a record has no usable {name}")
    for name, sound in _SOUND:
        if not sound(fields[name]):
            raise Corrupt(f"a record has no usable {name}")
    return Record(**fields, seen=Head(seen["seq"], seen["hash"]), stored=stored, hash=digest(stored))


def load(stored: bytes, what: str, limit: int = MAX_RECORD_BYTES) -> dict[str, Any]:
    """The JSON object in these bytes: printable ASCII, no key twice, no floats, bounded in size and depth.

    Raises:
        Corrupt: anything else; the message holds none of the bytes.
    """
    if len(stored) > limit:
        raise Corrupt(f"{what} is larger than {limit} bytes")
    if stored.translate(None, PRINTABLE):
        raise Corrupt(f"{what} holds bytes that are not printable ASCII")
    try:
        content = _DECODER.decode(stored.decode("ascii"))
        if b"\\u" in stored or stored.count(b"{") + stored.count(b"[") > MAX_DEPTH:
            plain(content, what)  # else no lone surrogate and no deeper nesting is possible
    except (ValueError, UsageError, RecursionError):
        raise Corrupt(f"{what} is not the JSON that was written") from None
    if not isinstance(content, dict):
        raise Corrupt(f"{what} is not a JSON object")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key stands there twice")
    return content


def _digits(text: str) -> int:
    number = int(text)
    if abs(number) > MAX_INT:
        raise ValueError("a number beyond 2**53 - 1")
    return number


def _refuse(_: str) -> NoReturn:
    raise ValueError("a float, or no number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_refuse, parse_int=_digits, parse_constant=_refuse)


def is_head(content: object) -> bool:
    """Whether this is the JSON form of a head: `{"seq": n, "hash": hex}`."""
    return (
        isinstance(content, dict)
        and content.keys() == {"seq", "hash"}
        and _counts(content["seq"], 0)
        and isinstance(content["hash"], str)
        and _is_hash(content["hash"])
    )


def _counts(number: object, least: int) -> bool:
    return type(number) is int and number >= least


def _is_hash(text: str) -> bool:
    return _HASH.match(text) is not None


def _is_time(text: str) -> bool:
    try:
        return _TIME.match(text) is not None and parse_rfc3339(text) is not None
    except ValueError:
        return False


_TYPES: tuple[tuple[str, type], ...] = (
    *((name, str) for name in ("actor", "boot", "kind", "prev", "stream", "time")),
    *((name, int) for name in ("kind_version", "monotonic_ms", "seq")),
    ("critical", bool),
    ("data", dict),
)
_SOUND: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("prev", _is_hash),
    ("time", _is_time),
    ("seq", (0).__lt__),
    ("kind_version", (0).__lt__),
    ("monotonic_ms", (-1).__lt__),
)


@runtime_checkable
class KeepsRows(Protocol):
    """A journal that keeps status rows beside its records."""

    def mend(self) -> int:
        """Fold anew rows that another version wrote, or that were damaged; returns how many. Raises AdapterError."""


@runtime_checkable
class AcceptsGap(Protocol):
    """A journal that can go on after its newest records were lost."""

    def accept_gap(self, stream: str, reason: str) -> Record:
        """Write the record `gap`. Raises Conflict when nothing is missing."""
