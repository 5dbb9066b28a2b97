"""A credential that a person brought is where the next rotation begins."""

from pathlib import Path

import pytest

from keyturn.core.errors import Corrupt
from keyturn.core.rotator import Answer
from keyturn.rotation.bringing import Brought, bring
from keyturn.rotation.brought import Brought as Fact
from keyturn.rotation.events import Planned, decode
from keyturn.rotation.intake import Place
from keyturn.rotation.log import Log
from keyturn.rotation.machine import apply
from keyturn.rotation.report import open_report, reports
from keyturn.rotation.state import Secret, Stored
from keyturn.testing.bench import NAME, Bench

MADE = {"rotation": "", "attempt": "x", "version": "v9", "slot": "a", "was": None}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A target that accepts a credential in slot `a`, which was brought; no rotation has been."""
    made = Bench(tmp_path)
    bundle = made.rotator.generate("a")
    made.rotator.apply(bundle, 0)
    brought = Brought(Place(NAME, made.store, NAME, "a"), bundle, "import")
    assert bring(made.journal, made.escrow, [brought], tmp_path).error is None
    return made


def test_a_version_with_a_slot_is_a_fact_of_its_own() -> None:
    """One without a slot says nothing, nor does one that is only staged."""
    assert decode("version.promoted", MADE) == Fact("x", "v9", "a")
    assert decode("version.promoted", {**MADE, "slot": ""}) is None
    assert decode("version.staged", MADE) is None
    with pytest.raises(Corrupt, match="not of its kind's shape"):
        decode("version.promoted", {**MADE, "attempt": None})


def test_it_is_the_current_one_of_the_fold() -> None:
    """With its attempt and slot, as if a rotation had made it."""
    assert apply(Secret(), 1, Fact("x", "v9", "a")).current == Stored("v9", "x", "a")


def test_none_can_come_into_an_open_rotation() -> None:
    """A stream that says so was not written by this machine."""
    opened = apply(Secret(), 1, Planned("r1", "b", "n"))
    with pytest.raises(Corrupt, match="came into an open rotation"):
        apply(opened, 2, Fact("x", "v9", "a"))


def test_the_next_rotation_leaves_it_and_ends_it(bench: Bench) -> None:
    """It goes to the other slot, and the credential that was brought is tried and refused at the end."""
    brought = bench.store.current(NAME)
    old = bench.store.read(NAME, brought or "")
    assert bench.rotator.accepts(old).answer is Answer.ACCEPTED
    outcome = bench.rotate()
    assert outcome.status == "closed", outcome
    assert bench.alive() == ["b"]
    assert bench.rotator.accepts(old).answer is Answer.REFUSED
    assert bench.failures() == []
    (report,) = reports(bench.journal.read(NAME))
    assert (report.old_version, report.death) == (brought, "refused")


def test_the_short_report_of_an_open_rotation_is_the_long_one(bench: Bench) -> None:
    """What the status row keeps of the version before is what the whole stream says."""
    bench.instances[0].stopped = True
    bench.rotate(patience=0.1)
    row = bench.journal.projected()[NAME]["rotation"]
    old = Stored(row["old"]["version"], row["old"]["attempt"], row["old"]["slot"])
    records = bench.journal.read(NAME)
    assert open_report(records[row["began"] - 1 :], old) == reports(records)[-1]


def test_it_is_looked_at_and_delivered_between_rotations(bench: Bench) -> None:
    """Store and target agree with the journal, and a consumer that has nothing yet gets it."""
    agreement = bench.engine().reconcile()
    assert agreement.decided == agreement.stored == bench.store.current(NAME)
    assert agreement.probe is not None
    assert agreement.probe.answer is Answer.ACCEPTED
    assert [consumer.delivered(NAME) for consumer in bench.consumers] == [agreement.decided]


def test_its_attempt_is_one_of_our_own(bench: Bench) -> None:
    """A late write of it is known again, and is not taken for somebody else's."""
    record = bench.journal.read(NAME)[-1]
    assert Log(bench.journal, NAME).attempts == {record.data["attempt"]}
