"""Making checkpoints of a real journal, and sending them: recorded first, no number twice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.core.clock import Moment, SystemClock
from keyturn.core.errors import AdapterError, Conflict, Corrupt, Refused, Unavailable
from keyturn.journal import audit
from keyturn.journal.anchor import Anchored
from keyturn.journal.checkpoint import Identity, Signer, event
from keyturn.journal.checkpointing import TRIES, Checkpoints, Sent
from keyturn.journal.record import SYSTEM
from keyturn.journal.sqlite import SqliteJournal
from keyturn.journal.targets import FileTarget, SyslogTarget, Target
from keyturn.system.syslog import parse_address
from tests.syslog_receiver import Receiver
from tests.unit.journal.conftest import Open
from tests.unit.journal.history import identity, sample, signer
from tests.unit.journal.samples import STARTED, fill

Make = Callable[..., Checkpoints]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """The file on the other host."""
    (tmp_path / "mount").mkdir()
    return tmp_path / "mount" / "clo"


@pytest.fixture
def checkpoints(journal: SqliteJournal, place: Path, outside: Path) -> Make:
    """Makes the part anew, as another process would have it; without targets, the file is one."""
    journal.append(SYSTEM, 0, STARTED)

    def make(*targets: Target, key: int = 1, who: Identity | None = None) -> Checkpoints:
        def by() -> Signer:
            return signer(key)

        there = targets or (FileTarget("audit-host", outside),)
        return Checkpoints(journal, who or identity(), signer=by, targets=there, directory=place, clock=SystemClock())

    return make


def judged(place: Path, outside: Path) -> Anchored:
    """The journal held against the file."""
    source = audit.read_checkpoints(outside, identity(), whole=True)
    return audit.anchored(place / "journal.db", place / "high-water.json", identity(), [source])


def test_a_checkpoint_is_recorded_and_sent_and_anchors_the_journal(
    checkpoints: Make, journal: SqliteJournal, place: Path, outside: Path
) -> None:
    """Two of them, the second after more records."""
    fill(journal)
    part = checkpoints()
    assert part.make().n == 1
    assert [(one.reached, one.failure) for one in part.send()] == [(1, None)]
    fill(journal)
    assert part.make().n == 2
    part.send()
    found = judged(place, outside)
    assert str(found).startswith("anchored to checkpoint 2 of ")
    assert str(found).endswith(f" from {outside}")
    assert part.made().standing.heads["database"] == journal.head("database")
    assert part.made().newest == 2


def test_nothing_was_made_at_first(checkpoints: Make) -> None:
    """And nothing is sent."""
    part = checkpoints()
    assert (part.made().newest, part.made().record) == (0, None)
    assert [one.reached for one in part.send()] == [0]


def test_killed_between_record_and_sending_the_same_bytes_are_sent_later(checkpoints: Make, outside: Path) -> None:
    """The record stands: another process sends it, and makes none of that number."""
    made = checkpoints().make()
    assert not outside.exists()
    checkpoints().send()
    assert outside.read_bytes() == made.line + b"\n"
    checkpoints().send()
    assert outside.read_bytes() == made.line + b"\n"


def test_killed_between_sending_and_the_note_nothing_is_written_twice(
    checkpoints: Make, place: Path, outside: Path
) -> None:
    """The file itself says what it has."""
    part = checkpoints()
    part.make()
    part.send()
    part.make()
    note = (place / "checkpoints.json").read_bytes()
    part.send()
    content = outside.read_bytes()
    (place / "checkpoints.json").write_bytes(note)
    assert [one.reached for one in part.send()] == [2]
    assert outside.read_bytes() == content


def test_a_target_that_is_down_is_sent_all_it_missed_in_order_and_keeps_no_other_back(
    checkpoints: Make, tmp_path: Path, outside: Path
) -> None:
    """One receiver is away for a while; the file goes on."""
    log = SyslogTarget(
        "log", parse_address(f"unix:{tmp_path}/log"), "audit", 8192, 5.0, lambda: SystemClock().now().wall
    )
    part = checkpoints(log, FileTarget("audit-host", outside))
    with Receiver(tmp_path / "log") as receiver:
        part.make()
        assert [one.failure for one in part.send()] == [None, None]
        receiver.heard()
    (tmp_path / "log").unlink()
    for _ in range(2):
        part.make()
        first, second = part.send()
        assert isinstance(first.failure, Unavailable)
        assert (first.reached, second.failure) == (1, None)
    with Receiver(tmp_path / "log") as receiver:
        assert [one.reached for one in part.send()] == [3, 3]
        heard = [one.text for one in receiver.heard(2)]
    assert heard == outside.read_bytes().splitlines()[1:]


def test_a_key_that_is_not_pinned_makes_none(checkpoints: Make, journal: SqliteJournal) -> None:
    """Keyturn's own vault holds another key: refused, nothing is recorded."""
    before = journal.head(SYSTEM)
    with pytest.raises(Refused, match="pins another"):
        checkpoints(key=2).make()
    assert journal.head(SYSTEM) == before


def test_a_journal_that_was_put_back_uses_no_number_again(
    checkpoints: Make, place: Path, outside: Path, opened: Open, journal: SqliteJournal
) -> None:
    """The number outside is higher than its own: it goes on above that, and the file refuses what does not chain."""
    part = checkpoints()
    part.make()
    part.send()
    journal.close()
    names = ("journal.db", "journal.db-wal", "high-water.json", "checkpoints.json")
    kept = {name: (place / name).read_bytes() for name in names if (place / name).exists()}
    ahead = opened()
    newer = Checkpoints(ahead, identity(), signer=signer, targets=part.targets, directory=place, clock=SystemClock())
    assert [newer.make().n, newer.make().n] == [2, 3]
    newer.send()
    ahead.close()
    for path in place.glob("journal.db-*"):
        path.unlink()
    for name, content in kept.items():
        (place / name).write_bytes(content)
    behind = opened()
    again = Checkpoints(behind, identity(), signer=signer, targets=part.targets, directory=place, clock=SystemClock())
    assert again.make().n == 4
    (delivery,) = again.send()
    assert delivery.failure is not None
    assert "new path" in delivery.failure.remedy
    assert not judged(place, outside).verdict.sound, "what lies outside is more than the journal has"
    fresh = FileTarget("fresh", outside.with_name("fresh"))
    anew = Checkpoints(behind, identity(), signer=signer, targets=[fresh], directory=place, clock=SystemClock())
    assert anew.send()[0].failure is None
    assert str(judged(place, fresh.path)).startswith("anchored to checkpoint 4")


def test_a_file_that_cannot_be_asked_holds_nothing_up(checkpoints: Make, tmp_path: Path) -> None:
    """A mount that is not there: the checkpoint is made, the sending says what is off."""
    part = checkpoints(FileTarget("away", tmp_path / "none" / "clo"))
    (tmp_path / "none").symlink_to(tmp_path / "nowhere")
    assert part.make().n == 1
    assert part.send()[0].failure is not None


def test_a_target_that_cannot_say_what_it_has_holds_nothing_up(checkpoints: Make, outside: Path) -> None:
    """A directory stands where the file should."""
    outside.mkdir()
    part = checkpoints()
    assert part.make().n == 1
    assert isinstance(part.send()[0].failure, AdapterError)


def test_checkpoints_that_do_not_follow_each_other_stop_the_next(checkpoints: Make, journal: SqliteJournal) -> None:
    """The journal's own records of them are read strictly before anything is signed."""
    two = sample().checkpoints[1]
    journal.append(SYSTEM, journal.head(SYSTEM).seq, event(two))
    with pytest.raises(Corrupt, match="does not follow"):
        checkpoints().make()


def test_only_one_process_makes_checkpoints_at_a_time(checkpoints: Make) -> None:
    """The other is refused while the lock is held."""
    with checkpoints().alone(), pytest.raises(Refused), checkpoints().alone():
        pass


class Crowded(SystemClock):
    """Each time that it is asked, somebody has just written to the system stream, so many times."""

    def __init__(self, journal: SqliteJournal, times: int) -> None:
        super().__init__()
        self._journal, self._times = journal, times

    def now(self) -> Moment:
        """The moment, after the other's record."""
        if self._times:
            self._times -= 1
            self._journal.append(SYSTEM, self._journal.head(SYSTEM).seq, STARTED)
        return super().now()


@pytest.mark.parametrize("times", [1, TRIES - 1, TRIES])
def test_somebody_who_writes_meanwhile_makes_it_look_again(
    checkpoints: Make, place: Path, journal: SqliteJournal, times: int
) -> None:
    """The heads are those of the moment at which it is recorded; after so many tries it gives up."""
    part = checkpoints()
    crowded = Checkpoints(
        journal, identity(), signer=signer, targets=(), directory=place, clock=Crowded(journal, times)
    )
    if times == TRIES:
        with pytest.raises(Conflict, match="without a pause"):
            crowded.make()
        assert part.made().newest == 0
    else:
        made = crowded.make()
        record = part.made().record
        assert record is not None
        assert (made.n, record.prev) == (1, made.system.hash)


@pytest.mark.parametrize(
    "content",
    [b"{}", b"no", b'{"schema":"keyturn/checkpoints-sent/1","targets":{"x":0}}',
     b'{"schema":"keyturn/checkpoints-sent/1","targets":{"x":"1"}}', b'{"schema":"x","targets":{}}'],
)  # fmt: skip
def test_a_note_of_what_was_sent_that_is_damaged_is_said_to_be(tmp_path: Path, content: bytes) -> None:
    """Nothing is guessed from it."""
    sent = Sent(tmp_path / "checkpoints.json")
    assert sent.read() == {}
    sent.note("a", 1)
    sent.note("b", 2)
    assert sent.read() == {"a": 1, "b": 2}
    sent.path.write_bytes(content)
    with pytest.raises(Corrupt):
        sent.read()
