"""One checkpoint: its bytes, its signature, and where it is found in a text."""

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from keyturn.core.errors import Corrupt
from keyturn.journal.checkpoint import (
    MAX_BODY,
    Standing,
    event,
    found_in,
    parse,
    pin_of,
    pinned,
    recorded,
    signed,
)
from keyturn.journal.record import NO_HASH, SYSTEM, Event, Head, canonical, digest
from tests.unit.journal.history import TIME, identity, sample, signer
from tests.unit.journal.samples import chained

HEADS = {SYSTEM: Head(2, "a" * 64), "database": Head(40, "b" * 64)}
START = Standing(0, NO_HASH, {})
ONE = signed(identity(), signer(), START, HEADS, TIME)
CONTENT = json.loads(ONE.body)


def test_a_checkpoint_can_be_verified_with_nothing_but_ed25519_and_sha_256() -> None:
    """The marker, a space and the body are signed; the body holds the hash of what moved."""
    marker, signature, body, moved = ONE.line.split(b" ")
    assert marker == b"keyturn-checkpoint/1"
    raw = base64.urlsafe_b64decode(signature + b"==")
    Ed25519PublicKey.from_public_bytes(identity().key).verify(raw, marker + b" " + body)
    content = json.loads(body)
    assert content["moved"] == hashlib.sha256(moved).hexdigest()
    assert content["key"] == hashlib.sha256(identity().key).hexdigest()[:16]
    assert (content["n"], content["prev"]) == (1, NO_HASH)
    assert (content["streams"], content["records"]) == (2, 42)
    assert content["system"] == {"hash": "a" * 64, "seq": 2}
    assert json.loads(moved)["database"] == {"hash": "b" * 64, "seq": 40}


def test_the_next_one_names_the_one_before_and_what_moved_since() -> None:
    """Heads that stand still are not repeated."""
    heads = {**HEADS, SYSTEM: Head(3, "c" * 64)}
    two = signed(identity(), signer(), Standing(1, ONE.hash, HEADS), heads, TIME)
    assert (two.n, two.prev, two.moved) == (2, ONE.hash, {SYSTEM: Head(3, "c" * 64)})
    assert two.records == 43


def test_the_example_of_the_document_is_what_is_written() -> None:
    """The same bytes for the same heads, time and key, always."""
    page = (Path(__file__).parents[3] / "docs/formats/checkpoint.md").read_text()
    assert ONE.line.decode("ascii") in page
    assert ONE.hash in page
    assert pin_of(identity().key) in page


def test_only_the_pinned_key_is_believed() -> None:
    """Neither another key nor a name that does not belong to it; the service is asked apart."""
    assert ONE.is_signed_by(identity())
    assert not ONE.is_signed_by(identity(2))
    assert not replace(ONE, signature="A" * 86).is_signed_by(identity())
    assert not replace(ONE, body=ONE.body.replace(b'"n":1', b'"n":2')).is_signed_by(identity())
    assert ONE.is_of(identity())
    assert not ONE.is_of(identity(environment="staging"))


def test_a_pin_is_read_as_it_is_written() -> None:
    """Lower-case hex with its kind before it, nothing else."""
    assert pinned(pin_of(identity().key)) == identity().key
    for wrong in ("", "ed25519:", "ed25519:" + "A" * 64, "rsa:" + "a" * 64, pin_of(identity().key) + "\n"):
        with pytest.raises(ValueError, match="64 hex digits"):
            pinned(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"n": 0}, {"n": True}, {"n": "1"}, {"records": -1}, {"prev": "x"}, {"moved": None},
        {"time": "now"}, {"system": {}}, {"more": 1}, {"service": 1}, {"key": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_body_of_another_form_is_refused(change: dict[str, Any]) -> None:
    """Every field is of its type; there are no others."""
    with pytest.raises(Corrupt):
        parse(canonical({**CONTENT, **change}), ONE.signature, None)


def test_parts_that_do_not_belong_together_are_refused() -> None:
    """No signature, another table of heads, one that is none, a body that is too long."""
    moved = ONE.line.split(b" ")[3]
    with pytest.raises(Corrupt, match="signature"):
        parse(ONE.body, "short", moved)
    with pytest.raises(Corrupt, match="signed with"):
        parse(ONE.body, ONE.signature, moved.replace(b"40", b"41"))
    bad = b'{"database":1}'
    with pytest.raises(Corrupt, match="heads"):
        parse(canonical({**CONTENT, "moved": digest(bad)}), ONE.signature, bad)
    with pytest.raises(Corrupt, match="larger"):
        parse(canonical({**CONTENT, "service": "x" * MAX_BODY}), ONE.signature, None)


def test_the_journal_keeps_all_of_it() -> None:
    """A record `checkpoint.made` gives the same line, byte for byte."""
    (record,) = chained(SYSTEM, ("checkpoint.made", dict(event(ONE).data)))
    assert recorded(record).line == ONE.line


@pytest.mark.parametrize(
    "change", [{"n": 7}, {"body": None}, {"body": "é"}, {"signature": 1}, {"moved": []}, {"moved": {}}], ids=str
)
def test_a_record_that_holds_another_checkpoint_is_refused(change: dict[str, Any]) -> None:
    """Every part of it counts."""
    (record,) = chained(SYSTEM, ("checkpoint.made", {**event(ONE).data, **change}))
    with pytest.raises(Corrupt):
        recorded(record)


def test_checkpoints_are_found_in_a_line_whatever_stands_around_them() -> None:
    """In full or in brief; what is cut off inside of what moved is brief, what is cut off before is spoilt."""
    line = b"Nov 23 09:00:00 host keyturn[7]: " + ONE.line + b" " + ONE.brief
    assert [one and one.moved for one in found_in(line)] == [ONE.moved, None]
    assert list(found_in(b"nothing here")) == []
    (cut,) = found_in(ONE.line[:-5])
    assert cut is not None
    assert cut.moved is None
    assert list(found_in(ONE.brief[:-5])) == [None]
    assert list(found_in(ONE.line.replace(b'"seq":40', b'"seq":41'))) == [None]
    assert list(found_in(b"keyturn-checkpoint/1 x " + ONE.brief)) == [ONE_BRIEF, None]


ONE_BRIEF = replace(ONE, moved=None)


def test_a_brief_checkpoint_fits_into_a_small_message() -> None:
    """With the longest names and numbers that there are, the body stays below 1,024 bytes with its header."""
    who = identity(service="s" * 63, environment="e" * 63)
    heads = {SYSTEM: Head(2**52, "a" * 64)}
    longest = signed(who, signer(), Standing(2**52, "f" * 64, {}), heads, TIME)
    assert len(longest.brief) < 800


def test_a_checkpoint_of_an_empty_journal_is_one() -> None:
    """Nothing was recorded yet."""
    empty = signed(identity(), signer(), START, {}, TIME)
    assert (empty.system, empty.records, empty.moved) == (Head(0, NO_HASH), 0, {})


def test_an_event_of_a_brief_checkpoint_says_that_nothing_moved() -> None:
    """Only whole ones are recorded; a brief one would be refused when it is read."""
    (record,) = chained(SYSTEM, ("checkpoint.made", dict(event(ONE_BRIEF).data)))
    with pytest.raises(Corrupt):
        recorded(record)


def test_a_chain_of_checkpoints_names_every_head() -> None:
    """What moved in one after the other is the heads of all streams."""
    history = sample()
    last = history.checkpoints[-1]
    heads = history.standing().heads
    assert sum(head.seq for head in heads.values()) == last.records
    assert len(heads) == last.streams
    assert isinstance(event(last), Event)
