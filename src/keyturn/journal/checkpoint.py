"""A checkpoint: the heads of all streams, signed, to be kept where the journal's owner cannot write.

The signed **body** is a small canonical JSON object that always fits into one syslog message. What
moved since the checkpoint before it stands beside the body, which holds its hash: put together,
they name the head of every stream. The exact form is in docs/formats/checkpoint.md.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from keyturn.core.errors import Corrupt
from keyturn.journal.record import EMPTY, SYSTEM, Event, Head, Record, canonical, digest, is_head, load

FORMAT = 1
MARKER = b"keyturn-checkpoint/1"
MADE = "checkpoint.made"
MAX_BODY = 2048
PIN = "ed25519:"
_KEY_ID_DIGITS = 16
_SIGNATURE = re.compile(r"[A-Za-z0-9_-]{86}\Z")
_LINE = re.compile(MARKER + rb" ([A-Za-z0-9_-]{86}) (\{[\x21-\x7e]+\})(?: (\{[\x21-\x7e]+\}))?(?!\S)")
_PIN = re.compile(PIN + r"([0-9a-f]{64})\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z", re.ASCII)
_FIELDS = frozenset(
    "environment format key moved n prev records service streams system time".split()  # noqa: SIM905 - reads as the document does
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose checkpoints are meant: the service, its environment, and the public key (32 bytes) that is pinned."""

    service: str
    environment: str
    key: bytes

    @property
    def key_id(self) -> str:
        """What checkpoints call that key: the first 16 hex digits of its SHA-256."""
        return hashlib.sha256(self.key).hexdigest()[:_KEY_ID_DIGITS]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the checkpoints of a journal stand: number and hash of the last one, and the heads that it knows."""

    n: int
    hash: str
    heads: Mapping[str, Head]


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key: its public half (32 bytes), and what signs (Ed25519, RFC 8032)."""

    public: bytes
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint, parsed; whether its signature holds is another question (`is_signed_by`).

    `n` counts upward, `prev` is the hash of the checkpoint before it (64 zeros for the first),
    `system` the head of the system stream, `records` and `streams` how many there were of them.
    `moved` has the streams whose heads are others than in the checkpoint before; None where it was
    left out because a message had no room.
    """

    n: int
    prev: str
    service: str
    environment: str
    key: str
    time: str
    system: Head
    streams: int
    records: int
    body: bytes
    signature: str
    moved: Mapping[str, Head] | None

    @property
    def hash(self) -> str:
        """SHA-256 of the body in hex: what the next one names."""
        return digest(self.body)

    @property
    def brief(self) -> bytes:
        """The line without what moved, and without a line break."""
        return b" ".join((MARKER, self.signature.encode("ascii"), self.body))

    @property
    def line(self) -> bytes:
        """The whole line, without a line break."""
        return self.brief if self.moved is None else b" ".join((self.brief, _heads(self.moved)))

    def is_of(self, identity: Identity) -> bool:
        """Whether it speaks of that service in that environment."""
        return (self.service, self.environment) == (identity.service, identity.environment)

    def is_signed_by(self, identity: Identity) -> bool:
        """Whether the pinned key signed this body."""
        if self.key != identity.key_id:
            return False
        try:
            signature = base64.urlsafe_b64decode(self.signature + "==")
            Ed25519PublicKey.from_public_bytes(identity.key).verify(signature, _signed(self.body))
        except InvalidSignature:
            return False
        return True


def pin_of(public: bytes) -> str:
    """A public key as the manifest pins it: `ed25519:` and 64 hex digits."""
    return PIN + public.hex()


def pinned(text: str) -> bytes:
    """The 32 bytes of a pinned key.

    Raises:
        ValueError: it is not one.
    """
    match = _PIN.match(text)
    if match is None:
        raise ValueError("a pinned key is ed25519: and 64 hex digits")
    return bytes.fromhex(match[1])


def signed(identity: Identity, signer: Signer, before: Standing, heads: Mapping[str, Head], time: str) -> Checkpoint:
    """The checkpoint that follows.

    Args:
        identity: whose it is.
        signer: the key that belongs to the identity.
        before: where the checkpoints stand.
        heads: of all streams, with those that did not move.
        time: RFC 3339 with milliseconds.
    """
    moved = {stream: head for stream, head in heads.items() if before.heads.get(stream) != head}
    body = canonical(
        {
            "environment": identity.environment,
            "format": FORMAT,
            "key": identity.key_id,
            "moved": digest(_heads(moved)),
            "n": before.n + 1,
            "prev": before.hash,
            "records": sum(head.seq for head in heads.values()),
            "service": identity.service,
            "streams": len(heads),
            "system": _head(heads.get(SYSTEM, EMPTY)),
            "time": time,
        }
    )
    signature = base64.urlsafe_b64encode(signer.sign(_signed(body))).decode().rstrip("=")
    return parse(body, signature, _heads(moved))


def parse(body: bytes, signature: str, moved: bytes | None) -> Checkpoint:
    """The checkpoint of these parts, taken strictly.

    Raises:
        Corrupt: they are not those of a checkpoint, or `moved` does not have the hash that the body holds.
    """
    content = load(body, "a checkpoint", MAX_BODY)
    if content.keys() != _FIELDS or content["format"] != FORMAT or not all(_soundness(content).values()):
        raise Corrupt("a checkpoint does not have the fields of its format")
    if not _SIGNATURE.match(signature):
        raise Corrupt("a checkpoint has no usable signature")
    if moved is not None and digest(moved) != content["moved"]:
        raise Corrupt("what moved is not what the checkpoint was signed with")
    del content["format"], content["moved"]
    system = Head(**content.pop("system"))
    return Checkpoint(**content, system=system, body=body, signature=signature, moved=_moved(moved))


def _moved(stored: bytes | None) -> Mapping[str, Head] | None:
    if stored is None:
        return None
    content = load(stored, "what moved")
    if not all(is_head(head) for head in content.values()):
        raise Corrupt("what moved is not made of heads")
    return {stream: Head(**head) for stream, head in content.items()}


def _soundness(content: Mapping[str, Any]) -> dict[str, bool]:
    texts = ("environment", "key", "prev", "moved", "service", "time")
    numbers = ("n", "records", "streams")
    return {
        "texts": all(isinstance(content[name], str) for name in texts)
        and all(_HASH.match(content[name]) for name in ("prev", "moved"))
        and _TIME.match(content["time"]) is not None,
        "numbers": all(type(content[name]) is int and content[name] >= 0 for name in numbers) and content["n"] > 0,
        "system": is_head(content["system"]),
    }


def found_in(line: bytes) -> Iterator[Checkpoint | None]:
    """The checkpoints in a line of text, whatever stands before them; None where one is spoilt or cut off."""
    matches = list(_LINE.finditer(line))
    for match in matches:
        try:
            yield parse(match[2], match[1].decode("ascii"), match[3])
        except Corrupt:
            yield None
    for _ in range(line.count(MARKER) - len(matches)):
        yield None


def event(checkpoint: Checkpoint) -> Event:
    """What the journal records of it: everything, so that it can be sent again byte for byte."""
    moved = {stream: _head(head) for stream, head in (checkpoint.moved or {}).items()}
    said = {"n": checkpoint.n, "body": checkpoint.body.decode("ascii"), "signature": checkpoint.signature}
    return Event(MADE, {**said, "moved": moved})


def recorded(record: Record) -> Checkpoint:
    """The checkpoint that a record `checkpoint.made` holds.

    Raises:
        Corrupt: it holds none.
    """
    data = record.data
    body, signature, moved = data.get("body"), data.get("signature"), data.get("moved")
    if not (isinstance(body, str) and isinstance(signature, str) and isinstance(moved, dict)):
        raise Corrupt(f"record {record.seq} of the stream {record.stream} holds no checkpoint", "keyturn audit verify")
    found = parse(body.encode(), signature, canonical(moved))
    if data.get("n") != found.n:
        raise Corrupt(f"record {record.seq} of the stream {record.stream} has another number than its checkpoint")
    return found


def _signed(body: bytes) -> bytes:
    return MARKER + b" " + body


def _heads(heads: Mapping[str, Head]) -> bytes:
    return canonical({stream: _head(head) for stream, head in heads.items()})


def _head(head: Head) -> dict[str, Any]:
    return {"seq": head.seq, "hash": head.hash}
