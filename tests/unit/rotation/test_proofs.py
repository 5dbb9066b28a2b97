"""What is no proof, although it looks like one."""

import threading
from dataclasses import replace

from keyturn.core.errors import OutcomeUnknown
from keyturn.journal.record import Record
from keyturn.testing.bench import NAME, Bench
from tests.unit.rotation.test_engine import cut_tail


def test_an_old_credential_that_somebody_ended_first_is_no_death_of_ours(bench: Bench) -> None:
    """Refused before we disabled it: that is drift, because a later refusal would show nothing of what we did."""

    def end_it(record: Record) -> None:
        if record.kind == "disuse.observed":
            bench.target.tamper("a", enabled=False)

    bench.on_record = end_it
    outcome = bench.rotate()
    assert outcome.status == "drift"
    assert outcome.why.startswith("drift: control:old")


def test_an_old_credential_that_still_works_is_not_called_dead(bench: Bench) -> None:
    """Whoever enables the old role again after we disabled it keeps the rotation open, however often we try."""

    def enable_again(record: Record) -> None:
        if record.kind == "rotation.done" and record.data["effect"] == "disable:old":
            bench.target.tamper("a", enabled=True)

    bench.on_record = enable_again
    outcome = bench.rotate()
    assert outcome.status == "drift"
    assert outcome.why.startswith("drift: death:old answered accepted")
    assert bench.alive() == ["a", "b"]


def test_a_candidate_that_was_staged_without_an_answer_is_staged_again_as_it_was(bench: Bench) -> None:
    """The store has it and could not say so: the same bytes come again, and that is no conflict."""
    bench.store.fail("stage", OutcomeUnknown("no reply"), after=True)
    assert bench.rotate().status == "closed"
    assert bench.kinds().count("rotation.outcome_unknown") == 1
    assert len(bench.store.versions(NAME)) == 2


def test_what_was_decided_since_the_intent_stops_the_effect(bench: Bench) -> None:
    """A word that comes between the intent and its effect is seen: nothing is sent to the target."""

    def hold(record: Record) -> None:
        if record.kind == "rotation.intended" and record.data["effect"] == "apply":
            bench.engine("somebody else").hold("ops", "not now")

    bench.on_record = hold
    assert bench.rotate().status == "held"
    assert bench.alive() == ["a"]


def test_after_a_loss_the_first_effect_stands_above_what_was_sent_before(bench: Bench) -> None:
    """An effect that was repeated under higher fences, all of them lost, is done again above the last one."""
    told = threading.Event()

    def note(record: Record) -> None:
        if record.kind == "rotation.done":
            told.set()

    bench.policy = replace(bench.policy, claim=0.05)
    bench.on_record, bench.stopping = note, told.is_set
    bench.target.lost_replies = 2
    assert bench.rotate().status == "interrupted"
    intents = [one.seq for one in bench.journal.read(NAME) if one.kind == "rotation.intended"]
    cut_tail(bench, bench.journal.head(NAME).seq - intents[-3])
    bench.engine().accept_gap("all after the first try was lost")
    bench.stopping = lambda: False
    assert bench.engine().advance(20).status == "closed"
    assert "rotation.failed" not in bench.kinds()
