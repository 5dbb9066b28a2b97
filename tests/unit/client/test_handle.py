"""`Handle`: the read that is made most often, and when it must not be that quick."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from keyturn.client import Handle, Secrets, View
from keyturn.client.configuration import Configuration
from keyturn.client.sources import Generation
from keyturn.core.errors import NotFound, Unavailable, UsageError
from keyturn.core.secret import Bundle
from tests.unit.client.place import until
from tests.values import reads


class Sluggish:
    """A source whose looks can be made to hang, as those of a dead network share do."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.version, self.told, self.looks = "v1", "", 0
        self.field, self.down = "value", False

    def changed(self) -> Generation | None:
        """What there is, once the way is open."""
        self.open.wait()
        self.looks += 1
        if self.down:
            raise Unavailable("the share is gone")
        if self.version == self.told:
            return None
        self.told = self.version
        return Generation("test", {"api-key": View("api-key", self.version, Bundle({self.field: f"key-{self.told}"}))})

    def nonce(self) -> str:
        """Nobody asks."""
        return ""


def opened(source: Sluggish, max_stale: float) -> Secrets:
    """An application on it."""
    return Secrets(Configuration({"kind": "sluggish"}, None, max_stale, ("api-key",)), source)


@pytest.fixture
def source() -> Iterator[Sluggish]:
    """One that hangs no longer than the test."""
    made = Sluggish()
    yield made
    made.open.set()


def number_in(text: str) -> int:
    """The number of the version that a value names."""
    return int(text.removeprefix("key-v"))


def fails(handle: Handle) -> bool:
    """Whether a read fails."""
    try:
        return reads(handle, "")
    except Unavailable:
        return True


def test_a_read_fails_while_the_look_hangs(source: Sluggish) -> None:
    """The thread that looks cannot say that it is late: another does, and a read waits no longer than declared."""
    with opened(source, 0.3) as secrets:
        handle = secrets["api-key"]
        assert reads(handle, "key-v1")
        source.open.clear()
        until(lambda: fails(handle))
        with pytest.raises(Unavailable, match="does not end"):
            secrets.bundle("api-key")
        source.version = "v2"
        source.open.set()
        until(lambda: not fails(handle))
        assert reads(handle, "key-v2")


def test_there_is_one_handle_for_each_name(source: Sluggish) -> None:
    """Asking for it at each use costs a dictionary, and keeps nothing."""
    with opened(source, 30) as secrets:
        assert secrets["api-key"] is secrets["api-key"]
        assert secrets["api-key"] is not secrets["api-key.value"]


def test_reads_make_no_look(source: Sluggish) -> None:
    """Not one of a thousand, while what is held is not too old."""
    with opened(source, 3600) as secrets:
        until(lambda: source.looks >= 2)
        source.open.clear()
        before, handle = source.looks, secrets["api-key"]
        assert all(reads(handle, "key-v1") for _ in range(1000))
        assert source.looks <= before + 1  # one may have been on its way
        source.open.set()


def test_a_field_that_the_new_version_has_not_is_an_exception(source: Sluggish) -> None:
    """The value of the old version is not given in its place."""
    with opened(source, 30) as secrets:
        handle = secrets["api-key"]
        source.version, source.field = "v2", "password"
        secrets.refresh()
        with pytest.raises(NotFound, match="'value'"):
            reads(handle, "key-v1")


def test_a_handle_of_closed_secrets_gives_nothing(source: Sluggish) -> None:
    """At once, though it gave a value a moment before."""
    secrets = opened(source, 3600)
    handle = secrets["api-key"]
    assert reads(handle, "key-v1")
    secrets.close()
    with pytest.raises(UsageError, match="closed"):
        reads(handle, "key-v1")


def test_a_thousand_threads_read_while_versions_change(source: Sluggish) -> None:
    """None fails, none hangs, and each sees versions in the order in which they came."""
    ending, wrong = threading.Event(), list[object]()

    def read(secrets: Secrets) -> None:
        handle, last = secrets["api-key"], 0
        try:
            while not ending.wait(0.05):
                number = number_in(handle.reveal())
                if number < last:
                    wrong.append((last, number))
                last = number
        except Exception as error:  # noqa: BLE001 - told below
            wrong.append(error)

    with opened(source, 30) as secrets:
        threads = [threading.Thread(target=read, args=(secrets,)) for _ in range(1000)]
        for thread in threads:
            thread.start()
        for number in range(2, 30):
            source.version = f"v{number}"
            secrets.refresh()
        ending.set()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        assert reads(secrets["api-key"], "key-v29")
    assert wrong == []


def test_a_thousand_readers_of_a_source_that_is_down_make_no_thousand_looks(source: Sluggish) -> None:
    """Who waited for a look that failed is told so: one after the other they would wait for ever."""
    with opened(source, 1) as secrets:
        handle, told = secrets["api-key"], list[bool]()
        source.open.clear()
        until(lambda: fails(handle))
        threads = [threading.Thread(target=lambda: told.append(fails(handle))) for _ in range(1000)]
        for thread in threads:
            thread.start()
        source.down, before = True, source.looks
        source.open.set()
        for thread in threads:
            thread.join()
        assert (len(told), all(told), source.looks - before < 100) == (1000, True, True)


def test_a_loop_of_asyncio_goes_on_while_the_look_hangs(source: Sluggish) -> None:
    """Reads wait for nobody, so that a thousand tasks read on while the thread that looks does not come back."""
    with opened(source, 3600) as secrets:
        handle = secrets["api-key"]
        source.open.clear()

        async def read() -> bool:
            await asyncio.sleep(0)
            return reads(handle, "key-v1")

        async def all_read() -> list[bool]:
            return await asyncio.gather(*(read() for _ in range(1000)))

        assert all(asyncio.run(all_read()))
        source.open.set()
