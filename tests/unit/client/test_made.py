"""What is made of each version once."""

import os
import threading
from pathlib import Path

import pytest

from keyturn.client.made import Made
from keyturn.client.view import View
from keyturn.core.errors import Corrupt
from tests.unit.client.key_place import APP_KEYS, KeyPlace, app_key
from tests.unit.client.place import until


@pytest.fixture
def place(tmp_path: Path) -> KeyPlace:
    """An application key in its first version."""
    return KeyPlace(tmp_path, "app-key", app_key(APP_KEYS[0]), reports=True)


def test_a_version_is_made_once_by_many_threads(place: KeyPlace) -> None:
    """And before reads give it: the first request after a change pays nothing."""
    made: list[str] = []

    def make(view: View) -> str:
        made.append(view.version)
        return view.version

    with place.open() as secrets:
        live = Made(secrets, "app-key", make)
        place.deliver(app_key(APP_KEYS[1]))
        secrets.refresh()
        until(lambda: secrets.bundle("app-key").version == "v2")
        assert made == ["v1", "v2"]
        together = threading.Barrier(16)

        def ask() -> None:
            together.wait()
            for _ in range(50):
                assert live.now() == "v2"

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made == ["v1", "v2"]


def test_a_version_that_cannot_be_made_is_rejected_and_the_one_before_goes_on(place: KeyPlace) -> None:
    """The application reports it, so that Keyturn reverts or holds."""

    def make(view: View) -> str:
        if view.version == "v2":
            raise Corrupt("it is not what was written")
        return view.version

    with place.open() as secrets:
        live = Made(secrets, "app-key", make)
        place.deliver(app_key(APP_KEYS[1]))
        secrets.refresh()

        def rejections() -> list[str]:
            seen = place.application.observe("app-key", place.bundles).instances
            return [one.rejection.reason for one in seen if one.rejection]

        until(rejections)
        assert rejections() == ["it is not what was written"]
        assert live.now() == "v1"


def test_a_first_version_that_cannot_be_made_holds_nothing(place: KeyPlace) -> None:
    """The error reaches the application, and later versions are not tried with what failed."""

    def make(_: View) -> str:
        raise Corrupt("it is not what was written")

    with place.open() as secrets:
        with pytest.raises(Corrupt):
            Made(secrets, "app-key", make)
        place.deliver(app_key(APP_KEYS[1]))
        secrets.refresh()
        assert secrets.bundle("app-key").version == "v2"


def test_a_forked_child_goes_on_as_a_holder(place: KeyPlace) -> None:
    """A server that loads the application before it forks: the child tries a version before it uses it."""

    def make(view: View) -> str:
        if view.version == "v2":
            raise Corrupt("it is not what was written")
        return view.version

    with place.open() as secrets:
        live = Made(secrets, "app-key", make)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                before = live.now()
                place.deliver(app_key(APP_KEYS[1]))
                secrets.refresh()
                held = live.now()
                place.deliver(app_key(APP_KEYS[2]))
                secrets.refresh()
                until(lambda: live.now() == "v3")
                os.write(writing, f"{before} {held} {live.now()}".encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            assert pipe.read() == "v1 v1 v3"
        os.waitpid(child, 0)


def test_closing_it_lets_versions_pass(place: KeyPlace) -> None:
    """What is not used any more turns nothing down."""

    def make(view: View) -> str:
        if view.version == "v2":
            raise Corrupt("it is not what was written")
        return view.version

    with place.open() as secrets:
        Made(secrets, "app-key", make).close()
        place.deliver(app_key(APP_KEYS[1]))
        secrets.refresh()
        assert secrets.bundle("app-key").version == "v2"
