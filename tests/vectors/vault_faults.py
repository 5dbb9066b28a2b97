"""The faults of single cells, rows and tables that the vectors hold, one for each vector."""

import copy
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.vectors.vault_vector import dumped
from tests.vectors.vault_writer import APPLICATION_ID, TABLES, L, Row, Rows, Vault, words

Edit = Callable[[Rows], object]
Fault = tuple[str, Edit]


def _flip(value: bytes) -> bytes:
    return bytes([value[0] ^ 0x40]) + value[1:]


def _put(table: str, row: int, column: int, value: object) -> Edit:
    def edit(rows: Rows) -> None:
        former = rows[table][row][column]
        rows[table][row][column] = value(former) if callable(value) else value

    return edit


def _drop(table: str, row: int) -> Edit:
    return lambda rows: rows[table].pop(row)


def _swap(table: str, column: int) -> Edit:
    """The cells of the second and the third row."""

    def edit(rows: Rows) -> None:
        one, two = rows[table][1], rows[table][2]
        one[column], two[column] = two[column], one[column]

    return edit


def _swap_records(rows: Rows) -> None:
    first, last = rows["records"][0], rows["records"][2]
    first[0], last[0] = last[0], first[0]


def _doubled(rows: Rows) -> None:
    rows["versions"].append([9, *rows["versions"][2][1:]])


def _crowd(rows: Rows) -> None:
    rows["slots"] += [[at, f"s{at}", "x", "", "", b"", b"", b"", b"", b"", b""] for at in range(3, 18)]


def _more_slots(rows: Rows) -> None:
    rows["slots"].append([3, "mallory", *rows["slots"][0][2:]])


def _two_roots(rows: Rows) -> None:
    rows["vault"].append([2, *rows["vault"][0][1:]])


CELLS: dict[str, Fault] = {
    "root": ("the root has one bit flipped", _put("vault", 0, 4, _flip)),
    "root-short": ("the root is one byte long", _put("vault", 0, 4, b"\0")),
    "previous": ("the former root has one bit flipped", _put("vault", 0, 3, _flip)),
    "seq-higher": ("the number of transactions is one higher", _put("vault", 0, 2, lambda seq: seq + 1)),
    "seq-negative": ("a number below zero", _put("vault", 0, 2, -1)),
    "seq-text": ("a text where a number belongs", _put("vault", 0, 2, "x")),
    "endorsement": ("an endorsement where none was", _put("vault", 0, 5, bytes(60))),
    "no-root": ("the table vault is empty", _drop("vault", 0)),
    "two-roots": ("the table vault has two rows", _two_roots),
    "version-promoted": ("a pending version was made current", _put("versions", 2, 5, "current")),
    "pointer-moved": ("the current version and the previous one changed places", _put("versions", 1, 5, "previous")),
    "state-empty": ("a state is NULL", _put("versions", 2, 5, None)),
    "state-not-utf8": ("a state is not UTF-8", _put("versions", 2, 5, {"text": "ff"})),
    "name": ("a version has another name", _put("versions", 2, 1, "post")),
    "name-blob": ("a name is a blob", _put("versions", 2, 1, b"mail")),
    "names-swapped": ("two versions of two secrets changed names", _swap("versions", 1)),
    "ids-swapped": ("two versions changed ids", _swap("versions", 2)),
    "attempt": ("a version has another attempt", _put("versions", 2, 3, "attempt-9")),
    "predecessor": ("a version has another predecessor", _put("versions", 1, 4, "")),
    "created": ("a version is older than it was", _put("versions", 1, 6, "2020-01-01T00:00:00.000Z")),
    "created-number": ("a number where a text belongs", _put("versions", 1, 6, 5)),
    "digest": ("a digest has one bit flipped", _put("versions", 1, 7, _flip)),
    "digests-swapped": ("two versions changed digests", _swap("versions", 7)),
    "order": ("the first version stands last", _put("versions", 0, 0, 9)),
    "version-removed": ("the newest version is gone", _drop("versions", 2)),
    "version-doubled": ("a version stands there twice", _doubled),
    "records-swapped": ("the records of two versions changed places", _swap_records),
    "record-removed": ("a record is gone", _drop("records", 1)),
    "record-nonce": ("the nonce of a record has one bit flipped", _put("records", 1, 3, _flip)),
    "record-wrap-nonce": ("the nonce of a wrapped data key has one bit flipped", _put("records", 1, 1, _flip)),
    "record-wrapped": ("a wrapped data key has one bit flipped", _put("records", 1, 2, _flip)),
    "record-body": ("a sealed bundle has one bit flipped", _put("records", 1, 4, _flip)),
    "record-body-cut": ("a sealed bundle is one byte shorter", _put("records", 1, 4, lambda body: body[:-1])),
    "record-body-of-former": (
        "a version has the bundle of the one before",
        lambda r: r["records"][1].__setitem__(4, r["records"][0][4]),
    ),
    "record-of-former": (
        "a version has the whole record of the one before",
        lambda r: r["records"][1].__setitem__(slice(1, 5), r["records"][0][1:]),
    ),
    "record-body-text": ("a text where a sealed bundle belongs", _put("records", 1, 4, "x")),
    "slot-removed": ("a slot is gone", _drop("slots", 1)),
    "slot-added": ("a slot was copied under another name", _more_slots),
    "slots-too-many": ("seventeen slots", _crowd),
    "slot-pledge": ("the pledge of the slot in use has one bit flipped", _put("slots", 0, 7, _flip)),
    "slot-of-other": ("a slot that is not in use has one bit flipped", _put("slots", 1, 10, _flip)),
    "slot-position": ("a slot stands at another place", _put("slots", 0, 0, 7)),
}


def _params(**change: object) -> Edit:
    def edit(rows: Rows) -> None:
        params = json.loads(rows["slots"][1][4]) | change
        rows["slots"][1][4] = json.dumps({name: value for name, value in params.items() if value != "leave out"})

    return edit


SLOTS: dict[str, Fault] = {
    "slot-wrapped": ("the wrapped vault key has one bit flipped", _put("slots", 0, 10, _flip)),
    "slot-wrapped-cut": ("the wrapped vault key is cut", _put("slots", 0, 10, lambda cell: cell[:20])),
    "slot-nonce": ("the nonce of a slot has one bit flipped", _put("slots", 0, 9, _flip)),
    "slot-nonce-short": ("the nonce of a slot is one byte long", _put("slots", 0, 9, b"\0")),
    "slot-ephemeral": ("the ephemeral point has one bit flipped", _put("slots", 0, 8, _flip)),
    "slot-ephemeral-zero": ("the ephemeral point is of low order", _put("slots", 0, 8, bytes(32))),
    "slot-ephemeral-short": ("the ephemeral point is 31 bytes long", _put("slots", 0, 8, bytes(31))),
    "slot-public": ("the public point has one bit flipped", _put("slots", 0, 5, _flip)),
    "slot-since": ("a slot is older than it was", _put("slots", 0, 3, "2020-01-01T00:00:00.000Z")),
    "slot-params": ("the parameters of a key file slot are others", _put("slots", 0, 4, "{ }")),
    "slot-wrapped-of-other": (
        "a slot has the wrapped key of another one",
        lambda rows: rows["slots"][0].__setitem__(slice(7, 11), rows["slots"][1][7:]),
    ),
    "kdf-memory": ("a TiB of memory is asked for", _params(memory_kib=2**30)),
    "kdf-memory-over": ("one KiB more memory than a reader allows", _params(memory_kib=262145)),
    "kdf-memory-under": ("less memory than a reader allows", _params(memory_kib=8191)),
    "kdf-memory-negative": ("memory below zero", _params(memory_kib=-8192)),
    "kdf-iterations": ("a billion passes are asked for", _params(iterations=10**9)),
    "kdf-iterations-zero": ("no pass at all", _params(iterations=0)),
    "kdf-iterations-boolean": ("true for a number", _params(iterations=True)),
    "kdf-iterations-float": ("a number that is not whole", _params(iterations=1.0)),
    "kdf-iterations-text": ("a text for a number", _params(iterations="1")),
    "kdf-lanes": ("more lanes than a reader allows", _params(lanes=5)),
    "kdf-lanes-missing": ("no lanes", _params(lanes="leave out")),
    "kdf-salt-short": ("a salt of 15 bytes", _params(salt="00" * 15)),
    "kdf-salt-long": ("a salt of a thousand bytes", _params(salt="00" * 1000)),
    "kdf-salt-not-hex": ("a salt that is not hexadecimal", _params(salt="zz" * 16)),
    "kdf-not-json": ("no JSON", _put("slots", 1, 4, "{")),
    "kdf-empty": ("nothing", _put("slots", 1, 4, "")),
    "kdf-list": ("a list", _put("slots", 1, 4, "[]")),
    "kdf-deep": ("nested ten thousand deep", _put("slots", 1, 4, "[" * 10_000)),
}


def _with(*more: str) -> Callable[[Rows], tuple[str, ...]]:
    return lambda rows: dumped(rows, (*TABLES, *more))


def _without_records(rows: Rows) -> tuple[str, ...]:
    return dumped({name: cells for name, cells in rows.items() if name != "records"}, TABLES[:-1])


def _renamed(rows: Rows) -> tuple[str, ...]:
    return dumped(rows, tuple(table.replace("attempt TEXT", "try TEXT") for table in TABLES))


SCHEMAS: dict[str, tuple[str, Callable[[Rows], tuple[str, ...]]]] = {
    "schema-trigger": (
        "a trigger that removes what is written",
        _with("CREATE TRIGGER t AFTER INSERT ON vault BEGIN DELETE FROM records; END"),
    ),
    "schema-view": ("a view besides the tables", _with("CREATE VIEW v AS SELECT * FROM records")),
    "schema-table": ("a table besides the four", _with("CREATE TABLE t (x)")),
    "schema-index": ("an index", _with("CREATE INDEX i ON versions (name)")),
    "schema-column": ("a column has another name", _renamed),
    "schema-no-records": ("a table is missing", _without_records),
    "application-id": ("the application_id is another one", lambda rows: dumped(rows, TABLES, APPLICATION_ID + 1)),
}


def _move(vault: Vault) -> None:
    vault.records[2][1:] = copy.copy(vault.records[0][1:])
    vault.redigest()


def _rename(vault: Vault, column: int, value: str) -> None:
    vault.contents.setdefault(value, vault.contents[vault.versions[1][2]])
    vault.versions[1][column] = value


def _sealed(vault: Vault, content: bytes) -> None:
    vault.add("mail", "pending", content)


def _rewrapped(vault: Vault, **columns: Any) -> None:
    """The slot in use, with its wrapped key made under other circumstances."""
    vault.slots[0] = vault.wrap(vault.slots[0][:7], **columns)


def _key_of(vault: Vault, length: int) -> None:
    whole, vault.key = vault.key, vault.key[:length]
    slot = vault.wrap(vault.slots[0][:7])
    vault.key = whole
    vault.slots[0] = slot


def _short_body(vault: Vault) -> None:
    row: Row = vault.records[1]
    version = vault.versions[1]
    bound = words(f"{L}/value", vault.id, version[1], version[2], version[4], version[3])
    row[4] = AESGCM(bytes(32)).encrypt(row[3], b"{}", bound)
    vault.redigest()


INSIDER: dict[str, tuple[str, Callable[[Vault], None]]] = {
    "bound-record-moved": ("a record stands at another version, its digest and the root fit", _move),
    "bound-name": ("a version has another name, the root fits", lambda vault: _rename(vault, 1, "mail")),
    "bound-id": ("a version has another id, the root fits", lambda vault: _rename(vault, 2, "0" * 32)),
    "bound-attempt": ("a version has another attempt, the root fits", lambda vault: _rename(vault, 3, "attempt-9")),
    "bound-predecessor": ("a version has another predecessor, the root fits", lambda vault: _rename(vault, 4, "")),
    "bound-body": ("a bundle is sealed with another data key, digest and root fit", _short_body),
    "bundle-not-json": ("what was sealed is not JSON", lambda vault: _sealed(vault, b"plain text")),
    "bundle-no-proof-key": (
        "a bundle without its proof key",
        lambda vault: _sealed(vault, b'{"fields":{"value":"x"}}'),
    ),
    "bundle-no-field": (
        "a bundle without a field",
        lambda v: _sealed(v, b'{"fields":{},"proof_key":"' + b"0" * 64 + b'"}'),
    ),
    "bundle-empty": ("nothing was sealed", lambda vault: _sealed(vault, b"")),
    "slot-no-pledge": (
        "encrypted to the public point by somebody without the pledge",
        lambda v: _rewrapped(v, pledge=bytes(32)),
    ),
    "slot-key-short": ("a vault key of 31 bytes", lambda vault: _key_of(vault, 31)),
    "slot-key-empty": ("a vault key of no bytes", lambda vault: _key_of(vault, 0)),
}
