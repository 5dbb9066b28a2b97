"""The tree of errors: what stands in its documentation is what programs get."""

import re
import traceback
from inspect import getmembers, isclass
from typing import get_args

import pytest

from keyturn.core import errors
from keyturn.core.errors import AdapterError, KeyturnError, NotAvailable, NotFound, Throttled, UsageError, WhatNow

CLASSES: dict[str, type[KeyturnError]] = {
    name: found for name, found in getmembers(errors, isclass) if issubclass(found, KeyturnError)
}
LINE = re.compile(r"^ {4}([ │├└─]*)(\w+)(?: +exit (\d))?(?: +(.*))?$")
INDENT = 4
ASK = "ask"


def tree() -> dict[str, tuple[str, str, str]]:
    """Class to (parent, exit status, what it says) as the module's docstring draws it."""
    drawn: dict[str, tuple[str, str, str]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := LINE.match(line):
            branches, name, status, says = found.groups()
            above = above[: len(branches) // INDENT]
            drawn[name] = (above[-1] if above else "Exception", status or "", says or "")
            above.append(name)
    return drawn


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    """No class is missing there, none is drawn that is not there, and every one hangs where it is drawn."""
    assert {name: parent for name, (parent, _, _) in tree().items()} == {
        name: found.__mro__[1].__name__ for name, found in CLASSES.items()
    }


def test_exit_statuses_are_those_of_the_docstring() -> None:
    """A status stands at the top of each branch and holds for all below it."""
    drawn = tree()
    for name, found in CLASSES.items():
        above = name
        while above in drawn and not drawn[above][1]:
            above = drawn[above][0]
        assert found.exit_status == int(drawn[above][1] if above in drawn else KeyturnError.exit_status), name


def test_what_an_adapter_error_asks_for_is_what_the_docstring_says() -> None:
    """Retry, read back, decide, ask a person or stop; a line that names none says what its parent says."""
    drawn = tree()
    for name, found in CLASSES.items():
        if issubclass(found, AdapterError):
            word = next((word for word in get_args(WhatNow) if drawn[name][2].startswith(word)), None)
            inherited = ASK if found is AdapterError else vars(errors)[found.__mro__[1].__name__].what_now
            assert found.what_now == (word or inherited), name


def test_every_class_has_a_code_of_its_own() -> None:
    """Programs tell errors apart by code: lower-case words, each once."""
    codes = [vars(found)["code"] for found in CLASSES.values()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in {"NotAvailable", "Throttled"}])
def test_an_error_keeps_its_message_and_its_remedy(name: str) -> None:
    """The message is what is printed, the remedy is beside it, or the class's own."""
    told = CLASSES[name]("what happened", "what now")
    assert (str(told), told.message, told.remedy) == ("what happened", "what happened", "what now")
    assert CLASSES[name]("what happened").remedy == CLASSES[name].default_remedy


def test_an_error_without_a_remedy_has_that_of_its_class() -> None:
    """A class may say once what helps against all of its errors."""

    class Jammed(UsageError):
        """With a remedy for all."""

        default_remedy = "open the lid"

    assert Jammed("it is jammed").remedy == "open the lid"
    assert Jammed("it is jammed", "call somebody").remedy == "call somebody"


def test_patience_is_asked_for_in_seconds() -> None:
    """A throttled request says when it may be tried again, and is retried."""
    told = Throttled("slow down", 1.5, "wait")
    assert (told.message, told.retry_after, told.remedy, told.what_now) == ("slow down", 1.5, "wait", "retry")


def test_what_is_not_built_is_said_in_one_sentence() -> None:
    """It names the part, and is an error of the call."""
    told = NotAvailable("the kind redis")
    assert told.message == "the kind redis is not available in this version"
    assert (told.remedy, told.exit_status) == ("keyturn doctor", 2)


def test_a_traceback_says_what_to_do_now() -> None:
    """An application that ends by an error shows the remedy as well as the message."""
    shown = "".join(traceback.format_exception(NotFound("it is not there", "keyturn tick")))
    assert shown.endswith("it is not there\nnow: keyturn tick\n")
    assert "now:" not in "".join(traceback.format_exception(NotFound("it is not there")))
