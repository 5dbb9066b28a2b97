"""A journal held against checkpoints from outside: everything that was done to either is found."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from keyturn.journal.anchor import Anchored, Source, Spoilt, judge, read_source
from keyturn.journal.chain import How, Row
from keyturn.journal.checkpoint import Checkpoint, Identity, Standing, event, signed
from keyturn.journal.record import NO_HASH, SYSTEM, Event, Head, Record, write
from tests.unit.journal.history import TIME, History, identity, lying, sample, signer
from tests.unit.journal.samples import envelope

WHERE = "/mnt/audit/clo"
GOOD = sample()
COVERED = {stream: head.seq for stream, head in GOOD.standing().heads.items()}
PLACES = [(stream, seq) for stream, last in COVERED.items() for seq in range(1, last + 1)]
WHO = identity()
EACH = pytest.mark.parametrize(("stream", "seq"), PLACES, ids=[f"{stream}-{seq}" for stream, seq in PLACES])


def outside(text: bytes, *, whole: bool = True, who: Identity = WHO) -> Source:
    """What is read in the file."""
    return read_source(WHERE, text, who, whole=whole)


def judged(rows: dict[str, list[Row]], *sources: Source, who: Identity = WHO) -> Anchored:
    """The judgement of somebody who has the file, and whose high-water mark is gone."""
    return judge(rows, {}, who, sources or [outside(GOOD.text())])


def with_records(stream: str, records: Sequence[Record]) -> dict[str, list[Row]]:
    """All rows, those of one stream others."""
    return {**GOOD.rows(), stream: lying(list(records))}


def forged(like: Record) -> Record:
    """Another record in the place of `like`, its own hash in order."""
    more = {"seen": {"seq": like.seen.seq, "hash": like.seen.hash}}
    head = envelope(like.stream, Head(like.seq - 1, like.prev), like.kind, **more)
    return write(head, Event(like.kind, {"forged": True}))


def named(found: Anchored, stream: str) -> tuple[int, How]:
    """Where the stream is broken, and how; nothing is anchored then."""
    assert found.anchor is None
    assert str(found).startswith("broken at ")
    (flaw,) = [flaw for flaw in found.verdict.flaws if flaw.stream == stream]
    return flaw.seq, flaw.how


def test_an_untouched_journal_is_anchored_to_the_newest_checkpoint() -> None:
    """The verdict says which, of when, from where, and how much is newer."""
    found = judged(GOOD.rows())
    assert str(found) == f"anchored to checkpoint 3 of {TIME} from {WHERE}"
    assert found.anchor is not None
    assert found.anchor.uncovered == 3, "two records of a secret, and that of the checkpoint itself"


def test_without_checkpoints_from_outside_it_is_self_consistent_only() -> None:
    """What the journal says of its own checkpoints anchors nothing."""
    found = judged(GOOD.rows(), outside(b""))
    assert str(found) == "self-consistent only"
    assert (found.anchor, found.made) == (None, 3)


@EACH
def test_each_record_edited_is_named(stream: str, seq: int) -> None:
    """F101 edit: below the last checkpoint every record is named at its place, the last of a stream too."""
    records = list(GOOD.records[stream])
    records[seq - 1] = forged(records[seq - 1])
    assert named(judged(with_records(stream, records)), stream) == (seq, How.EDITED)


@EACH
def test_each_record_deleted_is_named(stream: str, seq: int) -> None:
    """F101 delete: at the missing number."""
    rows = GOOD.rows()
    del rows[stream][seq - 1]
    how = How.TRUNCATED if seq == len(GOOD.records[stream]) else How.DELETED
    assert named(judged(rows), stream) == (seq, how)


@EACH
def test_each_record_inserted_is_named(stream: str, seq: int) -> None:
    """F101 insert: the foreign record is named, not the one behind it."""
    records = GOOD.records[stream]
    rows = with_records(stream, [*records[: seq - 1], forged(records[seq - 1]), *records[seq - 1 :]])
    assert named(judged(rows), stream) == (seq, How.INSERTED)


@EACH
def test_each_record_that_changed_places_is_named(stream: str, seq: int) -> None:
    """F101 reorder: with the record behind it; at the end of a stream, with the one before."""
    records, at = list(GOOD.records[stream]), min(seq, len(GOOD.records[stream]) - 1)
    records[at - 1], records[at] = records[at], records[at - 1]
    assert named(judged(with_records(stream, records)), stream) == (at, How.REORDERED)


@EACH
def test_each_record_duplicated_is_named(stream: str, seq: int) -> None:
    """F101 duplicate: the second copy."""
    records = GOOD.records[stream]
    rows = with_records(stream, [*records[:seq], *records[seq - 1 :]])
    assert named(judged(rows), stream) == (seq + 1, How.DUPLICATED)


@EACH
def test_a_stream_cut_off_below_the_last_checkpoint_is_found(stream: str, seq: int) -> None:
    """F102 truncation at each record: the first missing one is named, without any high-water mark."""
    assert named(judged(with_records(stream, GOOD.records[stream][: seq - 1])), stream) == (seq, How.TRUNCATED)


def test_a_whole_journal_that_is_gone_is_found() -> None:
    """F102: every stream that a checkpoint knows is truncated at its first record."""
    found = judged({})
    assert {(flaw.stream, flaw.seq, flaw.how) for flaw in found.verdict.flaws} == {
        (stream, 1, How.TRUNCATED) for stream in COVERED
    }


def test_a_journal_put_back_behind_its_newest_checkpoint_is_found() -> None:
    """F102: all streams end where an older checkpoint saw them, the record of the newer one is missing."""
    old = {stream: rows[: GOOD.checkpoints[1].moved[stream].seq] for stream, rows in GOOD.rows().items()}  # type: ignore[index] # it moved all
    found = judged(old)
    assert {flaw.how for flaw in found.verdict.flaws} == {How.TRUNCATED}
    assert not found.verdict.sound


def test_a_forged_gap_does_not_anchor_a_journal_that_was_cut() -> None:
    """Records of a gap need no key: with a later checkpoint outside, they bring no journal back to an earlier one."""
    kept = {stream: list(GOOD.records[stream][: GOOD.checkpoints[1].moved[stream].seq]) for stream in GOOD.records}  # type: ignore[index] # it moved all
    rows = {}
    for stream, records in kept.items():
        last, seen = records[-1], kept[SYSTEM][-1]
        found = {"seq": last.seq, "hash": last.hash}
        head = envelope(stream, Head(last.seq, last.hash), "gap", seen={"seq": seen.seq, "hash": seen.hash})
        gap = write(head, Event("gap", {"reason": "forged", "expected": None, "found": found}))
        rows[stream] = lying([*records, gap])
    assert judged(rows).anchor is None


LAST = max(number for number, (_, said) in enumerate(GOOD.order) if said.kind == "checkpoint.made")


@pytest.mark.parametrize("at", range(LAST))
@pytest.mark.parametrize("left_out", [False, True], ids=["edited", "left out"])
def test_a_journal_written_anew_is_found_at_the_first_record_that_a_checkpoint_saw(at: int, left_out: bool) -> None:  # noqa: FBT001 - a parameter
    """F102: all hashes and marks fit, and what the key signed does not; what may have changed is bounded."""
    stream, said = GOOD.order[at]
    seq = sum(name == stream for name, _ in GOOD.order[: at + 1])
    other = GOOD.again(at, instead=None if left_out else Event(said.kind, {"forged": True}))
    marks = {name: held[-1].head for name, held in other.records.items()}
    found = judge(other.rows(), marks, WHO, [outside(GOOD.text())])
    first = found.verdict.flaws[0] if stream != SYSTEM else next(f for f in found.verdict.flaws if f.stream == SYSTEM)
    assert first.stream == stream
    assert seq <= first.seq <= COVERED[stream] + 1
    assert found.anchor is None


def test_a_rewritten_secret_is_found_without_anything_outside() -> None:
    """The journal's own signed checkpoints bear witness against its other records."""
    stream, said = next((stream, said) for stream, said in GOOD.order if stream == "database")
    records = History()
    for number, (name, one) in enumerate(GOOD.order):
        if name == stream:
            records.put(name, Event(said.kind, {"forged": True}) if number == 1 else one)
    rows = with_records(stream, records.records[stream])
    assert any(flaw.stream == stream for flaw in judged(rows, outside(b"")).verdict.flaws)


def test_what_is_newer_than_the_last_checkpoint_can_be_written_anew_and_the_verdict_says_so() -> None:
    """Promise 14: the owner of the host can rewrite only what no checkpoint covers, which is counted."""
    other = GOOD.again(len(GOOD.order) - 1, instead=Event("rotation.held", {"forged": True}))
    found = judged(other.rows())
    assert found.anchor is not None
    assert (found.anchor.n, found.anchor.uncovered) == (3, 3)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_an_edited_line_outside_is_named(n: int) -> None:
    """Any byte of any signed body: its line is named, and nothing is anchored."""
    one = GOOD.checkpoints[n - 1]
    edited = GOOD.text().replace(one.body, one.body.replace(b'"records":', b'"records":1', 1))
    found = judged(GOOD.rows(), outside(edited))
    assert [(bad.line, bad.how) for bad in found.blemishes] == [(n, Spoilt.EDITED)]
    assert str(found).startswith(f"broken at {WHERE}, line {n}: edited: its signature does not hold")


def test_every_byte_of_a_line_counts() -> None:
    """No single changed byte of a checkpoint outside goes unseen and is taken for whole."""
    line = GOOD.checkpoints[-1].line
    for at in range(len(line)):
        spoilt = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
        found = outside(GOOD.text().replace(line, spoilt))
        kept = [one for _, one in found.found if one.n == 3]
        assert found.blemishes or found.foreign or not kept or kept[0].moved is None


def test_a_checkpoint_of_another_key_is_forged() -> None:
    """Whoever signs with a key of their own is named by it."""
    fake = History(identity(2), signer(2))
    for stream, said in GOOD.order[:4]:
        fake.put(stream, said)
    fake.checkpoint()
    found = judged(GOOD.rows(), outside(fake.text()))
    assert [bad.how for bad in found.blemishes] == [Spoilt.FORGED]
    assert identity(2).key_id in found.blemishes[0].why


def test_a_forged_checkpoint_that_names_the_pinned_key_is_edited() -> None:
    """The name of the key in the body is worth nothing without its signature."""
    fake = signed(WHO, signer(2), Standing(0, NO_HASH, {}), {SYSTEM: GOOD.head(SYSTEM)}, TIME)
    assert [bad.how for bad in outside(fake.line).blemishes] == [Spoilt.EDITED]


@pytest.mark.parametrize("other", [{"environment": "staging"}, {"service": "other"}])
def test_checkpoints_of_another_environment_anchor_nothing(other: dict[str, str]) -> None:
    """Even with our own key: they are counted, and say nothing."""
    who = identity(**other)  # type: ignore[arg-type] # names of services and environments
    theirs = History(who, signer())
    theirs.add(SYSTEM, "system.started")
    theirs.checkpoint()
    source = outside(theirs.text())
    assert (source.foreign, source.found, source.blemishes) == (1, (), ())
    assert str(judged(GOOD.rows(), source)) == "self-consistent only"


@pytest.mark.parametrize(
    ("order", "how"),
    [
        ([1, 3], Spoilt.DELETED),
        ([1, 1, 2], Spoilt.DUPLICATED),
        ([2, 1], Spoilt.REORDERED),
    ],
)
def test_lines_of_a_target_that_do_not_follow_are_named(order: list[int], how: Spoilt) -> None:
    """A line cut out, repeated or moved; in a log, where lines get lost and come twice, that is no flaw."""
    text = b"".join(GOOD.checkpoints[n - 1].line + b"\n" for n in order)
    assert [bad.how for bad in outside(text).blemishes] == [how]
    assert not outside(text, whole=False).blemishes


def test_a_file_that_was_put_back_anchors_to_what_is_left_of_it() -> None:
    """The end of the file is gone: the verdict names the older checkpoint, the journal knows of a newer one."""
    found = judged(GOOD.rows(), outside(GOOD.checkpoints[0].line))
    assert found.anchor is not None
    assert (found.anchor.n, found.made) == (1, 3)
    assert found.anchor.uncovered > 3


def test_foreign_lines_in_a_target_are_named() -> None:
    """Nothing but checkpoints stands in a target's own file; a log holds what it likes."""
    text = GOOD.text() + b"hello\n"
    assert [(bad.line, bad.how) for bad in outside(text).blemishes] == [(4, Spoilt.EDITED)]
    assert not outside(text, whole=False).blemishes


def test_a_torn_line_before_its_whole_one_is_in_order() -> None:
    """What a crash left of a line is no flaw, as long as the whole of it follows."""
    whole = GOOD.checkpoints[2].line
    before = b"".join(one.line + b"\n" for one in GOOD.checkpoints[:2])
    for at in range(1, len(whole)):
        assert not outside(before + whole[:at] + b"\n" + whole + b"\n").blemishes
    assert outside(before + whole[:300] + b"\n").blemishes


def test_checkpoints_are_found_in_any_log() -> None:
    """Whatever stands before and behind them, in brief form too, several in one line, with foreign line ends."""
    one, two, three = GOOD.checkpoints
    log = b"Nov 23 09:00:00 host keyturn[1]: " + one.line + b"\r\nsomething else\n"
    log += b"<85>1 - - - - - - " + two.brief + b" and " + three.brief + b" end\n"
    found = judged(GOOD.rows(), outside(log, whole=False))
    assert found.anchor is not None
    assert found.anchor.n == 3


@EACH
def test_brief_checkpoints_cover_the_same(stream: str, seq: int) -> None:
    """What moved is left out outside: the journal's own record of it, which the signature covers, names it."""
    log = b"".join(b"host keyturn: " + one.brief + b"\n" for one in GOOD.checkpoints)
    source = outside(log, whole=False)
    found = judged(GOOD.rows(), source)
    assert found.anchor is not None
    assert found.anchor.uncovered == 3
    records = list(GOOD.records[stream])
    records[seq - 1] = forged(records[seq - 1])
    assert named(judged(with_records(stream, records), source), stream) == (seq, How.EDITED)


def test_the_fuller_of_two_forms_is_used() -> None:
    """A brief one in one source and a full one in another are one checkpoint."""
    brief = read_source("log", b"\n".join(one.brief for one in GOOD.checkpoints), WHO, whole=False)
    found = judge(GOOD.rows(), {}, WHO, [brief, outside(GOOD.text())])
    assert str(found).endswith(f"from {WHERE}")


def other_third() -> Checkpoint:
    """Checkpoint 3 once more, signed with the right key over other heads."""
    before = History(checkpoints=GOOD.checkpoints[:2]).standing()
    return signed(WHO, signer(), before, {SYSTEM: GOOD.checkpoints[1].system}, TIME)


def test_a_number_with_two_contents_is_found() -> None:
    """Two signatures under one number: the key was used by two journals."""
    second = read_source("other", other_third().line, WHO, whole=False)
    found = judged(GOOD.rows(), outside(GOOD.text()), second)
    assert [bad.how for bad in found.blemishes] == [Spoilt.FORKED]
    assert found.anchor is None


def test_a_journal_whose_own_checkpoint_says_something_else_is_named() -> None:
    """The record of the checkpoint is the one that is blamed, not what lies outside."""
    text = b"\n".join([GOOD.checkpoints[0].line, GOOD.checkpoints[1].line, other_third().line])
    seq, how = named(judged(GOOD.rows(), outside(text)), SYSTEM)
    assert (GOOD.records[SYSTEM][seq - 1].kind, how) == ("checkpoint.made", How.EDITED)


def rerecorded(*instead: Event) -> History:
    """A journal that was written anew with other records of checkpoints; nothing lies outside."""
    made = History()
    made.add(SYSTEM, "system.started")
    for one in instead:
        made.put(SYSTEM, one)
    return made


FIRST = GOOD.checkpoints[0]


@pytest.mark.parametrize(
    ("instead", "how"),
    [
        ([Event("checkpoint.made", {})], How.EDITED),
        ([event(FIRST), event(FIRST)], How.INSERTED),
        ([event(replace(FIRST, signature="A" * 86))], How.EDITED),
        ([event(signed(WHO, signer(), Standing(1, "f" * 64, {}), {}, TIME))], How.DELETED),
        ([event(FIRST), event(signed(WHO, signer(), Standing(1, "f" * 64, {}), {}, TIME))], How.EDITED),
        ([event(signed(WHO, signer(2), Standing(0, NO_HASH, {}), {}, TIME))], How.EDITED),
    ],
    ids=["empty", "twice", "unsigned", "first-missing", "other-predecessor", "other-key-same-name"],
)
def test_records_of_checkpoints_that_nobody_signed_are_named(instead: list[Event], how: How) -> None:
    """Whoever writes the journal anew cannot write checkpoints of their own into it."""
    history = rerecorded(*instead)
    assert named(judged(history.rows(), outside(b"")), SYSTEM)[1] is how


def test_a_checkpoint_of_a_former_key_is_vouched_for_by_the_one_behind_it() -> None:
    """A new pinned key: what the old one signed stands as long as the new one names it."""
    history = History(identity(2), signer(2))
    history.add(SYSTEM, "system.started")
    history.checkpoint()
    before = judged(history.rows(), outside(b""))
    assert str(before) == "self-consistent only", "nobody vouches for it yet, and nobody contradicts it"
    history.who, history.by = WHO, signer()
    history.checkpoint()
    assert str(judged(history.rows(), outside(history.checkpoints[1].line))).startswith("anchored to checkpoint 2")


def test_a_former_key_that_the_next_checkpoint_does_not_name_is_named() -> None:
    """Between keys, too, the chain must hold."""
    stray = signed(identity(2), signer(2), Standing(0, NO_HASH, {}), {}, TIME)
    behind = signed(WHO, signer(), Standing(1, "f" * 64, {}), {}, TIME)
    found = judged(rerecorded(event(stray), event(behind)).rows(), outside(b""))
    assert named(found, SYSTEM) == (2, How.EDITED)


def lost(history: History, streams: dict[str, int], expected: bool = True) -> History:  # noqa: FBT001, FBT002 - a parameter
    """The history after the ends of streams were lost, and a person accepted that; then one more checkpoint."""
    newest = history.checkpoints[-1].n
    for stream, left in streams.items():
        was = history.head(stream)
        history.records[stream] = history.records[stream][:left]
        found = history.head(stream)
        data = {"reason": "restored", "expected": {"seq": was.seq, "hash": was.hash} if expected else None}
        history.add(stream, "gap", **data, found={"seq": found.seq, "hash": found.hash})
    kept = {record.data["n"] for record in history.records[SYSTEM] if record.kind == "checkpoint.made"}
    history.checkpoints = [one for one in history.checkpoints if one.n in kept]
    history.checkpoint(newest + 1)
    return history


@pytest.mark.parametrize("expected", [True, False])
def test_what_fell_into_an_accepted_gap_is_not_missed_again_and_the_verdict_says_so(expected: bool) -> None:  # noqa: FBT001 - a parameter
    """A checkpoint saw records that are lost, and somebody accepted that: anchored, with the gap counted."""
    history = lost(sample(), {"database": 4}, expected)
    found = judged(history.rows(), outside(history.text()))
    assert str(found) == f"anchored to checkpoint 4 of {TIME} from {WHERE}, with 1 accepted gaps"


def test_checkpoints_that_were_lost_with_the_system_stream_are_not_missed_again() -> None:
    """Their records fell into the gap; a new target begins with the next number."""
    history = lost(sample(), {SYSTEM: 2, "api-key": 1, "database": 4})
    assert [one.n for one in history.checkpoints] == [1, 4]
    both = [outside(history.checkpoints[-1].line), read_source("old", GOOD.text(), WHO, whole=True)]
    found = judged(history.rows(), *both)
    assert str(found).startswith(f"anchored to checkpoint 4 of {TIME} from {WHERE}, with ")


def test_a_gap_that_was_accepted_before_a_checkpoint_excuses_nothing_that_it_saw() -> None:
    """What was written and signed after the gap counts as any other record."""
    history = lost(sample(), {"database": 4})
    records = [*history.records["database"][:4]]
    rows = {**history.rows(), "database": lying([*records, forged(history.records["database"][4])])}
    assert named(judged(rows, outside(history.text())), "database") == (5, How.EDITED)


def test_a_gap_that_names_nothing_excuses_nothing() -> None:
    """A record `gap` whose data is off is not taken for one."""
    history = History()
    history.add(SYSTEM, "system.started")
    history.add("database", "gap", found="nothing")
    history.checkpoint()
    assert judged(history.rows(), outside(history.text())).anchor is not None


def test_words_of_a_kind_in_data_are_no_records_of_it() -> None:
    """Only the kind of a record counts, and rows that are no records are left to the chain."""
    history = History()
    history.add(SYSTEM, "system.started", kind="checkpoint.made")
    history.checkpoint()
    rows = history.rows()
    assert judged(rows, outside(history.text())).anchor is not None
    rows[SYSTEM][1] = Row(2, "f" * 64, b'{"kind":"checkpoint.made"}')
    assert named(judged(rows, outside(history.text())), SYSTEM) == (2, How.EDITED)
