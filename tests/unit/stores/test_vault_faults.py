"""Calls below the vault fail, or are the last ones, one at a time: the vault is as before or as after."""

import errno
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from keyturn.core.errors import AdapterError, Corrupt, Denied, OutcomeUnknown, Unavailable
from keyturn.core.secret import Bundle
from keyturn.stores.local import LocalEscrow, LocalVault, SelfKeys
from tests.unit.stores.places import CANARY, Place, bundle
from tests.unit.stores.underneath import Counter, connect, die, sqlite_error, system_error, underneath

SECOND = Bundle({"value": f"{CANARY}-new"})
"""One object, so that a repeated stage brings the same bytes."""


def _stage(vault: LocalVault) -> object:
    return vault.stage("mail", SECOND, "a9")


def _promote(vault: LocalVault) -> object:
    return vault.promote("mail", "a3", None)


def _retire(vault: LocalVault) -> object:
    return vault.retire("mail", vault.versions("mail")[0].id)


def _seal(vault: LocalVault) -> object:
    return LocalEscrow(vault).seal("a9", SECOND)["value"]


def _discard(vault: LocalVault) -> object:
    LocalEscrow(vault).discard("a9")
    return LocalEscrow(vault).unseal("a9")


def _look(vault: LocalVault) -> object:
    ids = [version.id for version in vault.versions("database")]
    return vault.names(), vault.current("database"), [vault.read("database", id_) for id_ in ids]


def _own_keys(vault: LocalVault) -> object:
    return SelfKeys(vault).checkpoint_public_key()


ACTS = [(_stage, 1), (_promote, 2), (_retire, 2), (_seal, 2), (_discard, 2), (_look, 1), (_own_keys, 5)]
"""Each act, and how many calls lie between two that fail: those that share their path are sampled."""


def _states(vault: LocalVault) -> list[tuple[str, str, str]]:
    return [(name, v.attempt, v.state) for name in vault.names() for v in vault.versions(name)]


def _restore(place: Place, template: Path) -> None:
    shutil.rmtree(place.root)
    shutil.copytree(template, place.root)


@pytest.mark.parametrize("fault", [system_error, sqlite_error], ids=["system", "sqlite"])
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act[0].__name__)
def test_a_failing_call_is_typed_and_leaves_before_or_after(
    act: tuple[Callable[[LocalVault], object], int],
    fault: Callable[[int], Counter],
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Calls fail one at a time: an AdapterError without a value, the state of before or after, a repetition works."""
    run, stride = act
    template = place.copy(tmp_path / "template").root
    before = _states(place.open())
    run(place.open())
    after = _states(place.open())
    for at in count(1, stride):
        _restore(place, template)
        vault, counter = place.open(), fault(at)
        try:
            with underneath(counter, monkeypatch):
                run(vault)
        except AdapterError as error:
            told, unchanged = f"{error!r} {error.message} {error.remedy}", not isinstance(error, OutcomeUnknown)
        else:
            told, unchanged = "", False
        assert CANARY not in told
        if not counter.happened:
            break
        found = _states(place.open())
        assert found in (before, after) or run is _own_keys
        assert not unchanged or found == before or run in {_discard, _own_keys}
        run(vault)
        assert _states(place.open()) == after
    assert at > 8


@pytest.mark.parametrize("act", [_stage, _discard])
def test_a_kill_leaves_before_or_after(
    act: Callable[[LocalVault], object], place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at every second call, in a process of its own: the vault opens, is as before or after, and goes on."""
    LocalEscrow(place.open()).seal("a9", SECOND)
    template = place.copy(tmp_path / "template").root
    before = _states(place.open())
    act(place.open())
    after = _states(place.open())
    seen = []
    for at in count(1, 2):
        _restore(place, template)
        vault, counter = place.open(), Counter(at, die)
        child = os.fork()
        if not child:
            with underneath(counter, monkeypatch):
                act(vault)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if not status:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        seen.append(_states(place.open()))
        assert seen[-1] in (before, after)
        act(place.open())
        assert _states(place.open()) == after
    assert before in seen
    assert after in seen


def test_a_recovery_that_is_cut_anywhere_can_be_repeated(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every fifth failing call of a recovery, the code still opens the vault afterwards, and then the key file."""
    right = _look(place.open())
    place.key_file.unlink()
    template = place.copy(tmp_path / "template").root
    for at in range(1, 1000, 5):
        _restore(place, template)
        counter = system_error(at)
        try:
            with underneath(counter, monkeypatch):
                place.recover()
        except AdapterError as error:
            told = error.message
        else:
            told = ""
        assert CANARY not in told
        if not counter.happened:
            break
        place.recover()
        assert _look(place.open()) == right
    assert at > 50


def test_a_creation_that_is_cut_anywhere_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every third failing call of `create`, nothing stands there and it can be repeated, or a whole vault does."""
    for at in count(1, 3):
        root = tmp_path / str(at)
        root.mkdir()
        path, key_file, anchor = root / "v/vault.db", root / "key", root / "s/anchor"
        counter = system_error(at)
        try:
            with underneath(counter, monkeypatch):
                LocalVault.create(path, key_file=key_file, anchor=anchor)
        except AdapterError:
            if not path.exists():
                LocalVault.create(path, key_file=key_file, anchor=anchor)
        with connect(path) as database:
            (vault_id,) = database.execute("SELECT id FROM vault").fetchone()
        database.close()
        assert LocalVault.open(path, vault_id=vault_id, key_file=key_file, anchor=anchor).names() == ()
        if not counter.happened:
            break
    assert at > 50


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (sqlite3.SQLITE_FULL, Unavailable),
        (sqlite3.SQLITE_IOERR_FSYNC, Unavailable),
        (sqlite3.SQLITE_CANTOPEN, Unavailable),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Unavailable),
        (sqlite3.SQLITE_LOCKED, Unavailable),
        (sqlite3.SQLITE_READONLY_DBMOVED, Denied),
        (sqlite3.SQLITE_PERM, Denied),
        (sqlite3.SQLITE_CORRUPT_VTAB, Corrupt),
        (sqlite3.SQLITE_NOTADB, Corrupt),
        (sqlite3.SQLITE_TOOBIG, Corrupt),
        (None, Corrupt),
    ],
)
def test_each_error_of_sqlite_has_its_type(
    code: int | None, error: type[AdapterError], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locked, full and unreadable may be tried again; not permitted asks; everything else stops."""
    vault = place.open()

    def fault() -> None:
        raised = sqlite3.DatabaseError(CANARY)
        if code is not None:
            raised.sqlite_errorcode = code
        raise raised

    with pytest.raises(error) as refusal, underneath(Counter(5, fault, ("sqlite",)), monkeypatch):
        vault.names()
    assert type(refusal.value) is error
    assert refusal.value.remedy


def test_a_commit_without_an_answer_is_outcome_unknown(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that fails after it took effect is OutcomeUnknown, and reading back shows the version."""
    vault = place.open()

    class Database(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            done = super().execute(*arguments)
            if arguments[0] == "COMMIT":
                error = sqlite3.OperationalError(CANARY)
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise error
            return done

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **o: connect(*a, factory=Database, **o))
        with pytest.raises(OutcomeUnknown):
            vault.stage("mail", bundle("x"), "a9")
    assert [version.attempt for version in vault.versions("mail")] == ["a3", "a9"]


def test_reads_go_on_while_the_state_directory_cannot_be_written(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every write refused a stage is Unavailable, says that it may have happened, and reads answer."""
    vault = place.open()

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        with pytest.raises(OutcomeUnknown, match="anchor"):
            vault.stage("mail", bundle("x"), "a9")
        with pytest.raises(Unavailable):
            vault.stage("mail", bundle("x"), "a10")
        assert [version.attempt for version in vault.versions("mail")] == ["a3", "a9"]
        assert vault.read("mail", vault.versions("mail")[1].id)["value"] == bundle("x")["value"]
    vault.stage("mail", bundle("x"), "a10")
