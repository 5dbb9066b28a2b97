"""What the journal keeps: events go in, records come out, and the bytes in between never change.

A record is canonical JSON, written once (docs/formats/journal.md). Its hash is SHA-256 over the
bytes as they are stored: nothing is ever serialised a second time in order to check it.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, runtime_checkable

from keyturn.core import strict_json
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
_FOREIGN = re.compile(rb"[^\x20-\x7e]")
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
    if content is None or isinstance(content, bool):
        return content
    if isinstance(content, int):
        return _whole(content, where)
    if isinstance(content, str):
        return _text(content, where)
    if depth == MAX_DEPTH:
        raise UsageError(f"{where} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(content, list | tuple):
        return [plain(item, f"{where}[{at}]", depth + 1) for at, item in enumerate(content)]
    if isinstance(content, dict | MappingProxyType):
        return {_key(key, where): plain(item, f"{where}.{key}", depth + 1) for key, item in content.items()}
    raise UsageError(f"{where} is of type {type(content).__name__}, which a journal does not hold")


def _whole(number: int, where: str) -> int:
    if abs(number) > MAX_INT:
        raise UsageError(f"{where} is a number beyond 2**53 - 1")
    return int(number)


def _text(text: str, where: str) -> str:
    if _SURROGATE.search(text):
        raise UsageError(f"{where} holds a lone surrogate")
    return str.__str__(text)


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise UsageError(f"{where} has a key of type {type(key).__name__}")
    return _text(key, f"a key of {where}")


def canonical(content: object) -> bytes:
    """Canonical JSON: keys sorted by code point, no spaces, everything but printable ASCII escaped.

    Raises:
        UsageError: something else than JSON's own types, or a float.
    """
    return json.dumps(plain(content), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def digest(stored: bytes) -> str:
    """The hash of a record: SHA-256 of its bytes, in hex."""
    return hashlib.sha256(stored).hexdigest()


def write(head: Mapping[str, Any], event: Event) -> Record:
    """The record of `event`; `head` holds the fields that the journal adds.

    Raises:
        UsageError: the event's data is not plain JSON.
        TooLarge: longer than `MAX_RECORD_BYTES`.
    """
    if not isinstance(plain(event.data), dict):
        raise UsageError("the data of an event is a table of fields")
    stored = canonical({**head, "format": FORMAT, "kind": event.kind, "data": event.data})
    if len(stored) > MAX_RECORD_BYTES:
        raise TooLarge(f"a {event.kind} record of {len(stored)} bytes", f"a record holds {MAX_RECORD_BYTES} at most")
    return parse(stored)


def parse(stored: bytes) -> Record:
    """The record in these bytes, taken strictly.

    Raises:
        Corrupt: not a record of this format; the message holds none of the bytes.
    """
    fields = load(stored, "a record")
    if fields.keys() != _FIELDS or not _counts(fields["format"], 1) or fields["format"] != FORMAT:
        raise Corrupt("a record does not have the fields of its format")
    seen = fields.pop("seen")
    del fields["format"]
    if not is_head(seen):
        raise Corrupt("a record does not say which head of the system stream it saw")
    record = Record(**fields, seen=Head(**seen), stored=stored, hash=digest(stored))
    for name, sound in _soundness(record).items():
        if not sound:
            raise Corrupt(f"a record has no usable {name}")
    return record


def load(stored: bytes, what: str, limit: int = MAX_RECORD_BYTES) -> dict[str, Any]:
    """The JSON object in these bytes: printable ASCII, no key twice, no floats, bounded in size and depth.

    Raises:
        Corrupt: anything else; the message holds none of the bytes.
    """
    if len(stored) > limit:
        raise Corrupt(f"{what} is larger than {limit} bytes")
    if _FOREIGN.search(stored):
        raise Corrupt(f"{what} holds bytes that are not printable ASCII")
    try:
        content = strict_json.load(stored)
        plain(content, what)
    except (ValueError, UsageError):
        raise Corrupt(f"{what} is not the JSON that was written") from None
    if not isinstance(content, dict):
        raise Corrupt(f"{what} is not a JSON object")
    return content


def is_head(content: object) -> bool:
    """Whether this is the JSON form of a head: `{"seq": n, "hash": hex}`."""
    return (
        isinstance(content, dict)
        and content.keys() == {"seq", "hash"}
        and _counts(content["seq"], 0)
        and _is_hash(content["hash"])
    )


def _soundness(record: Record) -> dict[str, bool]:
    return {
        "seq": _counts(record.seq, 1),
        "prev": _is_hash(record.prev),
        "time": isinstance(record.time, str) and _is_time(record.time),
        "boot": isinstance(record.boot, str),
        "monotonic_ms": _counts(record.monotonic_ms, 0),
        "actor": isinstance(record.actor, str),
        "stream": isinstance(record.stream, str),
        "kind": isinstance(record.kind, str),
        "kind_version": _counts(record.kind_version, 1),
        "critical": isinstance(record.critical, bool),
        "data": isinstance(record.data, dict),
    }


def _counts(number: object, least: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= least


def _is_hash(text: object) -> bool:
    return isinstance(text, str) and bool(_HASH.match(text))


def _is_time(text: str) -> bool:
    try:
        return bool(_TIME.match(text)) and parse_rfc3339(text) is not None
    except ValueError:
        return False


@runtime_checkable
class AcceptsGap(Protocol):
    """A journal that can go on after its newest records were lost."""

    def accept_gap(self, stream: str, reason: str) -> Record:
        """Write the record `gap`. Raises Conflict when nothing is missing."""
