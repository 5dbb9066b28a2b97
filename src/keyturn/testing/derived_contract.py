"""What every store that carries derived copies must do: `RULES`, each a function that raises where it is not so.

The words are those of `docs/formats/store.md`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple, Protocol

from keyturn.core.derived import Derived, Derives
from keyturn.core.errors import Conflict, Disabled
from keyturn.core.secret import SecretValue
from keyturn.testing.rules import hold, refused

MARKS = ("1" * 64, "2" * 64)


class Other(Protocol):
    """Somebody else who works in the same store, and sees what readers see."""

    def read(self, copy: Derived) -> str | None:
        """What an ordinary reader gets there: the same text for the same content, None where he is turned away."""

    def write(self, copy: Derived, content: SecretValue) -> None:
        """Write there, as somebody who knows nothing of Keyturn."""

    def enabled(self, copy: Derived) -> int:
        """How many versions are not switched off."""

    def disable_newest(self, copy: Derived) -> None:
        """Switch the newest version off."""


class Case(NamedTuple):
    """A store, somebody else at it, a copy that is not there yet, and three contents of its form."""

    store: Derives
    other: Other
    copy: Derived
    contents: tuple[SecretValue, SecretValue, SecretValue]


def _begins(case: Case) -> None:
    hold(case.store.shows(case.copy) is None, "before the first nothing is shown")
    hold(not case.store.shown([case.copy]), "and a list of many has no entry")
    case.store.withdraw(case.copy, "v1")


def _writes(case: Case) -> None:
    case.store.derive(case.copy, "v1", case.contents[0], MARKS[0])
    hold(case.store.shows(case.copy) == "v1", "what was written is shown")
    hold(dict(case.store.shown([case.copy])) == {case.copy: "v1"}, "also in a list of many")
    first = case.other.read(case.copy)
    hold(first is not None, "a stranger can read it")
    case.store.derive(case.copy, "v2", case.contents[1], MARKS[0])
    hold(case.store.shows(case.copy) == "v2", "the newest is what is shown")
    hold(case.other.read(case.copy) not in {None, first}, "and what a stranger gets")


def _repeats(case: Case) -> None:
    for _ in range(2):
        case.store.derive(case.copy, "v1", case.contents[0], MARKS[0])
    once = case.other.enabled(case.copy)
    hold(once == 1, "the same version with the same mark is written once")
    case.store.derive(case.copy, "v1", case.contents[1], MARKS[1])
    hold(case.other.enabled(case.copy) == once + 1, "with another mark it is another content, and written")


def _goes_back(case: Case) -> None:
    for version, content in (("v1", case.contents[0]), ("v2", case.contents[1]), ("v1", case.contents[0])):
        case.store.derive(case.copy, version, content, MARKS[0])
    hold(case.store.shows(case.copy) == "v1", "a former version can be shown again")


def _switches_off(case: Case) -> None:
    case.store.derive(case.copy, "v1", case.contents[0], MARKS[0])
    refused(Conflict, "what is shown is not switched off", case.store.withdraw, case.copy, "v1")
    case.store.derive(case.copy, "v2", case.contents[1], MARKS[0])
    for _ in range(2):
        case.store.withdraw(case.copy, "v1")
    hold(case.other.enabled(case.copy) == 1, "the former one is off, and the newest is not")
    hold(case.other.read(case.copy) is not None, "and can be read")
    case.store.withdraw(case.copy, "v9")


def _keeps_off(case: Case) -> None:
    case.other.write(case.copy, case.contents[2])
    before = case.other.read(case.copy)
    shown = case.store.shows(case.copy)
    hold(shown not in {None, "v1"}, "what somebody else wrote is no version of ours")
    hold(case.copy in case.store.shown([case.copy]), "and is told in a list of many")
    derive = case.store.derive
    refused(Conflict, "his name is not written over", derive, case.copy, "v1", case.contents[0], MARKS[0])
    case.store.withdraw(case.copy, str(shown))
    hold(case.other.read(case.copy) == before and case.other.enabled(case.copy) == 1, "nor what he wrote touched")


def _notices(case: Case) -> None:
    case.store.derive(case.copy, "v1", case.contents[0], MARKS[0])
    case.other.write(case.copy, case.contents[2])
    hold(case.store.shows(case.copy) != "v1", "what somebody else wrote over ours is seen")
    derive = case.store.derive
    refused(Conflict, "and is not buried", derive, case.copy, "v2", case.contents[1], MARKS[0])
    case.store.withdraw(case.copy, "v1")
    hold(case.other.enabled(case.copy) == 1, "our own former one can be switched off under it")


def _tells_views_apart(case: Case) -> None:
    case.store.derive(case.copy, "v1", case.contents[0], MARKS[0])
    for other in (replace(case.copy, view="another-view"), replace(case.copy, of="another-secret")):
        shown = case.store.shows(other)
        hold(shown not in {None, "v1"}, "the copy of another view or secret is somebody else's")
        refused(Conflict, "and is not written over", case.store.derive, other, "v1", case.contents[0], MARKS[0])


def _says_disabled(case: Case) -> None:
    case.store.derive(case.copy, "v1", case.contents[0], MARKS[0])
    case.other.disable_newest(case.copy)
    refused(Disabled, "a newest version that is off is said", case.store.shows, case.copy)
    derive = case.store.derive
    refused(Disabled, "and is a person's turn", derive, case.copy, "v2", case.contents[1], MARKS[0])
    hold(not case.store.shown([case.copy]), "a list of many leaves it out")


RULES: Mapping[str, Callable[[Case], None]] = MappingProxyType(
    {
        "begins empty": _begins,
        "writes": _writes,
        "repeats": _repeats,
        "goes back": _goes_back,
        "switches off": _switches_off,
        "keeps off what is somebody else's": _keeps_off,
        "notices what is written over": _notices,
        "tells views apart": _tells_views_apart,
        "says disabled": _says_disabled,
    }
)
"""The contract, by name."""
