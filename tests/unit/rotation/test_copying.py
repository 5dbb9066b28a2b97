"""A secret carried into another store: the same bytes under the same attempt, and a rotation that goes on there."""

from pathlib import Path

import pytest

from keyturn.core.errors import (
    AdapterError,
    Conflict,
    Corrupt,
    NotFound,
    OutcomeUnknown,
    Refused,
    TooLarge,
    Unsupported,
    UsageError,
)
from keyturn.core.secret import Bundle
from keyturn.core.version import VersionState
from keyturn.journal.record import Event
from keyturn.rotation.copying import COPIED, COPYING, Draft, Side, carried, carry, look, terms
from keyturn.rotation.events import Direction
from keyturn.rotation.intake import Place, take_in
from keyturn.stores.carried import CarriedStore
from keyturn.system.locks import FileLock
from keyturn.testing.bench import NAME, Bench
from keyturn.testing.memory_store import MemoryStore

OLD, NEW = "memory:old", "memory:new"


class _Small(MemoryStore):
    """Keeps next to nothing."""

    max_bytes = 10


class _Forgetful(MemoryStore):
    """Gives back another proof key."""

    def read(self, name: str, version: str) -> Bundle:
        return Bundle({field: value.reveal() for field, value in super().read(name, version).items()})


class _Whole(MemoryStore):
    """Takes a content whole, and keeps nothing as pending for somebody else."""

    def put(self, name: str, bundle: Bundle, attempt: str, expect_current: str | None) -> str:
        super().stage(name, bundle, attempt)
        return super().promote(name, attempt, expect_current)

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        raise Unsupported(f"{attempt} of {name} was staged: {bundle!r}")


class _Busy(MemoryStore):
    """While something is staged here, somebody else writes to the secret's stream."""

    bench: Bench

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        head = self.bench.journal.head(NAME)
        self.bench.journal.append(NAME, head.seq, Event("observation.made", {"what": "something"}))
        return super().stage(name, bundle, attempt)


class _Raced(MemoryStore):
    """Somebody else promotes right before we do."""

    def promote(self, name: str, attempt: str, expect_current: str | None) -> str:
        if attempt != "theirs":
            self.stage(name, Bundle({"value": "theirs"}), "theirs")
            super().promote(name, "theirs", self.current(name))
        return super().promote(name, attempt, expect_current)


def sides(bench: Bench, target: MemoryStore, source: MemoryStore | None = None) -> tuple[Side, Side]:
    """From the store of the bench to another one."""
    return Side("old", OLD, NAME, source or bench.store), Side("new", NEW, NAME, target)


def copy(bench: Bench, target: MemoryStore, *, history: bool = False) -> Draft:
    """Carry what the bench holds."""
    return carry(bench.journal, NAME, *sides(bench, target), bench.folder / f"{NAME}.lock", history=history)


def live_in(bench: Bench, store: MemoryStore, place: str) -> None:
    """As if the manifest now kept the secret in that store."""
    bench.store, bench.place = store, place
    bench.seen = lambda inner: CarriedStore(inner, NAME, carried(bench.journal.read(NAME), place, NAME))


def content(store: MemoryStore) -> Bundle:
    """What is current there."""
    version = store.current(NAME)
    assert version is not None
    return store.read(NAME, version)


def versions(store: MemoryStore) -> list[tuple[str, str, VersionState]]:
    """What a store holds."""
    return [(one.id, one.attempt, one.state) for one in store.versions(NAME)]


def test_the_same_bytes_lie_there_under_the_same_attempt(bench: Bench) -> None:
    """It is announced, carried, read back and written down; where it came from nothing has changed."""
    before, target = versions(bench.store), MemoryStore()
    draft = copy(bench, target)
    assert content(target) == content(bench.store)
    assert [one.attempt for one in target.versions(NAME)] == [bench.store.versions(NAME)[-1].attempt]
    assert versions(bench.store) == before
    assert bench.kinds()[-2:] == [COPYING, COPIED]
    record = bench.journal.read(NAME)[-1]
    assert record.data["to"] == {"store": "new", "place": NEW, "entry": NAME}
    assert (record.data["version"], record.data["stored"]) == (draft.version, target.current(NAME))


def test_copied_again_nothing_is_written(bench: Bench) -> None:
    """Neither to the target nor to the journal."""
    target = MemoryStore()
    copy(bench, target)
    before = (versions(target), bench.kinds())
    assert copy(bench, target).done
    assert (versions(target), bench.kinds()) == before


def test_a_look_writes_nothing(bench: Bench) -> None:
    """It says what would be carried, and neither store nor journal has changed."""
    target, before = MemoryStore(), bench.kinds()
    draft = look(bench.journal, NAME, *sides(bench, target))
    assert not draft.done
    assert set(draft.fields) == set(content(bench.store))
    assert (target.names(), bench.kinds()) == ((), before)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("method", ["current", "versions", "stage", "read", "promote"])
def test_cut_off_anywhere_and_repeated_it_is_there_once(bench: Bench, method: str, after: bool) -> None:  # noqa: FBT001 - a parameter
    """Whatever call fails, its effect done or not: the same command again ends as if nothing had been."""
    target = MemoryStore()
    target.fail(method, OutcomeUnknown("no answer"), after=after)
    with pytest.raises(OutcomeUnknown):
        copy(bench, target)
    copy(bench, target)
    assert content(target) == content(bench.store)
    assert [state for _, _, state in versions(target)] == [VersionState.CURRENT]
    assert carried(bench.journal.read(NAME), NEW, NAME) == {bench.store.current(NAME): target.current(NAME)}


def test_refused_while_a_rotation_is_open(bench: Bench) -> None:
    """The open rotation is named, and nothing is written."""
    bench.instances[0].stopped = True
    assert bench.rotate(patience=0.1).status == "waiting"
    target = MemoryStore()
    with pytest.raises(Refused, match="is open"):
        copy(bench, target)
    assert target.names() == ()


def test_refused_while_somebody_is_at_work_on_it(bench: Bench) -> None:
    """The secret's lock is that of rotations."""
    target = MemoryStore()
    with FileLock(bench.folder / f"{NAME}.lock"), pytest.raises(Refused, match="being worked on"):
        copy(bench, target)
    assert target.names() == ()


def test_refused_when_somebody_wrote_to_the_stream_meanwhile(bench: Bench) -> None:
    """What another host began meanwhile is not overlooked: no id is written down."""
    target = _Busy()
    target.bench = bench
    with pytest.raises(Refused, match="meanwhile"):
        copy(bench, target)
    assert COPIED not in bench.kinds()


def test_refused_where_the_source_holds_another_version(bench: Bench) -> None:
    """What the journal does not call current is not carried on."""
    bench.store.stage(NAME, bench.rotator.generate("b"), "foreign")
    bench.store.promote(NAME, "foreign", bench.store.current(NAME))
    target = MemoryStore()
    with pytest.raises(Refused, match="and the journal says"):
        copy(bench, target)
    assert target.names() == ()


def test_refused_where_the_target_holds_a_version_of_somebody_else(bench: Bench) -> None:
    """It is named and stays current."""
    target = MemoryStore()
    target.stage(NAME, Bundle({"value": "theirs"}), "theirs")
    target.promote(NAME, "theirs", None)
    before = versions(target)
    with pytest.raises(Refused, match="did not put there"):
        copy(bench, target)
    assert versions(target) == before


def test_a_secret_without_a_version_and_one_that_is_too_large_are_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    bench = Bench(tmp_path)
    with pytest.raises(NotFound, match="no version yet"):
        copy(bench, MemoryStore())
    bench.rotate()
    small = _Small()
    with pytest.raises(TooLarge, match="10 bytes"):
        copy(bench, small)
    assert (small.names(), COPYING in bench.kinds()) == ((), False)


def test_what_does_not_come_back_the_same_is_never_current(bench: Bench) -> None:
    """A target that gives back other bytes is found before its readers are told."""
    target = _Forgetful()
    with pytest.raises(Corrupt):
        copy(bench, target)
    assert (target.current(NAME), COPIED in bench.kinds()) == (None, False)


def brought(bench: Bench, *texts: str) -> None:
    """Values that a person brings, one after the other."""
    for text in texts:
        lock = bench.folder / f"{NAME}.lock"
        take_in(bench.journal, Place(NAME, bench.store, NAME), Bundle({"value": text}), "prompt", lock)


def test_former_versions_go_along_in_their_order(tmp_path: Path) -> None:
    """With --history those that can be read come first; cut off between them, they are finished in order."""
    bench, target = Bench(tmp_path), MemoryStore()
    brought(bench, "one", "two", "three", "four")
    bench.store.retire(NAME, bench.store.versions(NAME)[0].id)
    assert look(bench.journal, NAME, *sides(bench, target)).left == (
        "switched off: 1",
        "former: 2 (--history takes them along)",
    )
    target.fail("promote", OutcomeUnknown("no answer"), after=True)
    with pytest.raises(OutcomeUnknown):
        copy(bench, target, history=True)
    copy(bench, target, history=True)
    held = [target.read(NAME, one.id) for one in target.versions(NAME)]
    assert held == [bench.store.read(NAME, one.id) for one in bench.store.versions(NAME)[1:]]
    assert [one.attempt for one in target.versions(NAME)] == [one.attempt for one in bench.store.versions(NAME)[1:]]
    assert content(target) == content(bench.store)
    assert copy(bench, target, history=True).done


@pytest.mark.parametrize("method", ["current", "versions", "stage", "read", "promote"])
def test_a_store_that_takes_a_content_whole_is_given_it_at_once(tmp_path: Path, method: str) -> None:
    """Nothing is staged there, and cut off anywhere it is finished, former versions too."""
    bench, target = Bench(tmp_path), _Whole()
    brought(bench, "one", "two")
    target.fail(method, OutcomeUnknown("no answer"), after=True)
    with pytest.raises(OutcomeUnknown):
        copy(bench, target, history=True)
    copy(bench, target, history=True)
    assert [state for _, _, state in versions(target)] == [VersionState.PREVIOUS, VersionState.CURRENT]
    assert content(target) == content(bench.store)


def test_former_versions_have_no_place_after_a_later_one(tmp_path: Path) -> None:
    """A store that holds the current version cannot take older ones before it."""
    bench, target = Bench(tmp_path), MemoryStore()
    brought(bench, "one", "two")
    copy(bench, target)
    with pytest.raises(Refused, match="no place before it"):
        copy(bench, target, history=True)


def test_a_rotation_goes_on_in_the_new_store(bench: Bench) -> None:
    """The journal's current is the new store's current; its death is told to the new store by its own id."""
    source, target = bench.store, MemoryStore()
    old = copy(bench, target).version
    live_in(bench, target, NEW)
    agreed = bench.engine().reconcile()
    assert (agreed.decided, agreed.stored, agreed.repaired) == (old, old, ())
    assert bench.rotate().status == "closed"
    assert [state for _, _, state in versions(target)] == [VersionState.RETIRED, VersionState.CURRENT]
    assert source.current(NAME) == old
    assert bench.failures() == []


@pytest.mark.parametrize("direction", [Direction.ABORT, Direction.REVERT])
def test_a_rotation_in_the_new_store_turns_back_to_what_was_copied(bench: Bench, direction: Direction) -> None:
    """Abort and revert end on the copied version, under the id that the journal has for it."""
    target = MemoryStore()
    old = copy(bench, target).version
    live_in(bench, target, NEW)
    if direction is Direction.ABORT:
        bench.engine().begin("bench")
    else:
        bench.instances[0].stopped = True
        assert bench.rotate(patience=0.1).status == "waiting"
        bench.instances[0].stopped = False
    bench.engine().turn(direction, "bench")
    assert bench.engine().advance(20).status in {"aborted", "reverted"}
    agreed = bench.engine().reconcile()
    assert (agreed.decided, agreed.stored) == (old, old)


def test_until_a_rotation_has_closed_the_former_store_is_the_way_back(bench: Bench) -> None:
    """Put back in the manifest, the former store is as the journal says, and rotations go on there."""
    source, target = bench.store, MemoryStore()
    copy(bench, target)
    live_in(bench, target, NEW)
    assert bench.engine().reconcile().repaired == ()
    live_in(bench, source, OLD)
    agreed = bench.engine().reconcile()
    assert agreed.decided == agreed.stored
    assert bench.rotate().status == "closed"


def test_after_a_rotation_the_way_back_is_another_copy(bench: Bench) -> None:
    """The former store is behind, and says so; the newer version is copied over what was left there."""
    source, target = bench.store, MemoryStore()
    copy(bench, target)
    live_in(bench, target, NEW)
    assert bench.rotate().status == "closed"
    live_in(bench, source, OLD)
    with pytest.raises(Refused, match="the store's current version"):
        bench.engine().begin("bench")
    back = (Side("new", NEW, NAME, target), Side("old", OLD, NAME, source))
    carry(bench.journal, NAME, *back, bench.folder / f"{NAME}.lock")
    assert content(source) == content(target)
    agreed = bench.engine().reconcile()
    assert agreed.decided == agreed.stored
    assert bench.rotate().status == "closed"


def test_a_late_promote_of_our_own_is_put_right_in_the_new_store(bench: Bench) -> None:
    """Reconcile knows the copied version by its attempt."""
    target = MemoryStore()
    old = copy(bench, target).version
    live_in(bench, target, NEW)
    bench.engine().begin("bench")
    attempt = bench.engine().state().rotation
    assert attempt is not None
    bench.engine().turn(Direction.ABORT, "bench")
    assert bench.engine().advance(20).status == "aborted"
    target.stage(NAME, bench.rotator.generate("b"), attempt.plan.attempt)
    target.promote(NAME, attempt.plan.attempt, target.current(NAME))
    agreed = bench.engine().reconcile()
    assert agreed.stored == old
    assert any("written late" in line for line in agreed.repaired)


def test_another_store_in_the_manifest_without_a_copy_is_named(bench: Bench) -> None:
    """No rotation begins in an empty store, and the look of reconcile says that it holds nothing."""
    live_in(bench, MemoryStore(), NEW)
    with pytest.raises(Refused, match="holds no version") as refused:
        bench.engine().begin("bench")
    assert "keyturn copy database --from" in refused.value.remedy
    assert bench.engine().reconcile().stored is None


def test_another_store_in_the_manifest_while_a_rotation_is_open_stops_it(bench: Bench) -> None:
    """A rotation goes on only in the store in which it was begun; put back, it ends."""
    bench.place = OLD
    bench.instances[0].stopped = True
    assert bench.rotate(patience=0.1).status == "waiting"
    before = bench.kinds()
    bench.place = NEW
    with pytest.raises(UsageError, match="the store of database was changed"):
        bench.engine().advance(0.1)
    assert bench.kinds() == before
    bench.place = OLD
    bench.instances[0].stopped = False
    assert bench.engine().advance(20).status == "closed"


def test_a_race_at_the_target_is_a_conflict(bench: Bench) -> None:
    """Somebody who writes there between look and promote is not buried."""
    target = _Raced()
    with pytest.raises(Conflict):
        copy(bench, target)
    assert target.versions(NAME)[-1].attempt == "theirs"


def test_the_pair_says_what_it_does_not_carry() -> None:
    """Size, compare-and-swap and clear text, each where it is so."""
    lines = "\n".join(terms(MemoryStore(), _Small(cas=False), clear=False))
    assert "more than 10 bytes" in lines
    assert "no compare-and-swap" in lines
    assert "in the clear" not in lines
    assert "in the clear" in "\n".join(terms(MemoryStore(), _Small(cas=False), clear=True))
    assert len(terms(_Small(cas=False), MemoryStore(), clear=False)) == 1


def test_no_error_of_a_copy_is_anything_but_ours(bench: Bench) -> None:
    """A store that is away is said as that."""
    target = MemoryStore()
    target.fail("current", AdapterError("away"))
    with pytest.raises(AdapterError, match="away"):
        look(bench.journal, NAME, *sides(bench, target))
