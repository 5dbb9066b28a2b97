"""Verification: every record spoiled in every way, and found where it is."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from keyturn.journal.chain import Flaw, How, Row, verify
from keyturn.journal.record import EMPTY, Event, Head, Record, write
from tests.unit.journal.samples import chained, envelope

COUNT = 8
STREAM = "database"
GOOD = chained(STREAM, *[("rotation.held", {"rotation": "r", "reason": f"reason {n}"}) for n in range(COUNT)])
MARK = {STREAM: GOOD[-1].head}
EACH = pytest.mark.parametrize("at", range(COUNT))
MARKED = pytest.mark.parametrize("marked", [False, True], ids=["unmarked", "marked"])


def lying(records: list[Record]) -> list[Row]:
    """The rows as the table holds them: numbered from 1 in this order, each with the hash of its bytes."""
    return [Row(at, record.hash, record.stored) for at, record in enumerate(records, 1)]


def forged(like: Record, **more: Any) -> Record:
    """Another record in the place of `like`, its own hash in order."""
    head = Head(like.seq - 1, like.prev)
    return write(envelope(like.stream, head, like.kind, **more), Event(like.kind, {"reason": "forged"}))


def flaw(rows: list[Row], marked: bool) -> Flaw | None:  # noqa: FBT001 - a parameter of the tests
    """What is found in these rows of the stream."""
    verdict = verify({STREAM: rows}, MARK if marked else {})
    assert verdict.sound == (not verdict.flaws)
    return verdict.flaws[0] if verdict.flaws else None


def assert_found(found: Flaw | None, seq: int, how: How) -> None:
    """The flaw is at that record and of that kind."""
    assert found is not None
    assert (found.stream, found.seq, found.how) == (STREAM, seq, how)
    assert str(found).startswith(f"{STREAM}#{seq}: {how}: ")


@MARKED
def test_an_untouched_chain_is_self_consistent(marked: bool) -> None:  # noqa: FBT001 - a parameter
    """Nothing is found where nothing was done, and no more is claimed than that."""
    verdict = verify({STREAM: lying(GOOD)}, MARK if marked else {})
    assert verdict.sound
    assert str(verdict) == "self-consistent only"
    assert verdict.heads == {STREAM: GOOD[-1].head}


@EACH
@MARKED
def test_an_edit_is_found_even_with_the_hash_column_made_to_fit(at: int, marked: bool) -> None:  # noqa: FBT001 - a parameter
    """F101 edit: the successor, or the mark, names the hash of what stood there."""
    records = [*GOOD[:at], forged(GOOD[at]), *GOOD[at + 1 :]]
    found = flaw(lying(records), marked)
    if at == COUNT - 1 and not marked:
        assert found is None, "nobody has seen the last record but the one who wrote it"
    else:
        assert_found(found, at + 1, How.EDITED)


@EACH
@MARKED
@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: Row(row.seq, row.hash, row.stored.replace(b"reason", b"Reason", 1)),
        lambda row: Row(row.seq, row.hash, row.stored[:-1]),
        lambda row: Row(row.seq, row.hash, b""),
        lambda row: Row(row.seq, row.hash, b"\x00" + row.stored),
        lambda row: Row(row.seq, "f" * 64, row.stored),
        lambda row: Row(row.seq + 100, row.hash, row.stored),
    ],
    ids=["data", "cut", "empty", "nul", "hash", "number"],
)
def test_a_careless_edit_is_found(at: int, marked: bool, spoil: Callable[[Row], Row]) -> None:  # noqa: FBT001 - a parameter
    """F101 edit: bytes, hash column or number column alone do not change unseen, the last record included."""
    rows = lying(GOOD)
    rows[at] = spoil(rows[at])
    assert_found(flaw(rows, marked), at + 1, How.EDITED)


@EACH
@MARKED
@pytest.mark.parametrize(
    "more",
    [{"prev": "f" * 64}, {"seq": 77}, {"seq": 1}, {"prev": "f" * 64, "seq": 3}],
    ids=["prev", "up", "down", "both"],
)
def test_an_edited_link_is_found_at_the_record_that_holds_it(at: int, marked: bool, more: dict[str, Any]) -> None:  # noqa: FBT001 - a parameter
    """F101 edit: a record whose own number or predecessor was changed is named, not its neighbour."""
    if more.get("seq") == at + 1 and "prev" not in more:
        more = {"seq": 2}
    found = flaw(lying([*GOOD[:at], forged(GOOD[at], **more), *GOOD[at + 1 :]]), marked)
    if at == COUNT - 1 and not marked and more == {"prev": "f" * 64}:
        # Nobody vouches for either of the last two: that the first of them was edited explains it as well.
        assert_found(found, at, How.EDITED)
    else:
        assert_found(found, at + 1, How.EDITED)


@EACH
@MARKED
@pytest.mark.parametrize("renumbered", [False, True], ids=["holes", "renumbered"])
def test_a_deletion_is_found_at_the_missing_number(at: int, marked: bool, renumbered: bool) -> None:  # noqa: FBT001 - a parameter
    """F101 delete: the first missing number is named; at the end only the mark can tell."""
    rows = lying([*GOOD[:at], *GOOD[at + 1 :]]) if renumbered else [row for row in lying(GOOD) if row.seq != at + 1]
    found = flaw(rows, marked)
    if at < COUNT - 1:
        # One record behind the hole, renumbered: that it was edited explains the rows as well.
        how = How.EDITED if renumbered and at == COUNT - 2 else How.DELETED
        assert_found(found, at + 1, how)
    elif marked:
        assert_found(found, COUNT, How.TRUNCATED)
    else:
        assert found is None


@pytest.mark.parametrize("left", range(COUNT))
def test_a_cut_tail_is_found_below_the_mark(left: int) -> None:
    """F102: with a mark, a stream that ends early is truncated at its first missing record."""
    assert_found(flaw(lying(GOOD[:left]), marked=True), left + 1, How.TRUNCATED)


def test_a_stream_that_is_gone_is_found_by_its_mark() -> None:
    """A whole stream that was deleted is truncated at 1."""
    verdict = verify({}, MARK)
    assert str(verdict) == f"broken at {STREAM}#1: truncated: record {COUNT} was seen before, by the high-water mark"


@pytest.mark.parametrize("at", range(COUNT - 1))
@MARKED
def test_two_records_that_changed_places_are_found(at: int, marked: bool) -> None:  # noqa: FBT001 - a parameter
    """F101 reorder: the place of the first of them is named."""
    records = [*GOOD[:at], GOOD[at + 1], GOOD[at], *GOOD[at + 2 :]]
    assert_found(flaw(lying(records), marked), at + 1, How.REORDERED)


@pytest.mark.parametrize("at", range(COUNT - 1))
@MARKED
def test_a_record_moved_to_the_end_is_found(at: int, marked: bool) -> None:  # noqa: FBT001 - a parameter
    """F101 reorder: where the record is missing something else stands."""
    records = [*GOOD[:at], *GOOD[at + 1 :], GOOD[at]]
    assert_found(flaw(lying(records), marked), at + 1, How.REORDERED)


@EACH
@MARKED
def test_an_inserted_record_that_fits_its_predecessor_is_found(at: int, marked: bool) -> None:  # noqa: FBT001 - a parameter
    """F101 insert: of two records with one number the one that no successor names is the foreign one."""
    records = [*GOOD[:at], forged(GOOD[at]), *GOOD[at:]]
    assert_found(flaw(lying(records), marked), at + 1, How.INSERTED)


@EACH
@MARKED
def test_an_inserted_record_behind_the_real_one_is_found(at: int, marked: bool) -> None:  # noqa: FBT001 - a parameter
    """F101 insert: a second claim to a number is named by that number."""
    records = [*GOOD[: at + 1], forged(GOOD[at]), *GOOD[at + 1 :]]
    found = flaw(lying(records), marked)
    assert found is not None
    assert found.how is How.INSERTED
    assert found.seq in {at + 1, at + 2}


@EACH
@MARKED
@pytest.mark.parametrize(
    "foreign",
    [
        forged(GOOD[3], stream="system"),
        forged(GOOD[3], seq=99, prev="f" * 64),
        forged(GOOD[3], seq=2, prev="f" * 64),
    ],
    ids=["stream", "far", "near"],
)
def test_a_foreign_record_is_found(at: int, marked: bool, foreign: Record) -> None:  # noqa: FBT001 - a parameter
    """F101 insert: what belongs nowhere is named at its place, and the record behind it is not blamed."""
    assert_found(flaw(lying([*GOOD[:at], foreign, *GOOD[at:]]), marked), at + 1, How.INSERTED)


@EACH
def test_foreign_bytes_between_records_are_found(at: int) -> None:
    """F101 insert: bytes that are no record at all do not hide that the real one stands behind them."""
    rows = [*lying(GOOD[:at]), Row(at + 1, "f" * 64, b"\x00"), *lying(GOOD)[at:]]
    assert_found(flaw(rows, marked=False), at + 1, How.INSERTED)


def test_a_record_of_another_stream_at_the_end_is_found() -> None:
    """A record that names another stream is foreign wherever it stands."""
    foreign = write(envelope("system", GOOD[-1].head, "rotation.held"), Event("rotation.held", {}))
    assert_found(flaw(lying([*GOOD, foreign]), marked=False), COUNT + 1, How.INSERTED)


def test_a_stray_record_at_the_end_is_found() -> None:
    """A record that neither goes on nor repeats a number is named at its place."""
    stray = forged(GOOD[3], seq=2, prev="f" * 64)
    rows = [*lying(GOOD), Row(COUNT + 9, stray.hash, stray.stored)]
    assert_found(flaw(rows, marked=False), COUNT + 1, How.INSERTED)


@EACH
@MARKED
@pytest.mark.parametrize("behind", range(COUNT))
def test_a_second_copy_of_a_record_is_found(at: int, marked: bool, behind: int) -> None:  # noqa: FBT001 - a parameter
    """F101 duplicate: the second copy is named, wherever it was put."""
    records = [*GOOD[: behind + 1], GOOD[at], *GOOD[behind + 1 :]]
    found = flaw(lying(records), marked)
    assert found is not None
    if behind >= at:
        assert_found(found, behind + 2, How.DUPLICATED)
    elif behind == at - 1:
        assert_found(found, behind + 3, How.DUPLICATED)
    else:
        assert_found(found, behind + 2, How.REORDERED)


def rechained(records: list[Record], at: int) -> list[Record]:
    """The chain as a forger would write it: record `at` changed, all behind it made to fit."""
    made = records[:at]
    for record in records[at:]:
        head = made[-1].head if made else EMPTY
        data = {"reason": "forged"} if record.seq == at + 1 else record.data
        made.append(write(envelope(record.stream, head, record.kind), Event(record.kind, data)))
    return made


@EACH
def test_a_chain_written_anew_is_found_by_the_mark_alone(at: int) -> None:
    """F102: who rewrites everything behind an edit is caught by what was seen before, and only by that."""
    rows = lying(rechained(GOOD, at))
    assert flaw(rows, marked=False) is None
    assert_found(flaw(rows, marked=True), COUNT, How.EDITED)


@pytest.mark.parametrize("mark", range(1, COUNT + 1))
def test_a_mark_inside_the_chain_bounds_where_it_was_forged(mark: int) -> None:
    """A mark that is not at the end is compared with the record of its number."""
    verdict = verify({STREAM: lying(rechained(GOOD, 3))}, {STREAM: GOOD[mark - 1].head})
    assert verdict.sound == (mark <= 3)
    assert [found.seq for found in verdict.flaws] == ([] if mark <= 3 else [mark])


def seeing(*heads: Head) -> list[Record]:
    """A stream whose records saw these heads of the system stream."""
    records: list[Record] = []
    for seen in heads:
        head = records[-1].head if records else EMPTY
        more = {"seen": {"seq": seen.seq, "hash": seen.hash}}
        records.append(write(envelope(STREAM, head, "gap", **more), Event("gap", {})))
    return records


def system_stream(count: int) -> list[Record]:
    """A system stream, each record of which saw the one before it."""
    records: list[Record] = []
    for _ in range(count):
        head = records[-1].head if records else EMPTY
        more = {"seen": {"seq": head.seq, "hash": head.hash}}
        records.append(write(envelope("system", head, "system.started", **more), Event("system.started", {})))
    return records


SYSTEM = system_stream(3)
HEADS = [EMPTY, *(record.head for record in SYSTEM)]


def test_records_that_saw_more_and_more_of_the_system_stream_are_in_order() -> None:
    """Standing still and going on are both in order."""
    rows = {"system": lying(SYSTEM), STREAM: lying(seeing(*HEADS[:2], *HEADS[1:]))}
    assert verify(rows, {}).sound


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        ([HEADS[2], HEADS[1]], "broken at database#2: reordered: it saw less of the system stream than the one before"),
        ([HEADS[1], Head(2, "f" * 64)], "broken at database#2: edited: it saw another record 2 of the system stream"),
        ([Head(0, "f" * 64)], "broken at database#1: edited: it saw another record 0 of the system stream"),
        ([HEADS[3], Head(4, "f" * 64)], "broken at system#4: truncated: database#2 saw record 4"),
    ],
    ids=["back", "other", "start", "beyond"],
)
def test_records_that_do_not_agree_with_the_system_stream_are_found(seen: list[Head], text: str) -> None:
    """`seen` may not go back, name another record, or name one that is gone."""
    assert str(verify({"system": lying(SYSTEM), STREAM: lying(seeing(*seen))}, {})) == text


def test_a_system_record_must_have_seen_its_own_predecessor() -> None:
    """In the system stream itself `seen` is the record before."""
    rows = lying(chained("system", ("system.started", {}), ("system.stopped", {})))
    assert str(verify({"system": rows}, {})).startswith("broken at system#2: edited: it saw another record 0")


def test_a_broken_system_stream_is_named_once_and_blames_no_other() -> None:
    """Where the system stream itself is broken the order of the others cannot be judged."""
    verdict = verify({"system": lying(SYSTEM[1:]), STREAM: lying(seeing(HEADS[3]))}, {})
    assert [found.stream for found in verdict.flaws] == ["system"]
    assert verdict.heads == {STREAM: seeing(HEADS[3])[-1].head}


def test_each_broken_stream_is_named_and_the_first_by_name_is_said() -> None:
    """One flaw per stream, in the order of names."""
    other = chained("api-key", ("gap", {}), ("gap", {"n": 1}))
    verdict = verify({STREAM: lying(GOOD[1:]), "api-key": lying(other[1:])}, {})
    assert [(found.stream, found.seq) for found in verdict.flaws] == [("api-key", 1), (STREAM, 1)]
    assert str(verdict).startswith("broken at api-key#1: ")
    assert json.loads(other[0].stored)["stream"] == "api-key"
