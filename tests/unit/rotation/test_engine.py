import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.core.clock import parse_rfc3339
from keyturn.core.consumer import Delivery
from keyturn.core.errors import Denied, Incomplete, Refused, RolledBack, Unavailable
from keyturn.core.rotator import Answer, Probe
from keyturn.core.secret import Bundle
from keyturn.journal.record import Record
from keyturn.rotation.events import Direction
from keyturn.rotation.log import Watching
from keyturn.testing.bench import NAME, Bench
from keyturn.testing.fake_consumer import FakeConsumer, FakeInstance
from keyturn.testing.fake_target import FakeRotator


def current_slot(bench: Bench) -> str:
    """The slot of the current version."""
    current = bench.engine().state().current
    assert current is not None
    return current.slot


def test_a_rotation_ends_with_the_old_credential_refused_and_no_failed_request(bench: Bench) -> None:
    """A rotation moves every instance to the new version, and only then the old one is refused."""
    before = bench.engine().state().current
    assert before is not None
    old = bench.store.read(NAME, before.version)
    outcome = bench.rotate()
    assert outcome.status == "closed"
    assert bench.rotator.accepts(old).answer is Answer.REFUSED
    assert {instance.version for instance in bench.instances} == {bench.store.current(NAME)}
    assert bench.failures() == []
    assert bench.journal.read(NAME)[-1].data["death"] == "refused"


def test_slots_take_turns(bench: Bench) -> None:
    """Each rotation goes to the slot that the current version does not use."""
    slots = []
    for _ in range(3):
        slots.append(current_slot(bench))
        assert bench.rotate().status == "closed"
    assert slots == ["a", "b", "a"]


def test_the_candidate_is_forgotten_by_the_escrow_when_the_rotation_ends(bench: Bench) -> None:
    """After the end no candidate lies in escrow."""
    attempt = bench.journal.read(NAME)[0].data["attempt"]
    assert bench.escrow.unseal(attempt) is None


def test_a_stopped_instance_holds_the_rotation_and_is_named(bench: Bench) -> None:
    """While one process is silent on the old version, nothing is retired and its name is given."""
    bench.policy = replace(bench.policy, deadline=0.02)
    bench.instances[1].stopped = True
    outcome = bench.rotate(patience=0.4)
    assert outcome.status == "waiting"
    assert any("instance-1" in line for line in outcome.holdouts)
    held = [record.data for record in bench.journal.read(NAME) if record.kind == "rotation.held"]
    assert [one["undeclared"] for one in held] == [False]
    assert len(bench.alive()) == 2
    bench.instances[1].stopped = False
    assert bench.engine().advance(20).status == "closed"
    assert bench.failures() == []


def test_a_missing_instance_holds_the_rotation(bench: Bench) -> None:
    """Fewer instances than declared is not proof that all of them moved."""
    bench.consumers = (FakeConsumer("app", bench.instances, expected=4),)
    outcome = bench.rotate(patience=1.5)
    assert outcome.status == "waiting"
    assert any("3 of 4 instances" in line for line in outcome.holdouts)


def test_a_session_of_somebody_undeclared_holds_the_rotation(bench: Bench) -> None:
    """A session at the target on the old credential keeps it alive, whoever it belongs to."""
    current = bench.engine().state().current
    assert current is not None
    session = bench.target.log_in(bench.store.read(NAME, current.version), application="a report script")
    bench.policy = replace(bench.policy, deadline=0.1)
    stop_after(bench, "rotation.held")
    outcome = bench.rotate()
    assert outcome.status == "interrupted"
    held = [record.data for record in bench.journal.read(NAME) if record.kind == "rotation.held"]
    assert [one["undeclared"] for one in held] == [True]
    assert any("a report script" in line for line in outcome.holdouts)
    bench.target.log_out(session)
    bench.stopping = lambda: False
    assert bench.engine().advance(20).status == "closed"


def test_who_was_only_waited_for_may_be_the_one_that_is_left(bench: Bench) -> None:
    """A session on the old credential is not called undeclared while a declared consumer was waited for, not shown."""
    current = bench.engine().state().current
    assert current is not None
    bench.target.log_in(bench.store.read(NAME, current.version), application="a consumer without reports")
    bench.policy = replace(bench.policy, deadline=0.1)
    bench.consumers = (*bench.consumers, FakeConsumer("lost", [], expected=2))
    engine = bench.engine()
    engine.begin("bench")
    engine.excuse("lost", "9999-12-01T00:00:00.000Z", "it cannot report")
    assert engine.advance(0.4).status == "waiting"
    held = [record.data for record in bench.journal.read(NAME) if record.kind == "rotation.held"]
    assert {one["undeclared"] for one in held} == {False}


def test_a_rejection_reverts_and_nobody_fails(bench: Bench) -> None:
    """If an instance cannot use the new version, the old one becomes current again and the new one is refused."""
    old = bench.store.current(NAME)

    def break_new_role(record: Record) -> None:
        if record.kind == "delivery.sent":
            bench.target.unusable.add("b")

    bench.on_record = break_new_role
    outcome = bench.rotate()
    assert outcome.status == "reverted"
    assert bench.store.current(NAME) == old
    assert bench.alive() == ["a"]
    assert bench.failures() == []
    assert "delivery.rejected" in bench.kinds()


def test_a_rejection_holds_where_the_manifest_says_so(bench: Bench) -> None:
    """With on_reject = hold the rotation stops and says who rejected."""
    bench.policy = replace(bench.policy, on_reject="hold")
    bench.on_record = lambda record: bench.target.unusable.add("b") if record.kind == "delivery.sent" else None
    outcome = bench.rotate()
    assert outcome.status == "held"
    assert "rejected" in outcome.why


def test_a_candidate_that_gets_no_session_is_aborted_before_anybody_is_told(bench: Bench) -> None:
    """A new credential that does not work is withdrawn before promote."""
    bench.target.unusable.add("b")
    outcome = bench.rotate()
    assert outcome.status == "aborted"
    assert bench.alive() == ["a"]
    assert len([kind for kind in bench.kinds() if kind == "version.promoted"]) == 1


def test_a_lost_reply_is_read_back_under_a_higher_fence(bench: Bench) -> None:
    """An effect without an answer is recorded as unknown and sent again, and the rotation goes on."""
    bench.target.lost_replies = 1
    assert bench.rotate().status == "closed"
    assert bench.kinds().count("rotation.outcome_unknown") == 1


def test_an_effect_that_arrives_late_is_refused(bench: Bench) -> None:
    """What was held back on its way cannot undo what was decided since."""
    bench.target.holding_back = True
    outcome = bench.rotate()
    assert outcome.status == "waiting"
    bench.target.holding_back = False
    assert bench.engine("second").advance(20).status == "closed"
    assert bench.rotate().status == "closed"
    alive = bench.alive()
    assert all(told is not None for told in bench.target.deliver_late())
    assert bench.alive() == alive


def test_an_unreachable_target_is_waited_for_and_nothing_is_lost(bench: Bench) -> None:
    """A target that does not answer leaves the rotation open, with the reason, to be resumed."""
    bench.target.reachable = False
    outcome = bench.rotate(patience=0.1)
    assert (outcome.status, outcome.code) == ("waiting", "unavailable")
    bench.target.reachable = True
    assert bench.engine().advance(20).status == "closed"


def test_a_denied_effect_is_not_tried_again(bench: Bench) -> None:
    """An answer that only a person can change ends the pass at once."""
    bench.store.fail("stage", Denied("no right to write"))
    outcome = bench.rotate()
    assert (outcome.status, outcome.code) == ("waiting", "denied")
    assert bench.kinds().count("rotation.failed") == 1


def test_a_passing_fault_of_the_store_is_tried_again(bench: Bench) -> None:
    """One unavailable answer does not end the pass."""
    bench.store.fail("promote", Unavailable("for a moment"))
    assert bench.rotate().status == "closed"


def test_a_second_rotation_is_refused_while_one_is_open(bench: Bench) -> None:
    """One rotation per secret is open at a time."""
    bench.engine().begin("first")
    with pytest.raises(Refused, match="is open"):
        bench.engine().begin("second")


def test_of_two_workers_one_is_refused(bench: Bench) -> None:
    """While one worker advances, another one is told that the lock is held."""
    bench.instances[0].stopped = True
    inside = threading.Event()
    bench.on_record = lambda record: inside.set() if record.kind == "delivery.observed" else None
    first = threading.Thread(target=bench.rotate, args=(1.0,))
    first.start()
    assert inside.wait(10)
    with pytest.raises(Refused, match="locked"):
        bench.engine("second").advance(0)
    first.join()


def test_an_abort_before_promote_leaves_only_the_old_credential(bench: Bench) -> None:
    """Aborting after apply disables the new slot and shows that it is refused."""
    engine = bench.engine()
    engine.begin("bench")
    stop_after(bench, "rotation.done")
    assert bench.engine().advance(20).status == "interrupted"
    bench.stopping = lambda: False
    engine = bench.engine()
    engine.turn(Direction.ABORT, "changed my mind")
    assert engine.advance(20).status == "aborted"
    assert bench.alive() == ["a"]
    assert bench.failures() == []


def test_a_revert_after_promote_brings_everybody_back(bench: Bench) -> None:
    """Reverting moves the instances to the old version before the new one is disabled."""
    old = bench.store.current(NAME)
    bench.instances[2].stopped = True
    assert bench.rotate(patience=0.2).status == "waiting"
    bench.instances[2].stopped = False
    engine = bench.engine()
    engine.turn(Direction.REVERT, "the release was rolled back")
    assert engine.advance(20).status == "reverted"
    assert {instance.version for instance in bench.instances} == {old}
    assert bench.alive() == ["a"]
    assert bench.failures() == []
    assert bench.rotate().status == "closed"


def test_turns_are_refused_where_they_are_not_possible(bench: Bench) -> None:
    """Nothing open, too early to revert, too late to abort: each refusal names what can be done instead."""
    with pytest.raises(Refused, match="no rotation"):
        bench.engine().turn(Direction.ABORT, "x")
    engine = bench.engine()
    engine.begin("bench")
    with pytest.raises(Refused, match="nothing was promoted yet"):
        engine.turn(Direction.REVERT, "x")
    bench.instances[0].stopped = True
    bench.engine().advance(0.2)
    with pytest.raises(Refused, match="too late to abort"):
        bench.engine().turn(Direction.ABORT, "x")


def test_a_turn_reaches_the_worker_that_is_at_it(bench: Bench) -> None:
    """A revert that is asked for while another worker settles is carried out by that worker."""
    bench.instances[0].stopped = True
    asked = threading.Event()

    def ask_once(heard: Record | Watching) -> None:
        if isinstance(heard, Watching) and heard.step == "settle" and not asked.is_set():
            asked.set()
            bench.instances[0].stopped = False
            bench.engine("operator").turn(Direction.REVERT, "while it runs")

    engine = bench.engine()
    engine.begin("bench")
    engine._log.listener = ask_once
    assert engine.advance(20).status == "reverted"
    assert bench.failures() == []


def test_a_held_rotation_waits_for_resume(bench: Bench) -> None:
    """After hold nothing goes on by itself; resume goes on."""
    engine = bench.engine()
    engine.begin("bench")
    engine.hold("ada", "month end")
    outcome = engine.advance(20)
    assert (outcome.status, outcome.why) == ("held", "held by ada: month end")
    assert engine.advance(20, resume=True).status == "closed"


def test_an_excused_consumer_need_not_be_shown(bench: Bench) -> None:
    """An excuse releases the rotation from one consumer; the target must still be quiet."""
    bench.consumers = (*bench.consumers, FakeConsumer("lost", [], expected=2))
    assert bench.rotate(patience=0.2).status == "waiting"
    bench.engine().excuse("lost", "9999-12-01T00:00:00.000Z", "decommissioned")
    assert bench.engine().advance(20).status == "closed"


def test_an_excuse_that_is_over_excuses_nobody(bench: Bench) -> None:
    """After the time that an excuse names, its consumer must be shown again."""
    bench.consumers = (*bench.consumers, FakeConsumer("lost", [], expected=2))
    engine = bench.engine()
    engine.begin("bench")
    engine.excuse("lost", "2001-01-01T00:00:00.000Z", "long ago")
    assert engine.advance(0.2).status == "waiting"


def test_an_unknown_consumer_cannot_be_excused(bench: Bench) -> None:
    """A typing error in an excuse is refused."""
    bench.engine().begin("bench")
    with pytest.raises(Refused, match="no consumer"):
        bench.engine().excuse("ap", "9999-12-01T00:00:00.000Z", "typo")


def test_a_slot_that_somebody_enabled_is_drift(bench: Bench) -> None:
    """A slot that should be idle and can log in stops the rotation, which goes on after it was mended."""
    bench.target.tamper("b", enabled=True)
    outcome = bench.rotate()
    assert outcome.status == "drift"
    assert "b can log in" in outcome.why
    bench.target.tamper("b", enabled=False)
    assert bench.engine().advance(20, resume=True).status == "closed"


class Hushed(FakeRotator):
    """A target that is looked at over one line, while the line of the consumers answers nothing."""

    def accepts(self, bundle: Bundle) -> Probe:
        """No answer."""
        self.slot_of(bundle)
        return Probe(Answer.UNREACHABLE, "the other line is cut")


def test_a_slot_that_may_hold_the_candidate_is_asked_again_when_nobody_answers(bench: Bench) -> None:
    """Whether an enabled slot is ours cannot be known without an answer: that is waited for, and is no drift."""

    def enable(record: Record) -> None:
        if record.kind == "version.staged":
            bench.target.tamper("b", enabled=True)

    bench.on_record, bench.rotator = enable, Hushed(bench.target)
    outcome = bench.rotate(0.5)
    assert (outcome.status, outcome.code) == ("waiting", "unavailable")
    assert "the other line is cut" in outcome.why
    bench.rotator = FakeRotator(bench.target)
    assert bench.engine().advance(20).status == "drift"


def test_a_current_credential_that_was_changed_by_hand_is_drift(bench: Bench) -> None:
    """If the old credential is refused before anything was retired, the rotation stops."""
    bench.on_record = lambda record: bench.target.tamper("a", enabled=False) if record.kind == "rotation.done" else None
    assert bench.rotate().status == "drift"


def test_being_told_to_stop_ends_the_pass_after_the_step_under_way(bench: Bench) -> None:
    """A stop request leaves the rotation resumable at the next step."""
    bench.engine().begin("bench")
    stop_after(bench, "version.staged")
    outcome = bench.engine().advance(20)
    assert (outcome.status, outcome.why) == ("interrupted", "told to stop before look:apply")
    bench.stopping = lambda: False
    assert bench.engine().advance(20).status == "closed"


def test_a_slot_rests_between_two_rotations(tmp_path: Path) -> None:
    """A slot is not written within the minimum overlap after it was ended; without patience the wait is named."""
    bench = Bench(tmp_path, window=0.3)
    bench.rotate()
    bench.engine().begin("bench")
    outcome = bench.engine().advance(0)
    assert outcome.status == "waiting"
    assert "rests" in outcome.why


def test_a_plan_names_the_steps_and_writes_nothing(bench: Bench) -> None:
    """Planning reads the journal and leaves it as it is."""
    before = bench.kinds()
    plan = bench.engine().plan()
    assert (plan.slot, plan.leaving) == ("b", "a")
    assert plan.steps[-1] == "retire:old"
    assert bench.kinds() == before


def test_reconcile_puts_right_what_came_late_from_ourselves(bench: Bench) -> None:
    """An idle slot that bears the mark of our own intent is disabled again."""
    assert bench.rotate().status == "closed"
    intent = next(r.seq for r in bench.journal.read(NAME) if r.data.get("effect") == "apply")
    slot = bench.target._slots["a"]
    slot.enabled, slot.fence = True, intent
    agreement = bench.engine().reconcile()
    assert agreement.repaired == ("slot a was enabled late by ourselves",)
    assert bench.alive() == ["b"]


def test_reconcile_leaves_what_is_not_ours(bench: Bench) -> None:
    """An idle slot that somebody else enabled is reported and left alone."""
    bench.target.tamper("b", enabled=True)
    agreement = bench.engine().reconcile()
    assert agreement.repaired == ()
    assert agreement.idle[0].enabled


def test_reconcile_leaves_the_target_alone_between_its_turns(bench: Bench) -> None:
    """Store and deliveries are looked at each time; a target that is away is not asked."""
    bench.target.reachable = False
    agreement = bench.engine().reconcile(target=False)
    assert (agreement.stored, agreement.probe, agreement.idle) == (agreement.decided, None, ())


def test_reconcile_delivers_again_what_is_gone(bench: Bench) -> None:
    """After a reboot the directory on tmpfs is empty: the current version lies there again, under a new fence."""
    app = bench.consumers[0]
    assert isinstance(app, FakeConsumer)
    app.lose()
    agreement = bench.engine().reconcile(target=False)
    assert agreement.repaired == (f"version none lay where app reads, now it is {agreement.decided}",)
    assert app.delivered(NAME) == agreement.decided
    assert bench.engine().reconcile().repaired == ()


def test_reconcile_delivers_nothing_while_the_store_is_not_as_decided(bench: Bench) -> None:
    """Somebody else's value in the store is for a person to judge first."""
    app = bench.consumers[0]
    assert isinstance(app, FakeConsumer)
    app.lose()
    bench.store.stage(NAME, Bundle({"value": "foreign"}), "foreign")
    bench.store.promote(NAME, "foreign", bench.store.current(NAME))
    agreement = bench.engine().reconcile(target=False)
    assert agreement.stored != agreement.decided
    assert app.delivered(NAME) is None


def test_a_settle_that_lost_its_delivery_delivers_again(bench: Bench) -> None:
    """A reboot while consumers are moved empties the directory: the rotation goes on and closes."""
    app = bench.consumers[0]
    assert isinstance(app, FakeConsumer)
    stop_after(bench, "delivery.observed")
    bench.engine().begin("bench")
    assert bench.engine().advance(20).status == "interrupted"
    app.lose()
    bench.stopping = lambda: False
    assert bench.engine().advance(20).status == "closed"
    assert bench.failures() == []


def stop_after(bench: Bench, kind: str) -> None:
    """Ask the engine to stop as soon as a record of that kind was written."""
    seen = threading.Event()
    bench.on_record = lambda record: seen.set() if record.kind == kind else None
    bench.stopping = seen.is_set


def cut_tail(bench: Bench, records: int) -> None:
    """The journal loses its newest records, as from a backup; the mark outside keeps what was seen."""
    kept = bench.journal.head(NAME).seq - records
    bench.journal.close()
    with closing(sqlite3.connect(bench.folder / "journal.db")) as database:
        guards = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            database.execute(f"DROP TRIGGER {name}")
        database.execute("DELETE FROM records WHERE stream = ? AND seq > ?", (NAME, kept))
        database.execute("DELETE FROM projection")
        for _, again in guards:
            database.execute(again)
        database.commit()
    bench.reopen()


def test_a_lost_tail_stops_everything_until_it_is_accepted(bench: Bench) -> None:
    """Without its newest records nothing is done; after a look that explains the world, the rotation goes on."""
    bench.policy = replace(bench.policy, claim=0.05)
    bench.instances[0].stopped = True
    bench.rotate(patience=0.2)
    cut_tail(bench, 1)
    with pytest.raises(RolledBack):
        bench.engine().advance(20)
    lines = bench.engine().accept_gap("restored from the backup of last night")
    assert any("b can log in" in line for line in lines)
    bench.instances[0].stopped = False
    assert bench.engine().advance(20).status == "closed"
    assert bench.rotate().status == "closed"
    assert bench.failures() == []


def test_a_gap_that_the_world_contradicts_is_not_accepted(bench: Bench) -> None:
    """If a whole rotation was lost, going on is refused and nothing is written."""
    bench.policy = replace(bench.policy, claim=0.05)
    before = bench.journal.head(NAME).seq
    assert bench.rotate().status == "closed"
    cut_tail(bench, bench.journal.head(NAME).seq - before)
    with pytest.raises(Incomplete, match="not as the journal says"):
        bench.engine().accept_gap("hoping for the best")
    assert bench.journal.head(NAME).seq == before


def test_fences_rise_above_what_was_lost(bench: Bench) -> None:
    """After a gap no effect carries a fence that an effect of the lost records already had."""
    bench.policy = replace(bench.policy, claim=0.05)
    assert bench.rotate().status == "closed"
    highest = max(bench.target.look(slot).fence or 0 for slot in bench.target.slots)
    cut_tail(bench, 1)
    bench.engine().accept_gap("the last record was lost")
    assert bench.engine().advance(20).status == "closed"
    assert bench.rotate().status == "closed"
    assert min(bench.target.look(slot).fence or 0 for slot in bench.target.slots) > highest


def test_a_process_that_moves_late_starts_the_quiet_window_anew(tmp_path: Path) -> None:
    """Quiet at the target counts only from when everybody was seen on the new version."""
    bench = Bench(tmp_path, window=0.3)
    bench.rotate()
    bench.instances[0].slow = 40
    outcome = bench.rotate()
    assert outcome.status == "closed"
    records = bench.journal.read(NAME)[-40:]
    seen = [r for r in records if r.kind == "delivery.observed"]
    moved = next(r for r in seen if all(one["oldest"] == r.data["version"] for one in r.data["instances"]))
    quiet = next(r for r in records if r.kind == "disuse.observed" and r.seq > moved.seq)
    assert parse_rfc3339(quiet.data["quiet_from"]) >= parse_rfc3339(moved.time)


@pytest.mark.parametrize("records", range(1, 30))
def test_a_stop_request_at_any_moment_leaves_a_rotation_that_goes_on(bench: Bench, records: int) -> None:
    """Told to stop after any number of records, the pass ends in good order, and resuming closes the rotation."""
    bench.engine().begin("bench")
    heard = 0

    def count(_: Record) -> None:
        nonlocal heard
        heard += 1

    bench.on_record = count
    bench.stopping = lambda: heard >= records
    outcome = bench.engine().advance(20)
    assert outcome.status in {"interrupted", "closed"}
    assert outcome.status == "closed" or "told to stop" in outcome.why
    bench.stopping = lambda: False
    if outcome.status == "interrupted":
        assert bench.engine().advance(20).status == "closed"
    assert bench.failures() == []
    assert len(bench.alive()) == 1


class Full(FakeConsumer):
    """A consumer whose disk is full while `full`."""

    full = True

    def deliver(self, delivery: Delivery) -> None:
        """Not now."""
        if self.full:
            raise Denied("no room")
        super().deliver(delivery)


def test_one_consumer_that_takes_nothing_does_not_keep_the_others_waiting(bench: Bench) -> None:
    """All are delivered to; then the first failure is said, and the rotation goes on when it is mended."""
    full = Full("full", [FakeInstance("lonely", bench.target)])
    bench.consumers = (full, *bench.consumers)
    outcome = bench.rotate(0.5)
    assert (outcome.status, outcome.code) == ("waiting", "denied")
    app = bench.consumers[1]
    assert app.delivered(NAME) == bench.store.current(NAME)
    full.full = False
    assert bench.engine().advance(20).status == "closed"


def test_a_consumer_that_cannot_report_is_waited_for_in_seconds(bench: Bench) -> None:
    """While its grace is waited it is named with the seconds, and not at all when that is over."""
    quiet = FakeConsumer("quiet", [])
    quiet.reports, quiet.grace = False, 0.4
    bench.consumers = (quiet,)
    assert bench.rotate().status == "closed"
    said = [line for heard in bench.heard if isinstance(heard, Watching) for line in heard.holdouts]
    assert any(line.startswith("quiet: cannot report, waited for") and line.endswith("of 0.4 s") for line in said)
    last = [heard for heard in bench.heard if isinstance(heard, Watching)][-1]
    assert not any("quiet" in line for line in last.holdouts)
