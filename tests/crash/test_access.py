"""Each law over the list of requests finds what it is there for, and says nothing of a good day."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.crash.access import TAGS, Access, Laws

NAME, WAITING = "database", "database--kt-pending"


def write(entry: str, attempt: str, made: str, **other: object) -> Access:
    """A version is written."""
    tags = {**dict.fromkeys(TAGS, "x"), "kt-op": attempt, "kt-for": NAME}
    said = Access("PUT", f"/secrets/{entry}", content=True, tags=tags, enabled=True, made=made)
    return replace(said, **other)  # type: ignore[arg-type] # what a test changes of it


def off(entry: str, made: str, **other: object) -> Access:
    """A version is switched off."""
    said = Access("PATCH", f"/secrets/{entry}/{made}", content=True, enabled=False, made=made)
    return replace(said, **other)  # type: ignore[arg-type] # as above


def look(entry: str, version: str = "versions", **other: object) -> Access:
    """A list, or a version, is read."""
    return replace(Access("GET", f"/secrets/{entry}/{version}"), **other)  # type: ignore[arg-type] # as above


ONE = (
    look(NAME),
    look(WAITING),
    write(WAITING, "one", "w1"),
    look(WAITING, "w1"),
    look(NAME),
    write(NAME, "one", "m1"),
)
TWO = (look(WAITING), write(WAITING, "two", "w2"), look(WAITING, "w2"), write(NAME, "two", "m2"))
GOOD = (*ONE, *TWO, look(NAME, "m1"), off(NAME, "m1"), off(WAITING, "w1"))


def test_a_good_day_breaks_no_law() -> None:
    """Staged in the sibling, promoted, retired by every copy: nothing is said, and what was current is known."""
    laws = Laws(NAME)
    assert not list(laws.broken((Access("GET", "/secrets"), *GOOD)))
    assert not list(laws.left_on("two"))
    assert laws.promoted == ["one", "two"]


def test_what_was_not_answered_may_be_sent_again_after_a_look() -> None:
    """A lost write that is looked for and not there is sent again; one that the vault refused needs no look."""
    lost = write(WAITING, "one", "", effect=0, told=0)
    throttled = write(WAITING, "one", "", effect=0, told=429)
    assert not list(Laws(NAME).broken((lost, look(WAITING), throttled, *ONE[2:])))


BAD: dict[str, tuple[Sequence[Access], str]] = {
    "a value to who asks": ((write(WAITING, "one", "w1", signed=False, effect=401, told=401),), "without a token"),
    "an answer to a stranger": ((look(NAME, "m1", signed=False, content=False),), "answered without a token"),
    "a deletion": ((*GOOD, Access("DELETE", f"/secrets/{WAITING}")), "ever deleted"),
    "a purge": ((*GOOD, Access("DELETE", f"/deletedsecrets/{WAITING}")), "ever deleted"),
    "a secret of somebody else": ((look("smtp"),), "no entry of the rotation"),
    "all secrets once there is one of ours": ((*ONE, Access("GET", "/secrets")), "no entry of the rotation"),
    "a retry without a look": (
        (write(WAITING, "one", "", effect=0, told=0), write(WAITING, "one", "w1")),
        "without a look between",
    ),
    "an answer of 500 that was lost": (
        (write(WAITING, "one", "w1", told=500), write(WAITING, "one", "w2")),
        "without a look between",
    ),
    "a switch-off without a look": (
        (*ONE, *TWO, off(NAME, "m1", effect=0, told=503), off(NAME, "m1")),
        "without a look between",
    ),
    "a look that was not answered": (
        (*ONE[:2], write(WAITING, "one", "", effect=0, told=0), look(WAITING, fault="HTML"), *ONE[2:3]),
        "without a look between",
    ),
    "a duplicate in the sibling": ((*ONE, *TWO, look(WAITING), write(WAITING, "one", "w3")), "there already"),
    "a duplicate in the name": ((*ONE, look(NAME), write(NAME, "one", "m2")), "there already"),
    "promoted, never staged": ((look(NAME), write(NAME, "one", "m1")), "never pending"),
    "written without tags": ((write(WAITING, "one", "w1", tags={"kt-op": "one"}),), "without Keyturn's tags"),
    "written for another name": (
        (write(WAITING, "one", "w1", tags={**dict.fromkeys(TAGS, "x"), "kt-for": "smtp"}),),
        "without Keyturn's tags",
    ),
    "pending and disabled": ((write(WAITING, "one", "w1", enabled=False),), "switched off"),
    "the current one off": ((*ONE, off(NAME, "m1")), "current version was switched off"),
    "a retired one on again": ((*GOOD, off(NAME, "m1", enabled=True)), "only ever switched off"),
    "tags changed": ((*GOOD, off(NAME, "m1", tags={"kt-op": "two"})), "only ever switched off"),
    "the newest off without its id": ((*GOOD, off(NAME, "")), "only ever switched off"),
    "a retired one read": ((*GOOD, look(WAITING, "w1")), "retired version was read"),
    "the other copy of a retired one read": ((*ONE, *TWO, off(NAME, "m1"), look(WAITING, "w1")), "retired version"),
}


@pytest.mark.parametrize("day", BAD)
def test_each_law_finds_what_breaks_it(day: str) -> None:
    """Nothing is found before the last request of a bad day, and what is wrong with that one is said."""
    accesses, sentence = BAD[day]
    assert not list(Laws(NAME).broken(accesses[:-1]))
    assert any(sentence in said for said in Laws(NAME).broken(accesses))


def test_half_a_retire_is_found_when_nothing_is_open_any_more() -> None:
    """A copy that still can be read is named with its attempt and its entry."""
    laws = Laws(NAME)
    assert not list(laws.broken(GOOD[:-1]))
    assert list(laws.left_on("two")) == [f"a copy of one in {WAITING} was not switched off"]
