"""From Azure's versions to Keyturn's, without any server."""

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.core.errors import Corrupt, Unsupported
from keyturn.core.key_vault import mark_of
from keyturn.core.secret import Bundle, SecretValue
from keyturn.core.version import VersionState
from keyturn.stores.azure_key_vault.entries import (
    Copy,
    Entry,
    copies_of,
    copy_of,
    next_seq,
    opened,
    state_of,
    tags_again,
    tags_of,
    versions_of,
)
from keyturn.stores.azure_key_vault.names import sibling
from keyturn.stores.azure_key_vault.whose import Whose

NAME = "database"
START = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
MARK = "a" * 64


def _entry(  # noqa: PLR0913 - each test names the two or three that matter to it
    id_: str, attempt: str = "", seq: int = 1, *, at: int = 0, enabled: bool = True, pending: bool = False
) -> Entry:
    tags = tags_of(NAME, attempt, seq, MARK) if attempt else {}
    return Entry(sibling(NAME) if pending else NAME, id_, enabled, START + timedelta(seconds=at), tags)


def _ids(*entries: Entry, newest: str | None = None) -> list[tuple[str, VersionState]]:
    return [(version.id, version.state) for version in versions_of(copies_of(entries, NAME), newest)]


def test_our_tags_fit_azure() -> None:
    """A copy has five tags, none longer than the 256 characters of Azure, whatever the names and the attempt."""
    tags = tags_of("x" * 115, "y" * 200, 10**14, MARK) | Whose("s" * 63, "e" * 63).tag
    assert len(tags) == 5
    assert all(len(text) <= 256 for pair in tags.items() for text in pair)


def test_all_copies_of_an_attempt_are_one_version() -> None:
    """The pending copy, the promoted one and a duplicate that came late are one version, and its id is the attempt."""
    copies = (_entry("p", "one", pending=True), _entry("m", "one"), _entry("late", "one", at=9))
    assert _ids(*copies, newest="late") == [("one", VersionState.CURRENT)]
    assert _ids(*copies, newest="m") == [("one", VersionState.CURRENT)]


@pytest.mark.parametrize(
    ("entries", "newest", "state"),
    [
        ((_entry("p", "one", pending=True),), None, VersionState.PENDING),
        ((_entry("p", "one", pending=True), _entry("m", "one")), "m", VersionState.CURRENT),
        ((_entry("p", "one", pending=True), _entry("m", "one")), "other", VersionState.PREVIOUS),
        ((_entry("m", "one"),), None, VersionState.PREVIOUS),
        ((_entry("p", "one", pending=True, enabled=False),), None, VersionState.RETIRED),
        ((_entry("p", "one", pending=True, enabled=False), _entry("m", "one")), "x", VersionState.RETIRED),
        ((_entry("p", "one", pending=True), _entry("m", "one", enabled=False)), "x", VersionState.RETIRED),
        ((_entry("p", "one", pending=True, enabled=False), _entry("m", "one")), "m", VersionState.CURRENT),
        ((_entry("same", "one", pending=True),), "same", VersionState.PENDING),
    ],
)
def test_states(entries: tuple[Entry, ...], newest: str | None, state: VersionState) -> None:
    """The newest of the name itself is current; one disabled copy retires any other version, half a retire too."""
    assert state_of(copies_of(entries, NAME), newest) is state


def test_order_is_by_number_and_not_by_time() -> None:
    """Three versions of one second come in the order of their numbers, however Azure lists them."""
    entries = (_entry("c", "three", 3), _entry("a", "one", 1), _entry("b", "two", 2))
    assert [id_ for id_, _ in _ids(*entries)] == ["one", "two", "three"]
    backwards = (_entry("b", "two", 2, at=-60), _entry("a", "one", 1))
    assert [id_ for id_, _ in _ids(*backwards)] == ["one", "two"]


def test_one_number_for_two_attempts_keeps_an_order() -> None:
    """Two writers that took the same number at once are told apart by time, then by attempt, always alike."""
    entries = (_entry("b", "two", 1), _entry("a", "one", 1), _entry("c", "early", 1, at=-1))
    assert [id_ for id_, _ in _ids(*entries)] == ["early", "one", "two"]
    assert [id_ for id_, _ in _ids(*reversed(entries))] == ["early", "one", "two"]


def test_a_foreign_version_stands_where_its_time_puts_it() -> None:
    """A version without our tags has Azure's id behind a prefix, and comes before the first of ours that is later."""
    entries = (_entry("z", "two", 2, at=20), _entry("f2", at=99), _entry("f1", at=10), _entry("a", "one", 1))
    assert [id_ for id_, _ in _ids(*entries)] == ["one", "azure:f1", "two", "azure:f2"]
    (foreign,) = versions_of(copies_of([_entry("f1")], NAME), "f1")
    assert (foreign.attempt, foreign.state) == ("azure:f1", VersionState.CURRENT)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"owner": "somebody"},
        tags_of("another", "one", 1, MARK),
        tags_of(NAME, "one", 1, "short"),
        tags_of(NAME, "o n e", 1, MARK),
        tags_of(NAME, "", 1, MARK),
        tags_of(NAME, "one", -1, MARK),
        tags_of(NAME, "azure:", 1, MARK),
        {"kt-op": "one"},
        {"kt-op": "azure:abc", "kt-for": "another"},
    ],
)
def test_tags_that_do_not_all_fit_are_foreign(tags: dict[str, str]) -> None:
    """Tags that were copied from another name, cut or made up are not ours."""
    copy = copy_of(Entry(NAME, "id", enabled=True, created=START, tags=tags), NAME)
    assert copy.foreign
    assert copy.version == "azure:id"


def test_tags_are_ours_whatever_case_the_name_has() -> None:
    """The vault does not tell cases apart, so the name in a tag may be written otherwise."""
    entry = Entry(NAME, "id", enabled=True, created=START, tags=tags_of("DataBase", "one", 7, MARK))
    assert copy_of(entry, NAME) == Copy(entry, "one", 7, MARK)


def test_another_copy_of_a_foreign_version_is_that_version() -> None:
    """A foreign version that is promoted again keeps its id, and its place, by the tag of the copy."""
    original = copy_of(_entry("f1"), NAME)
    again = Entry(NAME, "new", enabled=True, created=START + timedelta(seconds=9), tags=tags_again(original, NAME))
    entries = (_entry("a", "one", 1, at=5), again, original.entry)
    assert _ids(*entries, newest="new") == [("azure:f1", VersionState.CURRENT), ("one", VersionState.PREVIOUS)]


def test_another_copy_of_ours_bears_the_same_tags() -> None:
    """Attempt, number and mark go with the content."""
    copy = copy_of(_entry("a", "one", 4), NAME)
    assert tags_again(copy, NAME) == tags_of(NAME, "one", 4, MARK)


def test_what_a_stranger_put_into_the_sibling_is_nobodys() -> None:
    """A foreign entry in the sibling is no pending version."""
    assert copies_of([_entry("f", pending=True)], NAME) == ()


def test_numbers_go_on_behind_the_highest() -> None:
    """The next number is one above all that were seen; foreign versions have none."""
    assert next_seq(()) == 1
    assert next_seq(copies_of([_entry("f"), _entry("a", "one", 3), _entry("b", "two", 12)], NAME)) == 13


def test_a_mark_belongs_to_one_content() -> None:
    """The mark differs for other fields and for another proof key, and tells nothing without the content."""
    one = Bundle({"password": "pass-word-one"})
    same = Bundle({"password": "pass-word-one"}, one.proof_key.reveal())
    assert mark_of(one) == mark_of(same)
    assert mark_of(one) != mark_of(Bundle({"password": "pass-word-one"}))
    assert mark_of(one) != mark_of(Bundle({"password": "pass-word-two"}, one.proof_key.reveal()))


def _sealed(bundle: Bundle) -> SecretValue:
    return SecretValue(bytes.decode(bundle.reveal()))


def test_content_comes_out_as_it_was() -> None:
    """What Keyturn wrote and marked is opened."""
    bundle = Bundle({"password": "pass-word"})
    copy = copy_of(Entry(NAME, "a", enabled=True, created=START, tags=tags_of(NAME, "one", 1, mark_of(bundle))), NAME)
    assert opened(_sealed(bundle), copy, NAME) == bundle


@pytest.mark.parametrize(
    "text", [_sealed(Bundle({"password": "other"})), SecretValue("no bundle"), SecretValue("\ud800")]
)
def test_another_content_under_our_tags_is_corrupt(text: SecretValue) -> None:
    """Tags that were carried over to another value do not make it ours, and nothing of it is released."""
    with pytest.raises(Corrupt) as caught:
        opened(text, copy_of(_entry("a", "one"), NAME), NAME)
    assert caught.value.__context__ is None


def test_a_plain_foreign_value_names_the_way_in() -> None:
    """A value that somebody else wrote is no bundle: the remedy is to import it, and it is in no message."""
    with pytest.raises(Unsupported) as caught:
        opened(SecretValue("hunter2"), copy_of(_entry("f"), NAME), NAME)
    assert "keyturn import" in caught.value.remedy
    assert "hunter2" not in f"{caught.value!r} {caught.value.remedy}"
    assert caught.value.__context__ is None


def test_a_foreign_bundle_is_opened() -> None:
    """A bundle that a person copied in without tags is readable."""
    bundle = Bundle({"password": "pass-word"})
    assert opened(_sealed(bundle), copy_of(_entry("f"), NAME), NAME) == bundle
