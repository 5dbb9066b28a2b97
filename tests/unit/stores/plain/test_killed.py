"""Ended between any two calls to the kernel, or failed by one: readable as before or after, and repeated it is done."""

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from keyturn.core.errors import AdapterError, OutcomeUnknown
from keyturn.core.secret import Bundle
from keyturn.stores.plain import PlainStore
from keyturn.stores.plain.keeping import HISTORY
from tests.unit.stores.plain.plain import CANARY, Plain, Visible, current, pair
from tests.unit.stores.traced import killed_at
from tests.unit.stores.underneath import system_error, underneath

OLD, NEW, NEXT = pair("old"), Bundle({"username": "new-u", "token": "new-t"}), pair("next")
EVERY = 11
"""With 1 it is every call, and takes a minute."""


def _template(plain: Plain) -> str:
    """`database` with a retired, a previous and a current version and one that is to be promoted; the previous one."""
    store = plain.open()
    first = current(store, "database", pair("first"), "a0")
    previous = current(store, "database", pair("previous"), "a1")
    current(store, "database", OLD, "a2")
    store.retire("database", first)
    store.stage("database", NEW, "a3")
    return previous


def _act(what: str, previous: str) -> Callable[[PlainStore], object]:
    def promote(store: PlainStore) -> object:
        return store.promote("database", "a3", store.versions("database")[2].id)

    def stage(store: PlainStore) -> object:
        return store.stage("database", NEXT, "a4")

    def retire(store: PlainStore) -> object:
        return store.retire("database", previous)

    return {"promote": promote, "stage": stage, "retire": retire}[what]


def _shown(plain: Plain, bundle: Bundle) -> Visible:
    return {plain.named(f"database_{field}"): bundle[field] for field in bundle}


def _is_before_or_after(plain: Plain) -> None:
    """Without Keyturn: a `.env` file is one or the other as a whole, of files each one is."""
    before, after, seen = _shown(plain, OLD), _shown(plain, NEW), plain.visible()
    if plain.kind == "env-file":
        assert seen in (before, after)
    for place in {*before, *after}:
        assert seen.get(place) in (before.get(place), after.get(place))


def _goes_on(plain: Plain, act: Callable[[PlainStore], object], done: object) -> None:
    """Another process finds it whole, and the same call again leads to the end."""
    _is_before_or_after(plain)
    store = plain.open()
    now = store.current("database")
    found = store.read("database", now or "")
    assert found in (OLD, NEW)
    assert plain.visible() == _shown(plain, found)
    assert act(store) == done or isinstance(done, str)
    assert plain.litter() == []
    wanted = {f"{version.id}.bundle" for version in store.versions("database") if version.state != "retired"}
    assert {path.name for path in plain.own.glob("*.bundle")} == wanted


def _error(act: Callable[[], object]) -> AdapterError | None:
    try:
        act()
    except AdapterError as error:
        return error
    return None


def _goal(plain: Plain) -> tuple[object, Visible]:
    """What cannot differ between an undisturbed run and another one."""
    store = plain.open()
    return [(version.attempt, version.state) for version in store.versions("database")], plain.visible()


@pytest.mark.parametrize("what", ["promote", "stage", "retire"])
def test_killed_at_any_call_it_is_as_before_or_after_and_goes_on(what: str, plain: Plain, tmp_path: Path) -> None:
    """Killed on the way into the kernel, at every eleventh call."""
    act = _act(what, _template(plain))
    whole = plain.copy(tmp_path / "whole")
    done = act(whole.open())
    steps = []
    for at in count(1, EVERY):
        here = plain.copy(tmp_path / "here")
        store = here.open()
        if not killed_at(at, partial(act, store)):
            break
        _goes_on(here, act, done)
        steps.append(_goal(here) == _goal(whole))
    assert all(steps)
    assert len(steps) > 40 / EVERY


@pytest.mark.parametrize("what", ["promote", "stage", "retire"])
def test_failed_by_any_call_it_says_so_and_goes_on(
    what: str, plain: Plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, an I/O error, too many files, a read-only disk, at each call: a typed error that tells the truth."""
    act = _act(what, _template(plain))
    whole = plain.copy(tmp_path / "whole")
    done = act(whole.open())
    before = (plain.own / HISTORY).read_bytes()
    for at in count(1):
        here = plain.copy(tmp_path / "here")
        store, counter = here.open(), system_error(at)
        with underneath(counter, monkeypatch):
            error = _error(partial(act, store))
        if error is not None:
            assert CANARY not in f"{error.message}{error.remedy}"
            assert isinstance(error, OutcomeUnknown) or (here.own / HISTORY).read_bytes() == before
        if not counter.happened:
            break
        _goes_on(here, act, done)
        assert _goal(here) == _goal(whole)
    assert at > 10
