"""A second reader of the vault, written from docs/formats/vault.md, that shares no code with the first."""

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keyturn.stores.local import Keyring
from tests.unit.stores.places import CANARY, Place

L = "keyturn/vault/v1"


def _words(*parts: str | int | bytes) -> bytes:
    raws = [p.to_bytes(8, "big") if isinstance(p, int) else p.encode() if isinstance(p, str) else p for p in parts]
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in raws)


class _Reader:
    """Opens every record of a vault, given the opener of one slot."""

    def __init__(self, place: Place, kind: str, opener: Callable[[str], bytes]) -> None:
        with closing(sqlite3.connect(place.path)) as database:
            ((_, self.id, self.seq, self.previous, self.root, self.endorsement),) = database.execute(
                "SELECT * FROM vault"
            )
            self.slots = database.execute("SELECT * FROM slots ORDER BY position").fetchall()
            self.versions = database.execute("SELECT * FROM versions ORDER BY position").fetchall()
            self.records = {row[0]: row[1:] for row in database.execute("SELECT * FROM records")}
            (self.application,) = database.execute("PRAGMA application_id").fetchone()
        ((_, name, _, since, params, public, self.commitment, pledge, ephemeral, nonce, wrapped),) = [
            slot for slot in self.slots if slot[2] == kind
        ]
        key = opener(params)
        self.expected_commitment = self._hkdf(key, f"{L}/slot-commitment", name)
        private = X25519PrivateKey.from_private_bytes(self._hkdf(key, f"{L}/slot-private", name))
        assert private.public_key().public_bytes_raw() == public
        own = self._hkdf(key, f"{L}/slot-pledge", name)
        shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        wrapping = self._hkdf(shared + own, f"{L}/slot-wrap", name, ephemeral, public)
        bound = _words(f"{L}/slot", self.id, name, kind, since, params, public, self.commitment)
        self.key = AESGCM(wrapping).decrypt(nonce, wrapped, bound)
        assert self.kept(f"pledge/{name}", pledge) == own

    def kept(self, what: str, sealed: bytes) -> bytes:
        """What is sealed under the vault key by that name."""
        key = AESGCM(self._hkdf(self.key, f"{L}/keep", what))
        return key.decrypt(sealed[:12], sealed[12:], _words(f"{L}/keep", self.id, what))

    def key_id(self) -> str:
        """The name of the vault key, as the anchor keeps it."""
        return self._hkdf(self.key, f"{L}/key-id").hex()

    def _hkdf(self, key: bytes, *info: str | bytes) -> bytes:
        return HKDF(SHA256(), 32, salt=self.id.encode(), info=_words(*info)).derive(key)

    def expected_root(self) -> bytes:
        """The root as the page computes it."""
        slots = b"".join(_words(*slot) for slot in self.slots)
        heads = b"".join(_words(*version) for version in self.versions)
        counted = (len(self.slots), slots, len(self.versions), heads)
        covered = _words(f"{L}/root", self.id, self.seq, self.previous, self.endorsement, *counted)
        return hmac.digest(self._hkdf(self.key, f"{L}/root"), covered, "sha256")

    def values(self) -> list[str]:
        """The field `value` of each version."""
        found = []
        for position, name, version, attempt, predecessor, _, _, digest in self.versions:
            wrap_nonce, wrapped, nonce, body = self.records[position]
            assert hashlib.sha256(_words(wrap_nonce, wrapped, nonce, body)).digest() == digest
            bound = (self.id, name, version, predecessor, attempt)
            wrapping = AESGCM(self._hkdf(self.key, f"{L}/wrap", version))
            data_key = wrapping.decrypt(wrap_nonce, wrapped, _words(f"{L}/data-key", *bound))
            content = json.loads(AESGCM(data_key).decrypt(nonce, body, _words(f"{L}/value", *bound)))
            assert len(content["proof_key"]) == 64
            found.append(content["fields"]["value"])
        return found


def _check(reader: _Reader, place: Place) -> None:
    assert reader.application == 0x4B545631
    assert reader.commitment == reader.expected_commitment
    assert reader.root == reader.expected_root()
    assert reader.values() == [f"{CANARY}-1", f"{CANARY}-2", f"{CANARY}-3"]
    assert [version[4] for version in reader.versions] == ["", reader.versions[0][2], ""]
    anchor = {
        "format": "keyturn-anchor/1",
        "key": reader.key_id(),
        "root": reader.root.hex(),
        "seq": reader.seq,
        "vault": reader.id,
    }
    assert json.loads(place.anchor.read_bytes()) == anchor


def test_the_page_is_enough_to_read_a_vault_with_its_key_file(place: Place) -> None:
    """Slot, root, records and anchor are what the page says, through the key file."""
    _check(_Reader(place, "key-file", lambda _: bytes.fromhex(place.key_file.read_text())), place)


def _code_bytes(code: str) -> bytes:
    """The 25 bytes of a recovery code as the page writes them, its checksum unread."""
    number = 0
    for character in code.replace("-", "")[:40]:
        number = number * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    return number.to_bytes(25, "big")


def test_the_page_is_enough_to_read_a_vault_with_its_code(place: Place) -> None:
    """The same through the recovery code."""

    def opener(params: str) -> bytes:
        cost = json.loads(params)
        kdf = Argon2id(
            salt=bytes.fromhex(cost["salt"]),
            length=32,
            iterations=cost["iterations"],
            lanes=cost["lanes"],
            memory_cost=cost["memory_kib"],
        )
        return kdf.derive(_code_bytes(place.code.reveal()))

    _check(_Reader(place, "recovery", opener), place)


def test_the_page_is_enough_to_follow_a_re_key(place: Place) -> None:
    """After a slot was removed the endorsement holds the former vault key, and the slots that stay open the new one."""
    before = _Reader(place, "key-file", lambda _: bytes.fromhex(place.key_file.read_text()))
    assert before.endorsement == b""
    assert Keyring(place.open()).remove("recovery")
    after = _Reader(place, "key-file", lambda _: bytes.fromhex(place.key_file.read_text()))
    _check(after, place)
    assert after.kept("former", after.endorsement) == before.key
