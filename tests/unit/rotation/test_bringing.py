"""Several contents as one transaction: refused as a whole, ended anywhere, repeated to the same end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from keyturn.core.clock import SystemClock
from keyturn.core.errors import Conflict, Corrupt, Denied, Disabled, Refused, Unavailable
from keyturn.core.secret import Bundle
from keyturn.core.store import Store
from keyturn.core.version import VersionState
from keyturn.journal.record import Event, Head, Journal, Record
from keyturn.journal.sqlite import SqliteJournal
from keyturn.rotation.bringing import Batch, Brought, bring, look
from keyturn.rotation.events import Planned, encode
from keyturn.rotation.intake import Place, take_in
from keyturn.rotation.log import Log
from keyturn.system.locks import FileLock
from keyturn.testing.memory_store import DirectMemoryStore, MemoryEscrow, MemoryStore

NAMES = ("database", "smtp", "payment")


class Killed(BaseException):
    """The end of a process, which no code of ours catches."""


class Life:
    """Lets a process end at one of its steps: before it, or right after it."""

    def __init__(self) -> None:
        self.at, self.after, self.passed = 0, False, 0

    def ends(self, at: int, *, after: bool) -> None:
        """From now on: at that step."""
        self.at, self.after, self.passed = at, after, 0

    @contextmanager
    def step(self) -> Iterator[None]:
        """One step passes."""
        self.passed += 1
        mine = self.passed
        if mine == self.at and not self.after:
            raise Killed
        yield
        if mine == self.at and self.after:
            raise Killed


class MortalStore(MemoryStore):
    """A double whose caller may end at each call."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self.life = life

    @contextmanager
    def _call(self, method: str) -> Iterator[None]:
        with self.life.step(), super()._call(method):
            yield


class MortalDirectStore(MortalStore, DirectMemoryStore):
    """The same, which takes a content whole."""


class MortalEscrow(MemoryEscrow):
    """The same of an escrow."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self.life = life

    def seal_all(self, bundles: Mapping[str, Bundle]) -> Mapping[str, Bundle]:
        """One step."""
        with self.life.step():
            return super().seal_all(bundles)

    def discard(self, attempt: str) -> None:
        """One step."""
        with self.life.step():
            super().discard(attempt)

    @property
    def held(self) -> list[Bundle]:
        """All that it keeps."""
        return list(self._kept.values())


class MortalJournal:
    """The same of a journal: a real one, whose writer may end."""

    def __init__(self, real: Journal, life: Life) -> None:
        self._real, self.life = real, life

    def append(self, stream: str, expected_seq: int, event: Event) -> Record:
        """One step."""
        with self.life.step():
            return self._real.append(stream, expected_seq, event)

    def read(self, stream: str, after: int = 0) -> tuple[Record, ...]:
        """As the real one."""
        return self._real.read(stream, after)

    def head(self, stream: str) -> Head:
        """As the real one."""
        return self._real.head(stream)

    def streams(self) -> tuple[str, ...]:
        """As the real one."""
        return self._real.streams()

    def projected(self) -> Mapping[str, Mapping[str, Any]]:
        """As the real one."""
        return self._real.projected()


class World:
    """A journal, an escrow, and a store of each sort."""

    def __init__(self, path: Path) -> None:
        self.life = Life()
        self.locks = path / "locks"
        path.mkdir(mode=0o700, exist_ok=True)
        self.locks.mkdir(mode=0o700)
        self.real = SqliteJournal(
            path / "journal.db", actor="tests", clock=SystemClock(), high_water=path / "high-water.json"
        )
        self.journal = MortalJournal(self.real, self.life)
        self.escrow = MortalEscrow(self.life)
        staging, direct = MortalStore(self.life), MortalDirectStore(self.life)
        self.stores: dict[str, MortalStore] = {"database": direct, "smtp": staging, "payment": direct}

    def brought(self, name: str, text: str = "one", *, replaces: bool = False) -> Brought:
        """A content for that secret, with a proof key of its own each time."""
        slot = "clo_a" if name == "database" else ""
        bundle = Bundle({"username": "clo_a", "password": f"{text}-{name}"})
        return Brought(Place(name, self.stores[name], name, slot), bundle, "import", (".env",), replaces)

    def bring(self, *brought: Brought) -> Batch:
        """All of them, or those."""
        return bring(self.journal, self.escrow, brought or [self.brought(name) for name in NAMES], self.locks)

    def kinds(self, name: str) -> list[str]:
        """The kinds of records in its stream."""
        return [record.kind for record in self.real.read(name)]

    def content(self, name: str) -> Bundle:
        """What is current."""
        return self.stores[name].read(name, self.stores[name].current(name) or "")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty one."""
    made = World(tmp_path)
    yield made
    made.real.close()


def _agrees(world: World, text: str = "one") -> None:
    """Each secret has one version, the journal says which, and nothing is left in escrow."""
    for name in NAMES:
        store = world.stores[name]
        (version,) = [one for one in store.versions(name) if one.state != VersionState.RETIRED]
        assert version.state is VersionState.CURRENT
        promoted = [record for record in world.real.read(name) if record.kind == "version.promoted"]
        assert [record.data["version"] for record in promoted] == [version.id]
        assert dict(world.content(name)) == dict(world.brought(name, text).bundle)
    assert world.escrow.held == []
    current = Log(world.real, "database").state.current
    assert current is not None
    assert (current.slot, current.version) == ("clo_a", world.stores["database"].current("database"))


def test_all_become_current_and_nothing_is_left(world: World) -> None:
    """Each is announced, sealed, written and confirmed; a store that takes it whole has nothing pending."""
    batch = world.bring()
    assert [(one.name, one.was, one.there) for one in batch.landed] == [(name, None, False) for name in NAMES]
    assert world.kinds("database") == ["secret.imported", "version.promoted"]
    assert world.kinds("smtp") == ["secret.imported", "version.staged", "version.promoted"]
    _agrees(world)


def test_the_same_again_writes_nothing(world: World) -> None:
    """What is current with that content is there already: no record, no version, no step that writes."""
    world.bring()
    before = {name: world.kinds(name) for name in NAMES}
    batch = world.bring()
    assert all(one.there for one in batch.landed)
    assert {name: world.kinds(name) for name in NAMES} == before
    assert [look(world.journal, world.escrow, world.brought(name)).state for name in NAMES] == ["there"] * 3


def _sealed_before_written(world: World) -> None:
    """If any store has something, everything that is not confirmed yet is in escrow."""
    written = [name for name in NAMES if world.stores[name].versions(name)]
    confirmed = [name for name in NAMES if "version.promoted" in world.kinds(name)]
    if written:
        assert len(world.escrow.held) >= len(NAMES) - len(confirmed)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_ended_at_any_step_the_same_call_goes_on(tmp_path: Path, *, after: bool) -> None:
    """No content becomes two versions, and what was sealed is what is written, to the letter."""
    for at in count(1):
        world = World(tmp_path / str(at))
        world.life.ends(at, after=after)
        try:
            world.bring()
        except Killed:
            world.life.ends(0, after=False)
            _sealed_before_written(world)
            sealed = world.escrow.held
            batch = world.bring()
            assert batch.error is None
            _agrees(world)
            contents = [world.content(name) for name in NAMES]
            assert all(one in contents for one in sealed)
            world.real.close()
            continue
        world.real.close()
        break
    assert at > 20


def test_ended_again_and_again_it_comes_to_the_same_end(tmp_path: Path) -> None:
    """Each run lives for some steps more than the last: in the end each secret has its one version."""
    world = World(tmp_path / "world")
    for at in count(1):
        world.life.ends(at, after=at % 2 == 0)
        try:
            world.bring()
        except Killed:
            continue
        break
    world.life.ends(0, after=False)
    _agrees(world)
    world.real.close()


def test_another_content_refuses_all_of_them(world: World) -> None:
    """Before anything is announced: the one that may not be replaced keeps the others out, too."""
    world.bring(world.brought("smtp"))
    with pytest.raises(Refused, match="smtp has version"):
        world.bring(world.brought("database"), world.brought("smtp", "two"))
    assert world.kinds("database") == []
    assert not world.stores["database"].names()


def test_what_was_written_and_not_confirmed_is_refused_with_the_way_to_confirm_it(world: World) -> None:
    """The file says something else meanwhile: what lies there is our own, and the command that ends it is named."""
    world.stores["database"].fail("put", Unavailable("no answer"), after=True)
    world.bring(world.brought("database", "first"))
    with pytest.raises(Refused, match="database has version") as caught:
        world.bring(world.brought("database", "second"))
    assert "keyturn resume database" in caught.value.remedy
    world.bring(world.brought("database", "first"))
    with pytest.raises(Refused) as caught:
        world.bring(world.brought("database", "second"))
    assert "keyturn history database" in caught.value.remedy


def test_another_content_gives_way_where_that_is_said(world: World) -> None:
    """It becomes the next version, and the former one is the previous one."""
    world.bring()
    former = world.stores["smtp"].current("smtp")
    (landed,) = world.bring(world.brought("smtp", "two", replaces=True)).landed
    assert (landed.was, landed.there) == (former, False)
    assert dict(world.content("smtp")) == dict(world.brought("smtp", "two").bundle)
    states = [one.state for one in world.stores["smtp"].versions("smtp")]
    assert states == [VersionState.PREVIOUS, VersionState.CURRENT]


def test_an_open_rotation_is_left_alone(world: World) -> None:
    """Nothing is brought while a rotation of the secret is open."""
    event = encode(Planned("r1", "clo_a", "a1"))
    world.real.append("database", 0, event)
    with pytest.raises(Refused, match="rotation of database is open"):
        world.bring()
    assert world.kinds("smtp") == []


def test_somebody_at_work_is_not_disturbed(world: World) -> None:
    """A held lock refuses all of them, and says whose it is."""
    with FileLock(world.locks / "payment.lock"), pytest.raises(Refused, match="payment is being worked on"):
        world.bring()
    assert world.kinds("database") == []


def test_a_store_that_fails_half_way_ends_the_batch_and_says_where(world: World) -> None:
    """What is current is told, what is left is told, and the same call goes on."""
    world.stores["smtp"].fail("stage", Unavailable("away"))
    batch = world.bring()
    assert [one.name for one in batch.landed] == ["database"]
    assert batch.left == ("smtp", "payment")
    assert isinstance(batch.error, Unavailable)
    assert [look(world.journal, world.escrow, world.brought(name)).state for name in NAMES] == [
        "there",
        "interrupted",
        "interrupted",
    ]
    again = world.bring()
    assert [one.there for one in again.landed] == [True, False, False]
    _agrees(world)


def test_a_write_whose_answer_was_lost_is_not_made_twice(world: World) -> None:
    """The store did it and said nothing: the same call confirms what is there."""
    for name, method in (("database", "put"), ("smtp", "promote")):
        world.stores[name].fail(method, Unavailable("no answer"), after=True)
        assert world.bring().error is not None
    world.bring()
    _agrees(world)


def test_another_content_than_the_one_that_was_interrupted(world: World) -> None:
    """The former one is forgotten: its pending version is switched off, its sealed copy gone."""
    world.stores["smtp"].fail("promote", Unavailable("away"))
    world.bring(world.brought("smtp", "first"))
    batch = world.bring(world.brought("smtp", "second"))
    assert batch.error is None
    states = [one.state for one in world.stores["smtp"].versions("smtp")]
    assert states == [VersionState.RETIRED, VersionState.CURRENT]
    assert dict(world.content("smtp")) == dict(world.brought("smtp", "second").bundle)
    assert world.escrow.held == []


def test_a_version_that_only_the_store_knows_is_written_down(world: World) -> None:
    """A store that has that very content already is believed, and the journal says so from then on."""
    bundle = world.brought("database").bundle
    version = world.stores["database"].stage("database", bundle, "elsewhere")
    world.stores["database"].promote("database", "elsewhere", None)
    (landed,) = world.bring(world.brought("database")).landed
    assert (landed.version, landed.there) == (version, True)
    assert world.kinds("database") == ["secret.imported", "version.promoted"]
    assert world.real.read("database")[-1].data["slot"] == "clo_a"


def test_what_cannot_be_read_is_another_content(world: World) -> None:
    """What is switched off gives way only where that is said; of a store that denies nothing is known."""
    world.bring(world.brought("smtp"))
    for error, told in ((Disabled("off"), Refused), (Denied("no"), Denied)):
        world.stores["smtp"].fail("read", error)
        with pytest.raises(told):
            world.bring(world.brought("smtp"))


class Forgetful(MemoryStore):
    """Gives back other bytes than it was sent."""

    def read(self, name: str, version: str) -> Bundle:
        """The bug of this class."""
        return Bundle(dict.fromkeys(super().read(name, version), "other"))


@pytest.mark.parametrize("store", [Forgetful(), type("Both", (Forgetful, DirectMemoryStore), {})()])
def test_what_does_not_read_back_is_an_error(store: Store, world: World) -> None:
    """It is never confirmed."""
    brought = Brought(Place("x", store, "x"), Bundle({"value": "one"}), "import")
    batch = world.bring(brought)
    assert isinstance(batch.error, Corrupt)
    assert "version.promoted" not in world.kinds("x")


def test_a_value_that_is_set_has_no_pending_copy_where_the_store_takes_it_whole(world: World) -> None:
    """`set` announces it, and the journal has one record of the store."""
    taken = take_in(
        world.journal,
        Place("payment", world.stores["payment"], "payment"),
        Bundle({"value": "x"}),
        "stdin",
        world.locks / "l",
    )
    assert world.kinds("payment") == ["secret.imported", "version.promoted"]
    assert taken.version == world.stores["payment"].current("payment")


def test_somebody_who_was_first_is_a_conflict(world: World) -> None:
    """The store's current version changed between the look and the write: it is not overwritten."""
    store = world.stores["payment"]

    class Racing(MortalDirectStore):
        """Another writer comes right before our write."""

        def put(self, name: str, bundle: Bundle, attempt: str, expect_current: str | None) -> str:
            """He stages and promotes."""
            self.stage(name, Bundle({"value": "his"}), "his")
            self.promote(name, "his", None)
            return super().put(name, bundle, attempt, expect_current)

    racing = Racing(store.life)
    batch = world.bring(Brought(Place("payment", racing, "payment"), Bundle({"value": "x"}), "import"))
    assert isinstance(batch.error, Conflict)
    assert racing.versions("payment")[-1].attempt == "his"
