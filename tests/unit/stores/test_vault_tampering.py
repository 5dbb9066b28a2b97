"""Whatever is changed in the file: the right content, or a refusal, never anything else."""

import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from keyturn.core.errors import AdapterError, Corrupt, Denied, RolledBack
from keyturn.core.secret import Bundle
from keyturn.core.version import Version
from keyturn.stores.local import LocalVault
from keyturn.stores.local.database import insert, record
from keyturn.stores.local.sealing import VaultKey
from keyturn.stores.local.slots import PASSPHRASE, RECOVERY, Slot, Way, make_slot, open_slots
from tests.unit.stores.places import CANARY, Place, bundle, stage
from tests.values import stands_in

Seen = list[tuple[str, str | None, tuple[Version, ...], list[Bundle]]]


def _everything(vault: LocalVault) -> Seen:
    """All that a vault says, content included."""
    return [
        (
            name,
            vault.current(name),
            vault.versions(name),
            [vault.read(name, version.id) for version in vault.versions(name)],
        )
        for name in vault.names()
    ]


def _damage(place: Place, content: bytes, right: Seen) -> bool:
    """Put these bytes in place of the vault; whether it refuses. Anything else than the truth fails the test."""
    for left in place.path.parent.iterdir():
        left.unlink()
    place.path.write_bytes(content)
    place.path.chmod(0o600)
    try:
        seen = _everything(place.open())
    except AdapterError as error:
        told = f"{error!r} {error.message} {error.remedy}"
    else:
        told = ""
        assert seen == right
    assert CANARY not in told
    return bool(told)


def _flip(content: bytes, at: int, mask: int) -> bytes:
    return content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]


def test_a_flipped_byte_changes_nothing_that_is_returned(place: Place) -> None:
    """Sampled over the file, and at every byte of what is stored, a flip gives the truth or a refusal."""
    whole, right = place.path.read_bytes(), _everything(place.open())
    draw = random.Random(7)  # noqa: S311 - the same bytes each time
    for at in draw.sample([at for at, byte in enumerate(whole) if byte], 450):
        _damage(place, _flip(whole, at, draw.randrange(1, 256)), right)
    for at in draw.sample(range(len(whole)), 50):
        _damage(place, _flip(whole, at, 1 << draw.randrange(8)), right)
    assert not _damage(place, whole, right)


def test_a_flip_in_what_is_stored_is_always_refused(place: Place) -> None:
    """Every stored column of every table but the slot that is not used refuses each flip."""
    right, whole = _everything(place.open()), place.path.read_bytes()
    with place.database() as database:
        rows = [
            *database.execute("SELECT id, previous, root FROM vault"),
            *database.execute(
                "SELECT name, kind, since, params, public, commitment, pledge, ephemeral, nonce, wrapped FROM slots"
            ),
            *database.execute("SELECT name, id, attempt, predecessor, state, created, digest FROM versions"),
            *database.execute("SELECT wrap_nonce, wrapped, nonce, body FROM records"),
        ]
    cells = {cell.encode() if isinstance(cell, str) else cell for row in rows for cell in row if cell}
    draw = random.Random(8)  # noqa: S311 - the same bytes each time
    refused = 0
    for cell in sorted(cell for cell in cells if len(cell) > 10):
        at = whole.index(cell)
        for offset in draw.sample(range(len(cell)), min(8, len(cell))):
            assert _damage(place, _flip(whole, at + offset, draw.randrange(1, 256)), right), cell
            refused += 1
    assert refused > 200


def test_a_truncated_file_is_refused(place: Place) -> None:
    """Cut at every page and at sampled bytes, the vault is refused; an empty file as well."""
    whole, right = place.path.read_bytes(), _everything(place.open())
    draw = random.Random(9)  # noqa: S311 - the same bytes each time
    for length in {0, 1, 15, 16, 99, 100, *range(0, len(whole), 1024), *draw.sample(range(len(whole)), 30)}:
        assert _damage(place, whole[:length], right), length


EDITS = {
    "a version made current": "UPDATE versions SET state = 'current' WHERE name = 'mail'",
    "a pointer moved": "UPDATE versions SET state = CASE state WHEN 'current' THEN 'previous' ELSE 'current' END",
    "a name": "UPDATE versions SET name = 'post' WHERE name = 'mail'",
    "names swapped": "UPDATE versions SET name = CASE name WHEN 'mail' THEN 'database' ELSE 'mail' END",
    "an attempt": "UPDATE versions SET attempt = 'a0' WHERE attempt = 'a1'",
    "a time": "UPDATE versions SET created = '2020-01-01T00:00:00.000Z'",
    "the order": "UPDATE versions SET position = position + 10 WHERE attempt = 'a1'",
    "a version removed": "DELETE FROM versions WHERE attempt = 'a3'",
    "a version doubled": "INSERT INTO versions SELECT 9, name, 'x', 'x', id, 'pending', created, digest"
    " FROM versions WHERE attempt = 'a3'",
    "a number for text": "UPDATE versions SET created = 5",
    "text for a number": "UPDATE vault SET seq = 'x'",
    "a blob for text": "UPDATE versions SET name = CAST(name AS BLOB)",
    "no text": "UPDATE versions SET state = NULL",
    "text that is no UTF-8": "UPDATE versions SET state = CAST(x'ff' AS TEXT)",
    "a number below zero": "UPDATE vault SET seq = -1",
    "another number": "UPDATE vault SET seq = seq + 1",
    "a short root": "UPDATE vault SET root = x'00'",
    "no root": "DELETE FROM vault",
    "two roots": "INSERT INTO vault SELECT 2, id, seq, previous, root, endorsement FROM vault",
    "a slot removed": "DELETE FROM slots WHERE kind = 'recovery'",
    "a slot added": "INSERT INTO slots SELECT 9, name, kind, since, params, public, commitment, pledge, ephemeral,"
    " nonce, wrapped FROM slots WHERE position = 1",
    "too many slots": "INSERT INTO slots WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n LIMIT 20)"
    " SELECT i, 'x', '', '', '', x'', x'', x'', x'', x'', x'' FROM n",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON versions BEGIN DELETE FROM records; END",
    "a view": "CREATE VIEW v AS SELECT * FROM records",
    "a table": "CREATE TABLE t (x)",
    "a table missing": "DROP TABLE records",
    "a column": "ALTER TABLE versions ADD COLUMN x",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_is_refused_by_open_handles_and_new_ones(place: Place, edit: str) -> None:
    """Whoever edits the database without the key makes every method of every handle refuse."""
    handle = place.open()
    with place.database() as database:
        database.execute(edit)
    calls: tuple[Callable[[], object], ...] = (
        place.open,
        handle.names,
        lambda: handle.versions("mail"),
        lambda: handle.stage("mail", bundle("x"), "a9"),
        lambda: handle.promote("mail", "a3", None),
    )
    for call in calls:
        with pytest.raises((Corrupt, RolledBack)):
            call()


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE records SET position = 4 - position WHERE position IN (1, 3)",
        "DELETE FROM records",
        "UPDATE records SET body = 5",
        "UPDATE records SET body = (SELECT body FROM records WHERE position = 1)",
        "UPDATE records SET nonce = x''",
        "UPDATE records SET wrapped = substr(wrapped, 2)",
    ],
)
def test_a_record_that_is_not_the_one_written_is_refused(place: Place, edit: str) -> None:
    """Records that were moved, removed or cut are found when they are read, and nothing of them comes out."""
    handle = place.open()
    with place.database() as database:
        if "4 - position" in edit:
            database.execute("UPDATE records SET position = 9 WHERE position = 1")
            database.execute("UPDATE records SET position = 1 WHERE position = 3")
            database.execute("UPDATE records SET position = 3 WHERE position = 9")
        else:
            database.execute(edit)
    with pytest.raises(Corrupt):
        handle.read("mail", handle.versions("mail")[0].id)
    with pytest.raises(Corrupt):
        handle.stage("mail", bundle(f"{CANARY}-3"), "a3")
    if "body" not in edit:
        with pytest.raises(Corrupt):
            place.recover()


def test_a_record_does_not_open_under_another_name(place: Place) -> None:
    """Even a root that was made with the vault key does not let a record pass for another version's."""
    handle = place.open()
    with handle.file.writing() as transaction:
        first, *_, last = transaction.heads
        moved = record(transaction._database, first)
        insert(transaction._database, "records", (last.position, *astuple(moved)))
        forged = replace(last, digest=moved.digest())
        insert(transaction._database, "versions", astuple(forged))
        transaction._now((*transaction.heads[:-1], forged))
    with pytest.raises(Corrupt, match="does not belong"):
        handle.read("mail", last.id)
    with pytest.raises(Corrupt, match="does not belong"):
        place.recover()


def test_each_part_of_the_binding_counts(place: Place) -> None:
    """Name, version, predecessor, attempt and vault id: with any of them changed a record stays shut."""
    handle = place.open()
    with handle.file.reading() as transaction:
        head, key = transaction.heads[1], transaction.key
        sealed = record(transaction._database, head)
    assert key.unseal(head.binding, sealed)["value"] == bundle(f"{CANARY}-2")["value"]
    for part in ("name", "version", "predecessor", "attempt"):
        with pytest.raises(Corrupt):
            key.unseal(replace(head.binding, **{part: "other"}), sealed)
    with pytest.raises(Corrupt):
        VaultKey(key._key, "0" * 32).unseal(head.binding, sealed)
    with pytest.raises(Corrupt):
        VaultKey.fresh(key.vault_id).unseal(head.binding, sealed)


def test_an_old_row_put_back_is_refused(place: Place) -> None:
    """The row of a version as it once was is not what the root says any more."""
    handle = place.open()
    with place.database() as database:
        old = database.execute("SELECT * FROM versions WHERE attempt = 'a3'").fetchone()
    handle.promote("mail", "a3", None)
    with place.database() as database:
        insert(database, "versions", old)
    with pytest.raises(Corrupt):
        handle.current("mail")


def test_an_old_file_put_back_is_refused(place: Place) -> None:
    """A whole vault of one transaction ago, or of several, is older than its anchor."""
    handle, old = place.open(), place.path.read_bytes()
    for attempt in ("a4", "a5"):
        stage(handle, "mail", attempt, "x")
        newest = place.path.read_bytes()
        place.path.write_bytes(old)
        for call in (place.open, handle.names, lambda: handle.retire("mail", "x"), place.recover):
            with pytest.raises(RolledBack, match="older"):
                call()
        place.path.write_bytes(newest)
    assert len(place.open().versions("mail")) == 3


def test_another_history_is_refused(place: Place, tmp_path: Path) -> None:
    """Two copies that went on separately do not pass for each other, at equal length or one further."""
    twin = place.copy(tmp_path / "twin")
    stage(place.open(), "mail", "a4", "x")
    stage(twin.open(), "mail", "a5", "x")
    for further in ("a6", "a7"):
        handle, mine = place.open(), place.path.read_bytes()
        place.path.write_bytes(twin.path.read_bytes())
        for call in (place.open, handle.names):
            with pytest.raises(RolledBack, match="another history"):
                call()
        place.path.write_bytes(mine)
        stage(twin.open(), "mail", further, "x")


def test_an_anchor_one_behind_is_brought_up_and_an_older_one_refused(place: Place) -> None:
    """After a kill between commit and anchor all goes on; an anchor of two transactions ago is an old copy."""
    handle, before = place.open(), place.anchor.read_bytes()
    stage(handle, "mail", "a4", "x")
    after = place.anchor.read_bytes()
    for use in (place.open, lambda: stage(handle, "mail", "a4", "x")):
        place.anchor.write_bytes(before)
        with suppress(AdapterError):
            use()
        assert place.anchor.read_bytes() == after
    place.anchor.write_bytes(before)
    assert len(handle.versions("mail")) == 2
    stage(handle, "mail", "a5", "x")
    assert json.loads(place.anchor.read_bytes())["seq"] == json.loads(after)["seq"] + 1
    place.anchor.write_bytes(before)
    for call in (place.open, lambda: stage(handle, "mail", "a6", "x")):
        with pytest.raises(RolledBack, match="anchor is older"):
            call()


def test_a_flipped_or_cut_anchor_is_refused_or_means_the_same(place: Place) -> None:
    """A flip in the anchor file, or a cut, is refused, or leaves the vault as it was."""
    whole, right = place.anchor.read_bytes(), _everything(place.open())
    draw = random.Random(10)  # noqa: S311 - the same bytes each time
    wrong = [_flip(whole, at, draw.randrange(1, 256)) for at in range(0, len(whole), 2)]
    for content in (
        wrong + [whole[:length] for length in range(0, len(whole) - 2, 5)] + [b"[]", b"null", b"\xff" * 9, b"[" * 4096]
    ):
        place.anchor.write_bytes(content)
        try:
            assert _everything(place.open()) == right
        except AdapterError:
            continue
        place.anchor.write_bytes(whole)


def test_an_anchor_of_another_format_is_refused(place: Place) -> None:
    """An unknown format, a text for the number, and too much of anything are not an anchor."""
    fields = json.loads(place.anchor.read_bytes())
    for change in ({"format": "keyturn-anchor/2"}, {"seq": "4"}, {"seq": True}, {"root": 5}, {"vault": 5}):
        place.anchor.write_text(json.dumps(fields | change))
        with pytest.raises(Corrupt):
            place.open()
    place.anchor.write_text(json.dumps(fields) + " " * 5000)
    with pytest.raises(Corrupt):
        place.open()


def test_a_slot_is_bound_and_commits_to_its_key() -> None:
    """A slot whose commitment fits and whose content does not is Corrupt; another vault's opens nothing."""
    vault_id, secret = "1" * 32, bytes(32)
    key = VaultKey.fresh(vault_id)
    slot = make_slot(1, Way("mine", "key-file", "", secret), key)
    opened, name = open_slots([slot], "key-file", secret, vault_id)
    assert (opened.root(b""), name) == (key.root(b""), "mine")
    changes = (
        {"wrapped": bytes(48)},
        {"nonce": bytes(1)},
        {"params": "{ }"},
        {"since": "2020-01-01T00:00:00.000Z"},
        {"ephemeral": bytes(32)},
        {"ephemeral": slot.public},
        {"public": slot.ephemeral},
        {"public": b""},
    )
    for changed in (replace(slot, **change) for change in changes):
        with pytest.raises(Corrupt):
            open_slots([changed], "key-file", secret, vault_id)
    short = make_slot(1, Way("mine", "key-file", "", secret), VaultKey(bytes(31), vault_id))
    with pytest.raises(Corrupt, match="no key"):
        open_slots([short], "key-file", secret, vault_id)
    for slots in ([replace(slot, name="other")], [replace(slot, commitment=bytes(32))], [replace(slot, kind="x")], []):
        with pytest.raises(Denied):
            open_slots(slots, "key-file", secret, vault_id)
    with pytest.raises(Denied):
        open_slots([slot], "key-file", secret, "2" * 32)


BOMBS = (
    "[" * 100_000,
    '{"iterations":true,"lanes":1,"memory_kib":19456,"salt":"00000000000000000000000000000000"}',
    "",
    "[]",
    "5",
    "{}",
    '{"iterations":2,"lanes":1,"memory_kib":19456,"salt":"zz"}',
    '{"iterations":2,"lanes":1,"memory_kib":19456,"salt":""}',
    '{"iterations":2,"lanes":1,"memory_kib":1073741824,"salt":"00000000000000000000000000000000"}',
    '{"iterations":9999,"lanes":1,"memory_kib":19456,"salt":"00000000000000000000000000000000"}',
    '{"iterations":2,"lanes":99,"memory_kib":19456,"salt":"00000000000000000000000000000000"}',
    '{"iterations":2,"lanes":1,"memory_kib":1,"salt":"00000000000000000000000000000000"}',
    '{"iterations":1e999,"lanes":1,"memory_kib":19456,"salt":"00000000000000000000000000000000"}',
    '{"iterations":{},"lanes":1,"memory_kib":19456,"salt":5}',
)


@pytest.mark.parametrize("kind", [RECOVERY, PASSPHRASE])
@pytest.mark.parametrize("params", BOMBS, ids=range(len(BOMBS)))
def test_kdf_parameters_are_bounded_before_they_are_used(params: str, kind: str) -> None:
    """A slot that asks for too much, too little, or nothing readable is Corrupt before anything is computed."""
    with pytest.raises(Corrupt):
        open_slots([Slot(1, "x", kind, "", params, bytes(32), bytes(32))], kind, bytes(25), "1" * 32)


def test_nothing_plain_is_in_the_file(place: Place) -> None:
    """Neither values nor proof keys stand in vault, anchor or key file, in text or hex."""
    vault = place.open()
    proof = vault.read("mail", vault.versions("mail")[0].id).proof_key
    content = b"".join(path.read_bytes() for path in place.root.rglob("*") if path.is_file())
    assert CANARY.encode() not in content
    assert CANARY.encode().hex().encode() not in content
    assert not stands_in(proof, content)
    found = bytes.fromhex(proof.reveal()) in content
    assert not found


def test_what_is_discarded_leaves_no_bytes(place: Place) -> None:
    """The record of a version that was removed is overwritten in the file."""
    handle = place.open()
    with handle.file.reading() as transaction:
        head = transaction.heads[-1]
        sealed = record(transaction._database, head)
    with handle.file.writing() as transaction:
        transaction.remove(head)
    content = place.path.read_bytes()
    assert all(part not in content for part in astuple(sealed))


def test_a_file_of_something_else_is_refused(place: Place) -> None:
    """A text, and a database of another program, are Corrupt."""
    place.path.write_bytes(b"not a database, but long enough to look at" * 40)
    with pytest.raises(Corrupt):
        place.open()
    place.path.write_bytes(b"")
    with sqlite3.connect(place.path) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    with pytest.raises(Corrupt):
        place.open()
