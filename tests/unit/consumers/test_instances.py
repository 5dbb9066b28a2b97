"""Observation of an application: what its processes say, and how much of that is shown."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyturn.consumers.application import Application
from keyturn.core.clock import Moment, rfc3339
from keyturn.core.consumer import Delivery, Grade, Instance, Rejection
from keyturn.core.generation import Challenge
from keyturn.core.proof import Acknowledgement
from keyturn.core.secret import Bundle
from keyturn.core.status import Proof, SecretStatus, Status
from keyturn.system.inbox import MAX_FILES
from keyturn.system.processes import Identity, this_process
from tests.values import stands_in

OLD, NEW = Bundle({"value": "canary-of-the-old"}), Bundle({"value": "canary-of-the-new"})
VERSIONS = {"v1": OLD, "v2": NEW}
HERE = this_process()
ELSEWHERE = replace(HERE, host="elsewhere")


class SteppedClock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> Moment:
        """This moment."""
        return Moment(self.wall, "boot", 0.0)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += timedelta(seconds=seconds)


class Observed:
    """An application in a directory, with version v1 delivered, and status files that a test writes."""

    def __init__(self, home: Path, expect: int | None = 1) -> None:
        self.run = home / "run"
        self.clock = SteppedClock()
        self.application = Application(
            name="clo-api",
            service="clo",
            environment="test",
            bundle_dir=self.run / "bundle",
            status_dir=self.run / "status",
            expect=expect,
            clock=self.clock,
        )
        self.application.deliver(Delivery("database", "v1", OLD, 1))

    @property
    def challenge(self) -> Challenge:
        """The question that stands."""
        return Challenge.parse((self.run / "challenge").read_bytes())

    def proof(self, version: str, state: str = "in-use", by: Identity = HERE, nonce: str = "") -> Proof:
        """The right answer to the question that stands, or to another nonce."""
        nonce = nonce or self.challenge.nonce
        words = Acknowledgement("test", "database", version, by.id, nonce, state)
        return Proof(version, state, nonce, words.proof(VERSIONS[version].proof_key))

    def say(self, secret: SecretStatus | None, by: Identity = HERE, **changes: Any) -> Path:
        """Write the status file of a process."""
        status = Status(
            instance=by.id,
            host=by.host,
            pid=by.pid,
            start=by.start,
            boot=by.boot,
            namespace=by.namespace,
            heartbeat=rfc3339(self.clock.wall),
            interval_ms=2000,
            drained=False,
            secrets={} if secret is None else {"database": secret},
        )
        path = self.run / "status" / f"{by.id}.json"
        path.write_bytes(replace(status, **changes).dump())
        return path

    def only(self, versions: Mapping[str, Bundle] = VERSIONS) -> Instance:
        """The one instance that is seen."""
        (instance,) = self.application.observe("database", versions).instances
        return instance


@pytest.fixture
def observed(tmp_path: Path) -> Observed:
    """One expected instance, nothing said yet."""
    return Observed(tmp_path)


def said(oldest: str | None, newest: str | None = None, *proofs: Proof) -> SecretStatus:
    """What a process says of the secret."""
    return SecretStatus(newest or oldest, oldest, None, proofs)


def test_a_right_proof_under_the_standing_nonce_is_holds(observed: Observed) -> None:
    """Complete, on the version, and shown."""
    observed.say(said("v1", None, observed.proof("v1")))
    seen = observed.application.observe("database", VERSIONS)
    assert seen.complete
    assert seen.notes == ()
    assert [(i.id, i.grade, i.runs_on("v1")) for i in seen.instances] == [(HERE.id, Grade.HOLDS, True)]


def test_every_other_proof_is_a_claim(observed: Observed) -> None:
    """Another nonce, version, state, instance, secret key, or none at all."""
    right = observed.proof("v1")
    wrong = [
        (),
        (observed.proof("v1", nonce="ab" * 32),),
        (observed.proof("v1", state="loaded"),),
        (observed.proof("v1", by=ELSEWHERE),),
        (observed.proof("v2"),),
        (replace(right, proof="00" * 32),),
        (replace(observed.proof("v2"), version="v1"),),
    ]
    for proofs in wrong:
        observed.say(said("v1", None, *proofs))
        assert observed.only().grade is Grade.CLAIMED, proofs
    observed.say(said("v1", None, right))
    assert observed.only({"v2": NEW}).grade is Grade.CLAIMED


def test_the_proof_must_be_of_the_oldest_version(observed: Observed) -> None:
    """To hold the newest shows nothing about what is still in use."""
    observed.say(said("v1", "v2", observed.proof("v2"), observed.proof("v2", "loaded")))
    assert observed.only().grade is Grade.CLAIMED


def test_an_answer_from_before_a_delivery_does_not_count_after_it(observed: Observed) -> None:
    """Each generation is asked about anew."""
    observed.say(said("v1", None, observed.proof("v1")))
    assert observed.only().grade is Grade.HOLDS
    observed.application.deliver(Delivery("database", "v2", NEW, 2))
    assert observed.only().grade is Grade.CLAIMED


def test_the_nonce_is_renewed_when_all_have_answered_and_the_last_one_still_counts(observed: Observed) -> None:
    """So that no observation falls between two nonces; the one before the last does not count."""
    first = observed.challenge.nonce
    observed.say(said("v1", None, observed.proof("v1")))
    observed.clock.sleep(1.5)
    assert observed.only().grade is Grade.HOLDS
    second = observed.challenge
    assert (second.previous, second.nonce != first) == (first, True)
    assert observed.only().grade is Grade.HOLDS
    observed.say(said("v1", None, observed.proof("v1")))
    observed.clock.sleep(1.5)
    assert observed.only().grade is Grade.HOLDS
    observed.say(said("v1", None, observed.proof("v1", nonce=first)))
    assert observed.only().grade is Grade.CLAIMED


def test_a_nonce_that_somebody_has_not_answered_stands(observed: Observed) -> None:
    """Until it has stood long enough: one that is stopped does not keep the others from a fresh one."""
    first = observed.challenge.nonce
    observed.clock.sleep(5)
    observed.say(said("v1", None, observed.proof("v1", nonce="ab" * 32)))
    observed.only()
    assert observed.challenge.nonce == first
    observed.clock.sleep(11)
    observed.only()
    assert (observed.challenge.nonce != first, observed.challenge.previous) == (True, first)


def test_an_observer_that_starts_anew_goes_on_with_the_question_that_stands(observed: Observed, tmp_path: Path) -> None:
    """Each tick is a process of its own."""
    observed.say(said("v1", None, observed.proof("v1")))
    again = Application(
        name="clo-api",
        service="clo",
        environment="test",
        bundle_dir=tmp_path / "run" / "bundle",
        status_dir=tmp_path / "run" / "status",
        expect=1,
        clock=observed.clock,
    )
    (instance,) = again.observe("database", VERSIONS).instances
    assert instance.grade is Grade.HOLDS


@pytest.mark.parametrize("text", [b"", b"{}", b'{"schema":"keyturn/challenge/1"}'])
def test_a_question_that_cannot_be_read_is_asked_anew(observed: Observed, text: bytes) -> None:
    """And what was answered before does not count."""
    observed.say(said("v1", None, observed.proof("v1")))
    (observed.run / "challenge").write_bytes(text)
    assert observed.only().grade is Grade.CLAIMED
    observed.say(said("v1", None, observed.proof("v1")))
    assert observed.only().grade is Grade.HOLDS


@pytest.mark.parametrize("made", ["tomorrow", "2026-01-02T00:00:00Z"])
def test_a_question_from_no_time_or_the_future_is_replaced(observed: Observed, made: str) -> None:
    """A clock that was set back does not let one nonce stand for ever."""
    before = observed.challenge
    (observed.run / "challenge").write_bytes(replace(before, made=made).dump())
    observed.say(said("v1"))
    observed.only()
    assert observed.challenge.nonce != before.nonce


@pytest.mark.parametrize(("age", "silent"), [(0, False), (6, False), (6.1, True), (-4, False), (-6, True)])
def test_silence_is_three_intervals_without_a_heartbeat(observed: Observed, age: float, *, silent: bool) -> None:
    """A heartbeat from the future is as good as none."""
    heartbeat = rfc3339(observed.clock.wall - timedelta(seconds=age))
    observed.say(said("v1", None, observed.proof("v1")), heartbeat=heartbeat)
    seen = observed.application.observe("database", VERSIONS)
    assert seen.instances[0].silent is silent
    assert seen.instances[0].runs_on("v1") is not silent
    assert any("is silent since" in note for note in seen.notes) is silent


def test_a_process_that_is_gone_is_left_out_and_its_file_removed(observed: Observed) -> None:
    """Its pid is not there any more, or belongs to another process by now."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    ended, reused = replace(HERE, pid=child.pid, start="5"), replace(HERE, start="5")
    paths = [observed.say(said("v1"), by=process) for process in (ended, reused)]
    seen = observed.application.observe("database", VERSIONS)
    assert (seen.instances, seen.complete) == ((), False)
    assert {f"{ended.id} is gone", f"{reused.id} is gone"} <= set(seen.notes)
    assert not any(path.exists() for path in paths)


@pytest.mark.parametrize(
    "elsewhere", [ELSEWHERE, replace(HERE, boot="b"), replace(HERE, namespace="pid:[1]")], ids=["host", "boot", "pids"]
)
def test_a_process_that_cannot_be_looked_at_is_a_holdout(observed: Observed, elsewhere: Identity) -> None:
    """Silent for ever, on another host, in another boot or pid namespace: never shown to be gone."""
    elsewhere = replace(elsewhere, start="5")
    path = observed.say(said("v1"), by=elsewhere)
    observed.clock.sleep(86400)
    assert observed.only().silent
    assert path.exists()


def test_a_drained_process_does_not_count(observed: Observed) -> None:
    """Its last word is proved under the nonce of its time, and it is not silent however old that is."""
    observed.say(said(None, "v1", observed.proof("v1", "drained", ELSEWHERE)), by=ELSEWHERE, drained=True)
    observed.clock.sleep(3600)
    seen = observed.application.observe("database", VERSIONS)
    (instance,) = seen.instances
    assert (instance.drained, instance.silent, instance.grade) == (True, False, Grade.HOLDS)
    assert instance.runs_on("v2")
    assert not seen.complete
    observed.say(said(None, "v1"), by=ELSEWHERE, drained=True)
    assert observed.only().grade is Grade.CLAIMED


@pytest.mark.parametrize(("expect", "complete"), [(None, False), (1, True), (2, True), (3, False)])
def test_complete_is_when_all_that_are_expected_are_there(
    tmp_path: Path, expect: int | None, *, complete: bool
) -> None:
    """Unknown membership is never complete; one too many is, and is noted."""
    observed = Observed(tmp_path, expect)
    observed.say(said("v1"))
    observed.say(said("v1"), by=ELSEWHERE)
    seen = observed.application.observe("database", VERSIONS)
    assert (seen.expected, seen.complete) == (expect, complete)
    assert any("instances are there" in note for note in seen.notes) is (expect in {1, 3})


def test_a_bad_file_is_a_note_and_may_hide_an_instance(observed: Observed) -> None:
    """Links, fifos, foreign text, files that are too large or speak for another instance: never an error."""
    status = observed.run / "status"
    good = observed.say(said("v1", None, observed.proof("v1")))
    (status / "link.json").symlink_to(good)
    os.mkfifo(status / "fifo.json")
    (status / "text.json").write_text("{")
    (status / "large.json").write_bytes(b" " * 70_000)
    (status / "copy.json").write_bytes(good.read_bytes())
    (status / "directory.json").mkdir()
    (status / ".hidden.json").write_text("{")
    (status / "notes.txt").write_text("{")
    seen = observed.application.observe("database", VERSIONS)
    assert [i.id for i in seen.instances] == [HERE.id]
    bad = ("copy", "directory", "fifo", "large", "link", "text")
    assert all(any(f"{name}.json" in note for note in seen.notes) for name in bad)
    assert len([note for note in seen.notes if "no status file" in note]) == len(bad)
    assert not seen.complete


def test_a_name_that_a_terminal_would_obey_is_escaped(observed: Observed) -> None:
    """Notes are printed."""
    (observed.run / "status" / "\x1b[2J.json").write_text("{")
    (note, *_) = observed.application.observe("database", VERSIONS).notes
    assert note.isprintable()


def test_too_many_files_are_not_read(observed: Observed) -> None:
    """They are a note, and nothing is complete."""
    for number in range(MAX_FILES + 1):
        (observed.run / "status" / f"{number}").touch()
    seen = observed.application.observe("database", VERSIONS)
    assert (seen.instances, seen.complete) == ((), False)
    assert "more than 10000 files" in seen.notes[0]


def test_nothing_to_observe_is_said(tmp_path: Path) -> None:
    """No status directory, nothing delivered, no reports declared."""
    observed = Observed(tmp_path)
    (observed.run / "status").rmdir()
    assert "is not there" in observed.application.observe("database", VERSIONS).notes[0]
    for status_dir, why in ((tmp_path / "status", "nothing is delivered yet"), (None, "do not report")):
        other = Application(
            name="other", service="clo", environment="test", bundle_dir=tmp_path / "other", status_dir=status_dir
        )
        seen = other.observe("database", VERSIONS)
        assert (seen.instances, seen.complete, other.reports) == ((), False, status_dir is not None)
        assert why in seen.notes[0]


def test_what_an_instance_lacks_is_noted(observed: Observed) -> None:
    """It says nothing, has not read the delivery, or rejects it."""
    rejected = SecretStatus("v1", "v1", Rejection("v2", "Denied"), ())
    for secret, note in (
        (None, "says nothing about"),
        (said("v2"), "has not read v1"),
        (rejected, "rejects v2: Denied"),
    ):
        observed.say(secret)
        assert any(note in seen for seen in observed.application.observe("database", VERSIONS).notes), note
    assert observed.only().rejection == Rejection("v2", "Denied")


def test_no_value_is_in_anything_that_is_written_beside_the_bundle(observed: Observed) -> None:
    """Challenge and notes hold nonces, names and versions."""
    observed.say(said("v1", None, observed.proof("v1")))
    text = (observed.run / "challenge").read_text() + json.dumps(
        observed.application.observe("database", VERSIONS).notes
    )
    assert not stands_in(OLD["value"], text)
    assert not stands_in(OLD.proof_key, text)
