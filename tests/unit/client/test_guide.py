"""The guide's names over our client: opened late, of one version, and an exception where the guide gives None."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import pytest

from keyturn.client.guide import Guide
from keyturn.core.errors import KeyturnError, NotFound, Unavailable, UsageError
from keyturn.core.secret import SecretValue
from tests.unit.client.guide_place import GuidePlace
from tests.unit.client.place import until

TraceFunction: TypeAlias = Callable[[FrameType, str, Any], Any]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GuidePlace:
    """The secrets of the guide in their first version, found by the variable."""
    place = GuidePlace(tmp_path)
    monkeypatch.setenv("KEYTURN_CLIENT", str(place.file))
    return place


@pytest.fixture
def guide() -> Iterator[Guide]:
    """A guide of its own for each test."""
    guide = Guide()
    yield guide
    try:
        guide.secrets.close()
    except KeyturnError:
        return  # it was never opened


def same(text: str, expected: str) -> bool:
    """Whether they are equal, without showing either."""
    return SecretValue(text) == SecretValue(expected)


def refused(guide: Guide) -> bool:
    """Whether a read says that it has nothing fresh to give."""
    try:
        guide.get_secret_key()
    except Unavailable:
        return True
    return False


def test_every_method_of_the_guide_gives_its_value(place: GuidePlace, guide: Guide) -> None:
    """Under the names that the guide stores them by."""
    assert same(guide.get_database_url(), "postgresql://v1")
    assert same(guide.get_redis_url(), "redis://v1")
    assert same(guide.get_secret_key(), "key-v1")
    assert same(guide.get_secret("smtp-password"), "mail-v1")
    assert {name: text for name, text in guide.get_jwt_keys().items() if not same(text, f"{name}-v1")} == {}
    found = guide.get_ssl_certificates()
    assert sorted(found) == ["ca_bundle", "certificate", "private_key"]
    assert {
        name for name, text in found.items() if not same(text, "" if name == "ca_bundle" else f"{name}-v1")
    } == set()
    place.deliver("v2")
    guide.secrets.refresh()
    assert same(guide.get_secret_key(), "key-v2")


def test_the_methods_are_those_of_the_guide() -> None:
    """By name, and no more than `secrets` beside them."""
    methods = {name for name in dir(Guide) if not name.startswith("_")} - {"secrets"}
    of_the_guide = {"get_secret", "get_database_url", "get_redis_url", "get_secret_key"}
    assert methods == of_the_guide | {"get_jwt_keys", "get_ssl_certificates"}


def test_importing_it_opens_nothing(tmp_path: Path) -> None:
    """An application is imported by tools that have no secrets; the first use says what is missing, each time."""
    program = """
from keyturn.client.guide import secrets_manager
from keyturn.core.errors import UsageError
for _ in range(2):
    try:
        secrets_manager.get_secret_key()
    except UsageError as error:
        print(error.remedy)
"""
    nothing = {name: text for name, text in os.environ.items() if name != "KEYTURN_CLIENT"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=nothing, capture_output=True, text=True, check=True
    )
    assert (
        done.stdout
        == 2 * "name the client file in KEYTURN_CLIENT, or give its path: to open(), to keyturn run by --config\n"
    )


def test_an_open_that_failed_is_tried_again(place: GuidePlace, guide: Guide) -> None:
    """What was missing at the first call may be there at the second."""
    content = place.file.read_text()
    place.file.unlink()
    with pytest.raises(UsageError):
        guide.get_secret_key()
    place.file.write_text(content)
    assert same(guide.get_secret_key(), "key-v1")


def test_what_is_missing_or_empty_is_an_exception(place: GuidePlace, guide: Guide) -> None:
    """Never None, never a setting from before, never an empty key to sign with."""
    with pytest.raises(NotFound, match="'nothing'"):
        guide.get_secret("nothing")
    place.deliver("v2", key="")
    guide.secrets.refresh()
    with pytest.raises(NotFound, match="secret-key is empty"):
        guide.get_secret_key()


def test_a_source_that_is_gone_is_an_exception(place: GuidePlace, guide: Guide) -> None:
    """What was read last is no answer for ever."""
    place.max_stale("100ms")
    guide.get_secret_key()
    place.vanish()
    until(lambda: guide.secrets["secret-key"].stale)
    until(lambda: refused(guide))


def test_keys_of_two_secrets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guide: Guide) -> None:
    """A private key and a public key that are never of one version for sure are no pair."""
    place = GuidePlace(tmp_path, apart=True)
    monkeypatch.setenv("KEYTURN_CLIENT", str(place.file))
    with pytest.raises(NotFound, match="jwt does not publish jwt-public-key"):
        guide.get_jwt_keys()


def test_pairs_are_of_one_version_while_versions_change(place: GuidePlace, guide: Guide) -> None:
    """A new version before every line of the method mixes nothing."""
    guide.get_jwt_keys()
    numbers = count(2)

    def before_a_line(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        if frame.f_code.co_name != "get_jwt_keys":
            return None
        if event == "line":
            place.deliver(f"v{next(numbers)}")
            guide.secrets.refresh()
        return before_a_line

    before = sys.gettrace()
    sys.settrace(before_a_line)
    try:
        found = guide.get_jwt_keys()
    finally:
        sys.settrace(before)
    assert next(numbers) > 3
    assert len({text.rpartition("-")[2] for text in found.values()}) == 1


def test_many_first_calls_open_once(place: GuidePlace, guide: Guide) -> None:
    """All threads of a server that starts share one instance, which reports once."""
    opened: list[object] = []
    together = threading.Barrier(16)

    def first() -> None:
        together.wait()
        opened.append(guide.secrets)

    threads = [threading.Thread(target=first) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 16
    assert len({id(one) for one in opened}) == 1
    assert len(tuple(place.status_dir.glob("*.json"))) == 1
