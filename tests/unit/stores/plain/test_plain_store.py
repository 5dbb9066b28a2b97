"""What a plain store shows, what it refuses to touch, and what it puts right."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.core.errors import (
    AdapterError,
    Conflict,
    Corrupt,
    Denied,
    InvalidName,
    NotFound,
    TooLarge,
    Unavailable,
    Unsupported,
)
from keyturn.core.secret import Bundle, SecretValue
from keyturn.core.version import VersionState
from keyturn.stores.plain import FOREIGN
from keyturn.system.locks import FileLock
from tests.unit.stores.plain.plain import CANARY, Plain, current, one, pair


def test_a_bundle_of_one_value_has_the_name_and_one_of_several_the_name_and_the_field(plain: Plain) -> None:
    """`database-url` is `database_url` or DATABASE_URL; fields follow after an underscore."""
    store = plain.open()
    first, second = one("a"), pair("b")
    current(store, "database-url", first, "a1")
    current(store, "database", second, "a2")
    assert plain.visible() == {
        plain.named("database_url"): first["value"],
        plain.named("database_username"): second["username"],
        plain.named("database_password"): second["password"],
    }


def test_staging_shows_nothing(plain: Plain) -> None:
    """A pending value lies in Keyturn's own directory and nowhere else."""
    plain.open().stage("database", pair("a"), "a1")
    assert not (plain.path.exists() and plain.visible())


def test_what_is_kept_is_closed_to_others(plain: Plain) -> None:
    """Directories are 0700 and files 0600, whatever the umask is."""
    current(plain.open(), "database", pair("a"), "a1")
    modes = {path.stat().st_mode & 0o777 for path in plain.root.rglob("*") if path.is_file()}
    directories = {path.stat().st_mode & 0o777 for path in plain.root.rglob("*") if path.is_dir()}
    assert (modes, directories) == ({0o600}, {0o700})
    assert (plain.own / ".gitignore").read_text() == "*\n"


def test_a_field_that_a_version_has_no_more_goes(plain: Plain) -> None:
    """What the former version showed and the current one has not is removed."""
    store, last = plain.open(), one("b")
    current(store, "database", pair("a"), "a1")
    current(store, "database", last, "a2")
    assert plain.visible() == {plain.named("database"): last["value"]}


def test_a_retired_version_leaves_no_content(plain: Plain) -> None:
    """Its content is removed from the disk, and its attempt still tells other bytes apart."""
    store, old = plain.open(), pair("a")
    first = current(store, "database", old, "a1")
    current(store, "database", pair("b"), "a2")
    assert store.retire("database", first)
    assert not [path for path in plain.root.rglob("*") if path.is_file() and f"{CANARY}-a" in path.read_text()]
    assert store.stage("database", old, "a1") == first
    with pytest.raises(Conflict, match="another content"):
        store.stage("database", pair("a"), "a1")


def test_two_names_that_would_be_one_are_a_conflict_at_the_first_write(plain: Plain) -> None:
    """A field of one entry and another entry may have one name between them: the second is refused, whole."""
    store = plain.open()
    store.stage("database", Bundle({"url": "x", "other": "y"}), "a1")
    with pytest.raises(Conflict, match=r"(?i)database_url would be of 'database-url' and of 'database'"):
        store.stage("database-url", one("a"), "a2")
    assert store.names() == ("database",)
    store.retire("database", store.versions("database")[0].id)
    store.stage("database-url", one("a"), "a2")


def test_a_foreign_name_is_taken_as_it_is(plain: Plain) -> None:
    """A name that no manifest gives is not changed; where it cannot stand it is refused."""
    store, bundle = plain.open(), one("a")
    current(store, "POSTGRES_PASSWORD", bundle, "a1")
    assert plain.visible() == {"POSTGRES_PASSWORD": bundle["value"]}
    for name in ("-a", "a b", ".a", "1a=", "a/b"):
        with pytest.raises(InvalidName):
            store.stage(name, one("a"), "a2")
    if plain.kind == "files":
        current(store, "ssl-cert.pem", bundle, "a3")
        assert "ssl-cert.pem" in plain.visible()
        with pytest.raises(InvalidName, match="longer than 255"):
            store.stage("a" * 200, Bundle({"f" * 63: "x", "g": "y"}), "a4")
    else:
        with pytest.raises(InvalidName):
            store.stage("ssl-cert.pem", bundle, "a3")


def test_attempts_and_sizes_are_checked_before_anything_is_made(plain: Plain) -> None:
    """What is refused leaves no file at all."""
    store = plain.open()
    for attempt in ("", "a" * 201, "ä", "a\n"):
        with pytest.raises(InvalidName, match="attempt"):
            store.stage("database", one("a"), attempt)
    text = "x" * 65536
    with pytest.raises(TooLarge, match="split"):
        raise_with_remedy(lambda: store.stage("database", Bundle({f"f{n}": text for n in range(17)}), "a1"))
    assert not list(plain.root.iterdir())


def raise_with_remedy(act: Callable[[], object]) -> None:
    """Raise the same error with its remedy in the message."""
    try:
        act()
    except AdapterError as error:
        raise type(error)(f"{error.message}; {error.remedy}") from None


def test_before_a_content_goes_what_is_left_of_its_copy_goes(plain: Plain) -> None:
    """Retiring puts the copy right first: afterwards nobody could tell that it was ours."""
    store, last = plain.open(), one("b")
    first = current(store, "database", pair("a"), "a1")
    current(store, "database", last, "a2")
    plain.put(plain.named("database_password"), f"{CANARY}-a-p")
    store.retire("database", first)
    assert plain.visible() == {plain.named("database"): last["value"]}


def test_what_keyturn_did_not_write_is_not_overwritten(plain: Plain) -> None:
    """A value that stands there already stops the first write; one that is equal does not."""
    store, bundle = plain.open(), one("a")
    plain.put(plain.named("mail"), "somebody else's")
    with pytest.raises(Conflict, match=rf"{plain.named('mail')}: Keyturn did not write"):
        store.stage("mail", bundle, "a1")
    assert store.names() == ()
    plain.put(plain.named("mail"), f"{CANARY}-a")
    current(store, "mail", bundle, "a1")
    assert store.current("mail") == store.versions("mail")[0].id


def test_a_copy_that_was_changed_is_told_as_foreign_and_left_alone(plain: Plain) -> None:
    """Its version is none of ours, nothing is promoted over it, and with the former value all is as before."""
    store = plain.open()
    version = current(store, "database", pair("a"), "a1")
    store.stage("database", pair("b"), "a2")
    plain.put(plain.named("database_password"), "changed")
    assert store.current("database") == FOREIGN
    assert store.currents() == {"database": FOREIGN}
    assert plain.visible()[plain.named("database_password")] == SecretValue("changed")
    for attempt, expected in (("a1", version), ("a2", version), ("a2", FOREIGN)):
        with pytest.raises(Conflict):
            store.promote("database", attempt, expected)
    with pytest.raises(Conflict, match="did not write"):
        store.stage("database", pair("c"), "a3")
    with pytest.raises(NotFound):
        store.read("database", FOREIGN)
    plain.put(plain.named("database_password"), f"{CANARY}-a-p")
    assert store.current("database") == version


def test_a_copy_that_is_gone_or_old_is_put_right_by_the_next_call(plain: Plain) -> None:
    """What was removed is written again, and a former value of ours gives way to the current one."""
    store, last = plain.open(), pair("b")
    current(store, "database", pair("a"), "a1")
    version = current(store, "database", last, "a2")
    plain.take(plain.named("database_username"))
    plain.put(plain.named("database_password"), f"{CANARY}-a-p")
    assert plain.open().currents() == {"database": version}
    assert plain.visible() == {plain.named(f"database_{field}"): last[field] for field in last}


def test_one_copy_that_was_changed_does_not_hide_the_others(plain: Plain) -> None:
    """All current versions are told, each name for itself."""
    store = plain.open()
    current(store, "database", pair("a"), "a1")
    version = current(store, "mail", one("a"), "a2")
    plain.put(plain.named("database_password"), "changed")
    assert store.currents() == {"database": FOREIGN, "mail": version}


def test_a_copy_of_a_retired_version_that_comes_back_is_left_alone(plain: Plain) -> None:
    """Of a version whose content is gone nobody can tell that it was ours."""
    store = plain.open()
    first = current(store, "database", pair("a"), "a1")
    last = current(store, "database", one("b"), "a2")
    store.retire("database", first)
    plain.put(plain.named("database_password"), f"{CANARY}-a-p")
    assert store.current("database") == last
    assert plain.named("database_password") in plain.visible()


def test_times_and_states_are_told(plain: Plain) -> None:
    """Versions come oldest first, with what became of them."""
    store = plain.open()
    for at in range(3):
        current(store, "database", pair(str(at)), f"a{at}")
    store.retire("database", store.versions("database")[0].id)
    assert [version.state for version in plain.open().versions("database")] == [
        VersionState.RETIRED,
        VersionState.PREVIOUS,
        VersionState.CURRENT,
    ]


def _flipped(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(CANARY.encode(), CANARY.upper().encode()))


SPOILT: dict[str, Callable[[Path], object]] = {
    "flipped": _flipped,
    "gone": lambda path: path.unlink(),
    "no bundle": lambda path: path.write_bytes(b"{}"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_content_that_is_not_what_was_written_is_corrupt(how: str, plain: Plain) -> None:
    """Nothing of it is released, and nothing of it is in the message."""
    store = plain.open()
    version = store.stage("database", pair("a"), "a1")
    SPOILT[how](plain.own / f"{version}.bundle")
    for act in (lambda: store.read("database", version), lambda: store.promote("database", "a1", None)):
        with pytest.raises(Corrupt) as caught:
            act()
        assert CANARY not in str(caught.value).lower()


HISTORIES = {
    "no JSON": b"{",
    "schema": b'{"names":{},"schema":"other"}',
    "no list": b'{"names":{"a":{}},"schema":"keyturn/plain-history/1"}',
    "no version": b'{"names":{"a":[{}]},"schema":"keyturn/plain-history/1"}',
}


@pytest.mark.parametrize("how", HISTORIES)
def test_a_history_that_cannot_be_read_stops_everything(how: str, plain: Plain) -> None:
    """Nothing is guessed, and nothing is written over it."""
    store = plain.open()
    store.stage("database", pair("a"), "a1")
    (plain.own / "history.json").write_bytes(HISTORIES[how])
    for act in (store.names, store.currents, lambda: store.stage("mail", one("a"), "a2")):
        with pytest.raises(Corrupt, match=re.escape("history.json")):
            act()
    assert (plain.own / "history.json").read_bytes() == HISTORIES[how]


@pytest.mark.parametrize("change", ["id", "tag", "fields", "field", "created", "state", "twice"])
def test_a_history_with_one_wrong_entry_is_refused(change: str, plain: Plain) -> None:
    """Ids, tags, fields, times and states have their form, and one version at most is current."""
    store = plain.open()
    version = current(store, "database", one("a"), "a1")
    current(store, "database", one("b"), "a2")
    path = plain.own / "history.json"
    old, new = {
        "id": (version, f"../{version[3:]}"),
        "tag": ('"tag":"', '"tag":"x'),
        "fields": ('["value"]', "[]"),
        "field": ('["value"]', '["../value"]'),
        "created": ('"created":"', '"created":"x'),
        "state": ('"previous"', '"lost"'),
        "twice": ('"previous"', '"current"'),
    }[change]
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(Corrupt):
        store.current("database")


def test_who_waits_too_long_for_another_is_told_whom(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is not let go of is Unavailable, and names its holder."""
    store = plain.open()
    store.stage("database", pair("a"), "a1")
    ticks = iter(range(0, 10**6, 30))
    with FileLock(plain.own / "lock"), monkeypatch.context() as patch:
        patch.setattr("time.monotonic", lambda: float(next(ticks)))
        with pytest.raises(Unavailable, match="locked by process"):
            store.current("database")


def test_a_directory_of_keyturns_own_that_is_open_is_denied(plain: Plain) -> None:
    """Its mode is looked at with every call."""
    store = plain.open()
    store.stage("database", pair("a"), "a1")
    plain.own.chmod(0o750)
    with pytest.raises(Denied, match="0750"):
        store.names()


def test_before_the_first_write_nothing_is_made(plain: Plain) -> None:
    """Asking an empty store leaves no file and no directory."""
    store = plain.open()
    assert (store.names(), store.current("a"), store.versions("a"), store.currents()) == ((), None, (), {})
    assert not list(plain.root.iterdir())


def test_a_place_whose_parent_is_not_there_is_not_made_to_exist(plain: Plain) -> None:
    """A wrong path is an error at the first write."""
    lost = Plain(plain.kind, plain.root / "lost")
    with pytest.raises(NotFound):
        lost.open().stage("database", one("a"), "a1")
    assert not lost.root.exists()


def test_what_fits_is_told_before_anything_is_written(plain: Plain) -> None:
    """A name, a size, a place of another entry or of somebody else: each by its error, and the disk is as it was."""
    store = plain.open()
    store.fits("database", pair("one"))
    assert not plain.own.exists()
    with pytest.raises(InvalidName):
        store.fits("a/b", pair("one"))
    with pytest.raises(TooLarge):
        store.fits("database", Bundle({f"f{n}": "x" * 60_000 for n in range(20)}))
    current(store, "database", pair("one"), "a1")
    with pytest.raises(Conflict):
        store.fits("database-username", one("two"))
    plain.put(plain.named("mail"), "theirs")
    with pytest.raises(Conflict):
        store.fits("mail", one("two"))
    if plain.kind == "env-file":
        with pytest.raises(Unsupported):
            store.fits("database", Bundle({"value": "-----BEGIN X-----\nx\n-----END X-----\n"}))
    assert store.names() == ("database",)
