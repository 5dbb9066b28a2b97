"""A second writer of vaults, made from docs/formats/vault.md; it shares no code with the first and draws from a seed.

Only for test vectors: what it makes opens with keys that stand in a public file.
"""

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

L = "keyturn/vault/v1"
APPLICATION_ID = 0x4B545631
SLOT_COLUMNS = (
    "name TEXT, kind TEXT, since TEXT, params TEXT, public BLOB, commitment BLOB, pledge BLOB, ephemeral BLOB,"
    " nonce BLOB, wrapped BLOB"
)
VERSION_COLUMNS = "name TEXT, id TEXT, attempt TEXT, predecessor TEXT, state TEXT, created TEXT, digest BLOB"
TABLES = (
    "CREATE TABLE vault (one INTEGER PRIMARY KEY, id TEXT, seq INTEGER, previous BLOB, root BLOB, endorsement BLOB)",
    f"CREATE TABLE slots (position INTEGER PRIMARY KEY, {SLOT_COLUMNS})",
    f"CREATE TABLE versions (position INTEGER PRIMARY KEY, {VERSION_COLUMNS})",
    "CREATE TABLE records (position INTEGER PRIMARY KEY, wrap_nonce BLOB, wrapped BLOB, nonce BLOB, body BLOB)",
)
SINCE = "2026-11-23T12:00:00.000Z"
CHEAP = {"iterations": 1, "lanes": 1, "memory_kib": 8192}
"""The least that a reader accepts: vectors are for reading often."""
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

Row = list[Any]
Rows = dict[str, list[Row]]


def words(*parts: str | int | bytes) -> bytes:
    """As the page has it."""
    raws = [p.to_bytes(8, "big") if isinstance(p, int) else p.encode() if isinstance(p, str) else p for p in parts]
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in raws)


def hkdf(vault_id: str, key: bytes, *info: str | bytes) -> bytes:
    """As the page has it."""
    return HKDF(SHA256(), 32, salt=vault_id.encode(), info=words(*info)).derive(key)


def canonical(value: object) -> str:
    """JSON, keys sorted, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def code_text(raw: bytes) -> str:
    """A recovery code as it is printed."""
    check = int.from_bytes(hashlib.sha256(b"keyturn/recovery/v1" + raw).digest()[:4], "big") >> 7
    digits = f"{int.from_bytes(raw, 'big'):0200b}{check:025b}"
    text = "".join(CROCKFORD[int(digits[at : at + 5], 2)] for at in range(0, 225, 5))
    return "-".join(text[at : at + 5] for at in range(0, 45, 5))


class Draw:
    """Bytes that look random and are the same each time."""

    def __init__(self, seed: str) -> None:
        self._seed, self._count = seed, 0

    def __call__(self, size: int) -> bytes:
        """The next bytes."""
        found = b""
        while len(found) < size:
            self._count += 1
            found += hashlib.sha256(f"{self._seed}/{self._count}".encode()).digest()
        return found[:size]


@dataclass
class Key:
    """What opens a slot: its kind, its bytes, and how a vector writes it down."""

    kind: str
    secret: bytes
    text: str


def key_file(draw: Draw) -> Key:
    """A key file."""
    raw = draw(32)
    return Key("key-file", raw, raw.hex())


def recovery(draw: Draw) -> Key:
    """A recovery code."""
    raw = draw(25)
    return Key("recovery", raw, code_text(raw))


def passphrase(text: str) -> Key:
    """A passphrase, in whatever form it was typed."""
    return Key("passphrase", unicodedata.normalize("NFC", text).encode(), text)


@dataclass
class Vault:
    """One vault in memory; `commit` is one transaction. `contents` are the sealed texts by version id."""

    draw: Draw
    id: str
    key: bytes
    seq: int = 0
    previous: bytes = bytes(32)
    root: bytes = bytes(32)
    endorsement: bytes = b""
    slots: list[Row] = field(default_factory=list)
    versions: list[Row] = field(default_factory=list)
    records: list[Row] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    pledges: dict[str, bytes] = field(default_factory=dict)

    def hkdf(self, key: bytes, *info: str | bytes) -> bytes:
        """With this vault's id."""
        return hkdf(self.id, key, *info)

    def keep(self, what: str, content: bytes) -> bytes:
        """`content` under the vault key."""
        nonce, bound = self.draw(12), words(f"{L}/keep", self.id, what)
        return nonce + AESGCM(self.hkdf(self.key, f"{L}/keep", what)).encrypt(nonce, content, bound)

    def add_slot(self, name: str, way: Key, cost: Mapping[str, int] = CHEAP) -> None:
        """One more way in."""
        params, opener = "{}", way.secret
        if way.kind != "key-file":
            salt = self.draw(16)
            params = canonical({**cost, "salt": salt.hex()})
            stretch = Argon2id(
                salt=salt,
                length=32,
                iterations=cost["iterations"],
                lanes=cost["lanes"],
                memory_cost=cost["memory_kib"],
            )
            opener = stretch.derive(way.secret)
        private = X25519PrivateKey.from_private_bytes(self.hkdf(opener, f"{L}/slot-private", name))
        public = private.public_key().public_bytes_raw()
        commitment = self.hkdf(opener, f"{L}/slot-commitment", name)
        self.pledges[name] = self.hkdf(opener, f"{L}/slot-pledge", name)
        position = max((slot[0] for slot in self.slots), default=0) + 1
        self.slots.append(self.wrap([position, name, way.kind, SINCE, params, public, commitment]))

    def wrap(self, head: Row, pledge: bytes | None = None) -> Row:
        """A row of `slots` from its first seven columns."""
        _, name, kind, since, params, public, commitment = head
        pledge = self.pledges[name] if pledge is None else pledge
        ephemeral = X25519PrivateKey.from_private_bytes(self.draw(32))
        point = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
        wrapping = self.hkdf(shared + pledge, f"{L}/slot-wrap", name, point, public)
        nonce, bound = self.draw(12), words(f"{L}/slot", self.id, name, kind, since, params, public, commitment)
        kept = self.keep(f"pledge/{name}", pledge)
        return [*head, kept, point, nonce, AESGCM(wrapping).encrypt(nonce, self.key, bound)]

    def add(self, name: str, state: str, content: bytes) -> str:
        """A version with that content; its id."""
        version, attempt = self.draw(16).hex(), f"attempt-{len(self.versions) + 1}"
        predecessor = next((row[2] for row in reversed(self.versions) if row[1] == name), "")
        data_key, nonce, wrap_nonce = self.draw(32), self.draw(12), self.draw(12)
        bound = (self.id, name, version, predecessor, attempt)
        body = AESGCM(data_key).encrypt(nonce, content, words(f"{L}/value", *bound))
        wrapping = AESGCM(self.hkdf(self.key, f"{L}/wrap", version))
        wrapped = wrapping.encrypt(wrap_nonce, data_key, words(f"{L}/data-key", *bound))
        position = len(self.versions) + 1
        self.records.append([position, wrap_nonce, wrapped, nonce, body])
        digest = hashlib.sha256(words(wrap_nonce, wrapped, nonce, body)).digest()
        self.versions.append([position, name, version, attempt, predecessor, state, SINCE, digest])
        self.contents[version] = content
        return version

    def redigest(self) -> None:
        """Make every digest fit its record, as only somebody with the vault key would."""
        for version, record in zip(self.versions, self.records, strict=True):
            version[7] = hashlib.sha256(words(*record[1:])).digest()

    def rekey(self, without: str) -> None:
        """A new vault key, and one slot less."""
        former, self.key = self.key, self.draw(32)
        for version, record in zip(self.versions, self.records, strict=True):
            bound = words(f"{L}/data-key", self.id, version[1], version[2], version[4], version[3])
            data_key = AESGCM(self.hkdf(former, f"{L}/wrap", version[2])).decrypt(record[1], record[2], bound)
            record[1] = self.draw(12)
            record[2] = AESGCM(self.hkdf(self.key, f"{L}/wrap", version[2])).encrypt(record[1], data_key, bound)
        self.redigest()
        self.slots = [self.wrap(slot[:7]) for slot in self.slots if slot[1] != without]
        self.endorsement = self.keep("former", former)

    def commit(self, *, keep_endorsement: bool = False) -> None:
        """The next transaction."""
        self.seq, self.previous = self.seq + 1, self.root
        self.reroot()
        self._done = self.rows(), self.anchor()
        if not keep_endorsement:
            self.endorsement = b""

    def reroot(self) -> None:
        """The root of what stands now."""
        slots = b"".join(words(*row) for row in self.slots)
        versions = b"".join(words(*row) for row in self.versions)
        counted = (len(self.slots), slots, len(self.versions), versions)
        covered = words(f"{L}/root", self.id, self.seq, self.previous, self.endorsement, *counted)
        self.root = hmac.digest(self.hkdf(self.key, f"{L}/root"), covered, "sha256")

    def rows(self) -> Rows:
        """Copies of all rows, by table."""
        top = [[1, self.id, self.seq, self.previous, self.root, self.endorsement]]
        tables = {"vault": top, "slots": self.slots, "versions": self.versions, "records": self.records}
        return {name: [list(row) for row in rows] for name, rows in tables.items()}

    def anchor(self) -> dict[str, Any]:
        """What the anchor says of this moment."""
        key = self.hkdf(self.key, f"{L}/key-id").hex()
        return {"format": "keyturn-anchor/1", "key": key, "root": self.root.hex(), "seq": self.seq, "vault": self.id}

    @property
    def done(self) -> tuple[Rows, dict[str, Any]]:
        """Rows and anchor as the last transaction left them."""
        return self._done


def bundle(draw: Draw, **fields: str) -> bytes:
    """The bytes of a bundle."""
    return canonical({"fields": fields, "proof_key": draw(32).hex()}).encode()
