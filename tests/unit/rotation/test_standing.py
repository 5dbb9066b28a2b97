from pathlib import Path

import pytest

from keyturn.core.errors import Refused, UsageError
from keyturn.rotation.events import Direction
from keyturn.testing.bench import NAME, Bench
from keyturn.testing.fake_consumer import FakeConsumer


def begun(bench: Bench) -> None:
    """A rotation that waits for one process."""
    bench.instances[0].stopped = True
    assert bench.rotate(patience=0.1).status == "waiting"


def test_a_first_version_is_refused_where_the_store_has_one_already(tmp_path: Path) -> None:
    """A store whose version the journal does not know is named before anything is opened."""
    bench = Bench(tmp_path)
    bench.store.stage(NAME, bench.rotator.generate("a"), "of another state directory")
    bench.store.promote(NAME, "of another state directory", None)
    with pytest.raises(Refused, match="the journal says None"):
        bench.engine().begin("bench")
    assert bench.kinds() == []


def test_a_rotation_is_refused_after_a_foreign_write_of_the_store(bench: Bench) -> None:
    """If somebody else made another version current, no rotation opens that could not be ended."""
    bench.store.stage(NAME, bench.rotator.generate("b"), "foreign")
    bench.store.promote(NAME, "foreign", bench.store.current(NAME))
    with pytest.raises(Refused, match="the store's current version"):
        bench.engine().begin("bench")
    assert bench.engine().state().rotation is None


def test_a_consumer_that_is_new_is_named_and_nothing_is_done(bench: Bench) -> None:
    """A consumer that came into the manifest while a rotation is open stops it with a sentence."""
    begun(bench)
    before = bench.kinds()
    bench.consumers = (*bench.consumers, FakeConsumer("reports", []))
    with pytest.raises(UsageError, match="reports is new"):
        bench.engine().advance(0.1)
    assert bench.kinds() == before


def test_a_consumer_that_is_missing_is_named_and_comes_back(bench: Bench) -> None:
    """A consumer that was taken out is not waited for in silence; put back, the rotation ends."""
    begun(bench)
    consumers, bench.consumers = bench.consumers, ()
    with pytest.raises(UsageError, match="app is missing"):
        bench.engine().advance(0.1)
    bench.consumers = consumers
    bench.instances[0].stopped = False
    assert bench.engine().advance(20).status == "closed"


def test_an_abort_asks_nobody(bench: Bench) -> None:
    """What nobody was told of can be given up whatever the manifest says of consumers."""
    bench.target.reachable = False
    assert bench.rotate(patience=0.1).status == "waiting"
    bench.target.reachable = True
    bench.consumers = ()
    bench.engine().turn(Direction.ABORT, "bench")
    assert bench.engine().advance(20).status == "aborted"
