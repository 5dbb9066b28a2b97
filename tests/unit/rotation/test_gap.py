"""What a look after a loss of the journal's newest records accepts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.core.errors import Incomplete, RolledBack, Unavailable
from keyturn.core.rotator import Answer, Probe, SlotLook
from keyturn.core.secret import Bundle
from keyturn.rotation.events import Direction
from keyturn.rotation.gap import Found, explained
from keyturn.testing.bench import NAME, Bench
from keyturn.testing.fake_target import FakeRotator
from tests.unit.rotation.play import Play
from tests.unit.rotation.test_engine import cut_tail


def _found(*usable: str) -> Found:
    """Both slots can log in, the new version is published; these attempts can be read from the store."""
    slots = tuple(SlotLook(slot, exists=True, enabled=True, sessions=0, fence=1) for slot in ("a", "b"))
    return Found("n", ("n",), frozenset(usable), slots)


@pytest.mark.parametrize(("usable", "accepted"), [(("o", "n"), True), (("n",), False)])
def test_a_retire_that_nobody_remembers_is_named(usable: tuple[str, ...], accepted: bool) -> None:  # noqa: FBT001 - a table
    """Where the store no longer gives the old version and its retire is forgotten, its death could never be shown."""
    play = Play().to("disable:old")
    assert explained(play.secret, _found(*usable)) is accepted


TWO, ONE = ("a", "b"), ("only",)


class Silent(FakeRotator):
    """The administrator gets in, and a log-in of the application gets no answer."""

    def accepts(self, bundle: Bundle) -> Probe:
        """Never says."""
        self.slot_of(bundle)
        return Probe(Answer.UNREACHABLE, "")


@contextmanager
def restored(folder: Path, slots: tuple[str, ...], rotations: int) -> Iterator[Bench]:
    """Journal and store as in a backup that was taken before so many rotations; target and consumers went on."""
    bench = Bench(folder, slots=slots)
    bench.policy = replace(bench.policy, claim=0.01)
    bench.rotate()
    before, backup = bench.journal.head(NAME).seq, bench.store.backup()
    for _ in range(rotations):
        assert bench.rotate().status == "closed"
    cut_tail(bench, bench.journal.head(NAME).seq - before)
    bench.store = backup
    yield bench
    assert bench.journal.head(NAME).seq == before


@pytest.mark.parametrize(("slots", "rotations"), [(TWO, 1), (TWO, 2), (ONE, 1)])
@pytest.mark.parametrize("delivered", [True, False])
def test_a_backup_from_before_whole_rotations_is_behind_the_world(
    tmp_path: Path,
    slots: tuple[str, ...],
    rotations: int,
    delivered: bool,  # noqa: FBT001 - a table
) -> None:
    """Two rotations later the same slot can log in: what lies at the consumers, and a log-in, say that time went on."""
    with restored(tmp_path, slots, rotations) as bench:
        lay = bench.consumers[0].delivered(NAME)
        if not delivered:
            bench.consumers = ()
        with pytest.raises(Incomplete, match="not as the journal says"):
            bench.engine().accept_gap("the disk was lost")
        if delivered:
            with pytest.raises(RolledBack):
                bench.engine().reconcile()
            assert bench.consumers[0].delivered(NAME) == lay


def test_a_target_that_does_not_answer_says_nothing_about_a_gap(tmp_path: Path) -> None:
    """Without an answer to the log-in nothing is accepted, and nothing is written."""
    with restored(tmp_path, TWO, 2) as bench:
        bench.consumers = ()
        bench.rotator = Silent(bench.target)
        with pytest.raises(Unavailable):
            bench.engine().accept_gap("the disk was lost")


def test_with_one_slot_what_the_target_takes_is_never_thrown_away(tmp_path: Path) -> None:
    """The journal forgot that the target was told: an abort keeps the one credential that works, and says so."""
    bench = Bench(tmp_path, slots=ONE)
    bench.policy = replace(bench.policy, claim=0.01)
    bench.rotate()
    bench.engine().begin("test")
    bench.stopping = lambda: "apply" in _announced(bench)
    bench.engine().advance(20)
    records = bench.journal.read(NAME)
    staged = next(record.seq for record in reversed(records) if record.kind == "version.staged")
    cut_tail(bench, records[-1].seq - staged)
    bench.stopping = lambda: False
    assert any("accepted" in line for line in bench.engine().accept_gap("the tail was lost"))
    assert bench.engine().advance(20).status == "drift"
    bench.engine().turn(Direction.ABORT, "at 3 a.m.")
    assert bench.engine().advance(20).why == "drift: refused:new answered accepted"
    newest = bench.store.versions(NAME)[-1].id
    assert bench.rotator.accepts(bench.store.read(NAME, newest)).answer is Answer.ACCEPTED


def test_with_one_slot_the_old_version_may_be_gone_at_the_end(tmp_path: Path) -> None:
    """Announced and done, the retire is no loss: the new credential is asked, and the rotation goes on."""
    bench = Bench(tmp_path, slots=ONE)
    bench.policy = replace(bench.policy, claim=0.01)
    bench.rotate()
    bench.engine().begin("test")
    assert bench.engine().advance(20).status == "closed"
    retired = next(one.seq for one in reversed(bench.journal.read(NAME)) if one.kind == "version.retired")
    cut_tail(bench, bench.journal.head(NAME).seq - retired + 1)
    assert any("accepted" in line for line in bench.engine().accept_gap("the tail was lost"))
    assert bench.engine().advance(20).status == "closed"


def _announced(bench: Bench) -> list[str]:
    """The effects of the newest rotation, in order."""
    records = bench.journal.read(NAME)
    begun = max(record.seq for record in records if record.kind == "rotation.planned")
    return [one.data["effect"] for one in records if one.seq > begun and one.kind == "rotation.intended"]
