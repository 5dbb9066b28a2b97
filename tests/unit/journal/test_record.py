"""Records: what gets in, what the bytes look like, and what is refused when they are read."""

import json
from contextlib import suppress
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.errors import Corrupt, TooLarge, UsageError
from keyturn.core.secret import Bundle, SecretValue
from keyturn.journal.record import (
    EMPTY,
    MAX_DEPTH,
    MAX_INT,
    MAX_RECORD_BYTES,
    NO_HASH,
    Event,
    Record,
    canonical,
    digest,
    load,
    parse,
    plain,
    write,
)
from tests.unit.journal.samples import envelope

CANARY = "kt-canary-5f1c"
NUMBERS = st.integers(-MAX_INT, MAX_INT)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


class Colour(StrEnum):
    """Some enumeration of texts."""

    RED = "red"


def made(**more: Any) -> Record:
    """A record of a declared secret."""
    return write(envelope("database", EMPTY, "secret.declared", **more), Event("secret.declared", {"kind": "postgres"}))


def changed(**more: Any) -> bytes:
    """The bytes of that record with other fields; None takes a field away."""
    fields = json.loads(made().stored) | more
    return json.dumps({name: field for name, field in fields.items() if field != "absent"}).encode()


def test_a_record_is_canonical_json_and_its_hash_is_over_those_bytes() -> None:
    """The stored form is exactly what the format document shows."""
    record = made()
    assert record.stored == (
        b'{"actor":"tests","boot":"a-boot","critical":true,"data":{"kind":"postgres"},"format":1,'
        b'"kind":"secret.declared","kind_version":1,"monotonic_ms":1500,"prev":"' + NO_HASH.encode() + b'",'
        b'"seen":{"hash":"' + NO_HASH.encode() + b'","seq":0},"seq":1,"stream":"database",'
        b'"time":"2026-11-23T09:00:00.000Z"}'
    )
    assert record.hash == digest(record.stored)
    assert record.hash == "086528eb9d31121f2706635428302a620d316b28525044d0eebcabc90daa882d"


def test_a_record_gives_back_the_moment_of_its_writing() -> None:
    """Wall time, boot and seconds of the boot come out as they went in."""
    moment = made().moment()
    assert (moment.wall.isoformat(), moment.boot, moment.monotonic) == ("2026-11-23T09:00:00+00:00", "a-boot", 1.5)


@given(PLAIN)
def test_plain_data_comes_back_unchanged(content: Any) -> None:
    """Whatever is plain JSON is read back equal, out of printable ASCII alone."""
    stored = canonical({"data": content})
    assert all(0x20 <= byte <= 0x7E for byte in stored)
    assert load(stored, "it") == {"data": content}


@given(st.dictionaries(TEXTS, PLAIN, max_size=4))
def test_what_was_written_is_what_is_read(data: dict[str, Any]) -> None:
    """A record that is made is equal, field by field, to the one that its bytes give."""
    record = write(envelope("database", EMPTY, "gap"), Event("gap", data))
    assert record == parse(record.stored)


WILD = st.recursive(
    PLAIN | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=30,
)


@given(WILD, st.integers(0, MAX_DEPTH + 2))
def test_reading_refuses_what_writing_refuses(content: Any, depth: int) -> None:
    """Floats, huge numbers, lone surrogates and nesting beyond the limit, wherever they stand."""
    for _ in range(depth):
        content = [content]
    stored = json.dumps({"it": content}).encode()
    try:
        expected = plain({"it": content})
    except UsageError:
        with pytest.raises(Corrupt):
            load(stored, "it")
    else:
        assert load(stored, "it") == expected


@given(st.binary(max_size=200))
def test_foreign_bytes_are_corrupt_and_nothing_else(stored: bytes) -> None:
    """Reading bytes of any kind either gives a record or raises Corrupt."""
    with pytest.raises(Corrupt):
        parse(stored)


@given(st.integers(0, len(made().stored) - 1), st.integers(1, 255))
def test_a_flipped_byte_changes_the_hash_or_is_corrupt(at: int, mask: int) -> None:
    """No byte of a record can change without its hash changing."""
    record = made()
    stored = bytearray(record.stored)
    stored[at] ^= mask
    with suppress(Corrupt):
        assert parse(bytes(stored)).hash != record.hash


def test_enumerations_tuples_and_read_only_tables_become_plain() -> None:
    """What is only a view of plain JSON is taken as that."""
    content = plain(MappingProxyType({Colour.RED: (Colour.RED, True, None)}))
    assert content == {"red": ["red", True, None]}
    assert isinstance(content, dict)
    assert {type(key) for key in content} == {str}


@pytest.mark.parametrize(
    "content",
    [
        SecretValue(CANARY),
        Bundle({"value": CANARY}),
        CANARY.encode(),
        1.5,
        float("nan"),
        {CANARY},
        Exception(CANARY),
        MAX_INT + 1,
        -MAX_INT - 1,
        "\ud800" + CANARY,
        {"\ud800": CANARY},
        {1: CANARY},
    ],
    ids=lambda content: type(content).__name__,
)
def test_what_is_not_plain_json_is_refused_without_being_shown(content: Any) -> None:
    """Floats, secrets, bytes and other types do not get in, and the error does not hold them."""
    with pytest.raises(UsageError) as refused:
        canonical({"list": [content]})
    assert CANARY not in str(refused.value) + refused.value.remedy
    assert "data.list[0]" in refused.value.message


def test_data_nested_too_deep_is_refused() -> None:
    """Nesting ends at the documented depth."""
    content: Any = 1
    for _ in range(MAX_DEPTH):
        content = [content]
    assert plain(content) == content
    with pytest.raises(UsageError):
        plain([content])


def test_data_of_an_event_must_be_a_table() -> None:
    """A list in the place of the data is refused."""
    with pytest.raises(UsageError):
        write(envelope("database", EMPTY, "gap"), Event("gap", []))  # type: ignore[arg-type] # the wrong type is what is tried


def test_a_record_larger_than_the_limit_is_refused_both_ways() -> None:
    """Neither writing nor reading takes more than the limit."""
    with pytest.raises(TooLarge):
        write(envelope("database", EMPTY, "gap"), Event("gap", {"reason": "x" * MAX_RECORD_BYTES}))
    with pytest.raises(Corrupt, match="larger"):
        parse(b" " * (MAX_RECORD_BYTES + 1))


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"[]",
        b"1",
        b'{"a":1}',
        b"\x00" + made().stored,
        made().stored + b"\n",
        made().stored.replace(b'"seq":1,', b'"seq":1,"seq":1,'),
        made().stored.replace(b'"monotonic_ms":1500', b'"monotonic_ms":1500.0'),
        made().stored.replace(b'"monotonic_ms":1500', b'"monotonic_ms":NaN'),
        made().stored.replace(b'"monotonic_ms":1500', b'"monotonic_ms":' + b"9" * 5000),
        made().stored.replace(b'"monotonic_ms":1500', b'"monotonic_ms":9007199254740992'),
        made().stored.replace(b'{"kind":"postgres"}', b"[" * 100_000),
        made().stored.replace(b'{"kind":"postgres"}', b"[" * 40 + b"]" * 40),
        changed(more=1),
        changed(actor="absent"),
        changed(format=2),
        changed(format=True),
        changed(seen=None),
        changed(seen={"seq": 0}),
        changed(seen={"seq": -1, "hash": NO_HASH}),
        changed(seen={"seq": 0, "hash": 1}),
        changed(seq=0),
        changed(seq=True),
        changed(prev="0"),
        changed(prev=NO_HASH + "\n"),
        changed(time="2026-11-23T09:00:00Z"),
        changed(time="2026-13-23T09:00:00.000Z"),
        changed(time=1),
        changed(boot=1),
        changed(monotonic_ms=-1),
        changed(actor=None),
        changed(stream=[]),
        changed(kind={}),
        changed(kind_version=0),
        changed(critical=1),
        changed(data=[]),
    ],
    ids=range(36),
)
def test_bytes_that_are_not_a_record_are_corrupt(stored: bytes) -> None:
    """Every field is checked for its type and range, and the message holds none of the bytes."""
    with pytest.raises(Corrupt) as corrupt:
        parse(stored)
    assert "postgres" not in corrupt.value.message
