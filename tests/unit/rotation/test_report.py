"""A rotation as evidence: what the records say, and not a word more."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.core.clock import rfc3339
from keyturn.core.errors import Corrupt
from keyturn.core.rotator import Answer
from keyturn.journal.record import NO_HASH, Head, Record
from keyturn.rotation import events
from keyturn.rotation.events import ConsumerRule, Direction, Fact, Planned, Seen, encode
from keyturn.rotation.machine import IDLE
from keyturn.rotation.report import Report, reports

START = datetime(2026, 1, 1, tzinfo=UTC)
ONE = Seen("h-1-2", "v1", "v1", "holds", "2026-01-01T00:00:00.000Z")


class Stream:
    """Records of a stream, one second apart."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.rotation = self.slot = ""
        self.epoch = 0

    def add(self, *facts: Fact) -> None:
        """Append."""
        for fact in facts:
            seq, event = len(self.records) + 1, encode(fact)
            time = rfc3339(START + timedelta(seconds=seq))
            data = json.loads(json.dumps(event.data))
            stored = json.dumps(data).encode()
            self.records.append(
                Record(
                    "database", seq, NO_HASH, time, "b", seq * 1000, "me", event.kind, 1, True, Head(0, NO_HASH),
                    data, stored, hashlib.sha256(stored).hexdigest(),
                )
            )  # fmt: skip

    def begin(self, rotation: str, slot: str, rules: tuple[ConsumerRule, ...] = ()) -> None:
        """Plan and claim."""
        self.rotation, self.slot = rotation, slot
        self.add(Planned(rotation, slot, f"attempt-{rotation}", trigger="test", window_ms=1000, consumers=rules))
        self.add(events.Claimed(rotation, "me"))
        self.epoch = len(self.records)

    def effect(self, step: str, version: str = "", was: str | None = None) -> None:
        """Intent and what came of it."""
        self.add(events.Intended(self.rotation, step, self.epoch))
        intent, attempt = len(self.records), f"attempt-{self.rotation}"
        made: dict[str, Fact] = {
            "stage": events.Staged(self.rotation, attempt, version, self.slot, intent),
            "promote": events.Promoted(self.rotation, attempt, version, self.slot, intent, was),
            "withdraw": events.Retired(self.rotation, version, intent),
        }
        self.add(made.get(step, events.Done(self.rotation, step, intent)))

    def probe(self, purpose: str, answer: str = Answer.ACCEPTED) -> None:
        """One question."""
        self.add(events.Probed(self.rotation, purpose, "v1", answer, "host said so"))

    def deliver(self, version: str, was: str | None = None) -> None:
        """All from the look at the slot up to the delivery."""
        self.probe("look:stage", IDLE)
        self.effect("stage", version)
        self.probe("look:apply", IDLE)
        self.effect("apply")
        self.probe("verify:new")
        if was:
            self.probe("verify:old")
        self.effect("promote", version, was)
        self.probe("reverify:new")
        self.effect("deliver")

    def first_version(self) -> None:
        """A rotation from nothing up to its delivery."""
        self.begin("r", "a")
        self.deliver("v1")

    def only(self) -> Report:
        """The one report."""
        (report,) = reports(self.records)
        return report


def test_steps_have_times_proofs_and_the_numbers_of_their_records() -> None:
    """Each step begins where the one before it ended, and names what proves it."""
    stream = Stream()
    stream.first_version()
    report = stream.only()
    assert report.outcome == "open"
    assert [step.step for step in report.steps][:3] == ["look:stage", "stage", "look:apply"]
    stage = report.steps[1]
    assert (stage.proof, stage.records) == ("version v1 is pending and was read back", (4, 5))
    assert stage.started == report.steps[0].ended
    assert report.probes[0].answer == IDLE
    assert report.new_version == "v1"
    assert json.dumps(report.as_json())


def test_a_closed_rotation_has_duration_and_death() -> None:
    """From plan to end in milliseconds; a first version ends nothing, so there is no death."""
    stream = Stream()
    stream.first_version()
    stream.add(events.Closed("r", "v1"))
    report = stream.only()
    assert report.outcome == "closed"
    assert report.duration_ms == (len(stream.records) - 1) * 1000
    assert report.death is None


def test_an_abort_is_one_report_with_both_directions() -> None:
    """What was done before the turn stays in it; the reason is that of the turn."""
    stream = Stream()
    stream.begin("r", "a")
    stream.probe("look:stage", IDLE)
    stream.effect("stage", "v1")
    stream.add(Planned("r", "a", "attempt-r", Direction.ABORT, reason="changed my mind"))
    stream.effect("withdraw", "v1")
    stream.add(events.Aborted("r"))
    report = stream.only()
    assert [(step.step, step.direction) for step in report.steps] == [
        ("look:stage", "forward"),
        ("stage", "forward"),
        ("withdraw", "abort"),
    ]
    assert (report.outcome, report.reason, report.direction) == ("aborted", "changed my mind", "abort")


def settling(rule: ConsumerRule, *facts: Fact) -> Report:
    """A second rotation that is moving one consumer, after these facts."""
    stream = Stream()
    stream.first_version()
    stream.add(events.Closed("r", "v1"))
    stream.begin("s", "b", (rule,))
    stream.deliver("v2", "v1")
    stream.add(*facts)
    return reports(stream.records)[-1]


def seen(complete: bool = True, waited_ms: int = 0, **changes: object) -> events.Observed:  # noqa: FBT001, FBT002 - a field of the event
    """One look at the consumer, whose one instance is on the new version but for the changes."""
    moved = replace(ONE, newest="v2", oldest="v2", **changes)  # type: ignore[arg-type] # fields of Seen
    return events.Observed("s", "api", "v2", complete, 1, (moved,), waited_ms)


API = ConsumerRule("api")


@pytest.mark.parametrize(
    ("rule", "fact", "evidence", "holdout"),
    [
        (API, seen(), "holds", None),
        (API, seen(grade="uses"), "holds", None),
        (API, seen(drained=True, grade="claimed"), "holds", None),
        (ConsumerRule("api", grade="claimed"), seen(grade="claimed"), "claimed", None),
        (API, seen(grade="claimed"), "not shown yet", "claims it without proof"),
        (API, seen(silent=True), "not shown yet", "is silent"),
        (API, seen(complete=False), "not shown yet", "1 of 1 instances seen"),
        (ConsumerRule("api", reports=False, grace_ms=500), seen(waited_ms=500), "waited", None),
        (ConsumerRule("api", reports=False, grace_ms=500), seen(waited_ms=400), "not shown yet", None),
    ],
)
def test_evidence_says_how_sure_it_is(
    rule: ConsumerRule, fact: events.Observed, evidence: str, holdout: str | None
) -> None:
    """Holds, claimed and waited are kept apart, and who is not shown is named."""
    (shown,) = settling(rule, fact).consumers
    assert shown.evidence == evidence
    assert len(shown.holdouts) == (holdout is not None)
    assert (holdout or "") in "".join(shown.holdouts)


def test_an_excused_consumer_is_waited_for_and_never_shown() -> None:
    """The excuse stands in the report, and the evidence says waited."""
    report = settling(API, events.Excused("api", "database", "T", "it hangs"), seen(silent=True))
    assert report.excused == ("api: it hangs",)
    assert report.consumers[0].evidence == "waited"


def test_a_sample_never_says_that_nobody_was_there() -> None:
    """It says how many sessions were seen, in how many looks, and how far apart they were."""
    watched = events.DisuseObserved("s", "a", 1200, 4, largest_gap_ms=420)
    report = settling(API, seen(), watched)
    assert report.disuse is not None
    assert report.disuse.words == "0 sessions seen in 4 samples, largest gap 420 ms"


def test_faults_are_kept_with_their_times() -> None:
    """Failures, holds, rejections and drift each leave a line."""
    report = settling(
        API,
        events.Failed("s", "settle", 0, "unavailable", "no route"),
        events.Held("s", "1 still on the old version"),
        events.Rejected("s", "api", "h-1-2", "v2", "denied"),
    )
    assert [line.split(" ", 1)[1] for line in report.faults] == [
        "settle: no route",
        "held by deadline: 1 still on the old version",
        "api (h-1-2) rejected it: denied",
    ]


def test_versions_that_a_person_brought_are_no_rotation() -> None:
    """Records without a rotation give no report, and do not stop the ones that follow."""
    stream = Stream()
    stream.add(events.Staged("", "x", "v0", "", 0))
    assert reports(stream.records) == ()


def test_a_stream_that_the_machine_did_not_write_is_corrupt() -> None:
    """An event that belongs to no open rotation is not made sense of."""
    stream = Stream()
    stream.add(events.Closed("r", "v1"))
    with pytest.raises(Corrupt):
        reports(stream.records)
