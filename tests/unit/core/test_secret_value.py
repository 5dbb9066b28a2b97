"""A value does not leave by accident; each way out that is tried here does show a plain string."""

import asyncio
import copy
import io
import json
import logging
import operator
import pickle
import pprint
import reprlib
import string
import traceback
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.secret import MASK, Bundle, SecretValue

TEXT = "Xk9/canary+of=this%test"
PROOF_KEY = "c0" * 32
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=30)
"""Every string that Python can hold, lone surrogates too."""


@dataclass
class Holder:
    """Somebody's object with a value in it."""

    held: object


def logged(log: Callable[[logging.Logger], None]) -> str:
    """What a logger writes."""
    stream = io.StringIO()
    logger, handler = logging.getLogger("keyturn.canary"), logging.StreamHandler(stream)
    logger.propagate = False
    logger.addHandler(handler)
    log(logger)
    logger.removeHandler(handler)
    return stream.getvalue()


def printed(held: object) -> str:
    """What print writes."""
    stream = io.StringIO()
    print(held, [held], file=stream)
    return stream.getvalue()


def fail(held: object) -> NoReturn:
    """An error that was given the value, from a frame that holds it."""
    kept = [held]
    raise LookupError(*kept)


def raised(held: object) -> Exception:
    """That error, with its traceback."""
    try:
        fail(held)
    except LookupError as error:
        return error


def traced(held: object) -> str:
    """A traceback with the locals of every frame, as some error reporters make it."""
    return "".join(traceback.TracebackException.from_exception(raised(held), capture_locals=True).format())


def logged_error(held: object) -> str:
    """What `logger.exception` writes."""
    error = raised(held)
    return logged(lambda logger: logger.error("failed: %s", held, exc_info=error))


def forgotten(held: object) -> str:
    """What asyncio writes of a task whose error nobody fetched."""
    said: list[str] = []

    async def work() -> None:
        fail(held)

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(repr(context)))
        task = asyncio.ensure_future(work())
        await asyncio.wait([task])
        del task

    asyncio.run(run())
    return "".join(said)


SHOWS: dict[str, Callable[[object], str]] = {
    "repr": repr,
    "ascii": ascii,
    "str": str,
    "format": format,
    "f-string": lambda held: f"{held}|{held!r}|{held!s}|{held!a}",
    "percent": lambda held: "%s %r" % (held, held),  # noqa: UP031 - the way under test
    "str.format": "{0} {0!r}".format,
    "template": lambda held: string.Template("$held").substitute(held=held),
    "print": printed,
    "list": lambda held: f"{[held]} {(held,)} { {'key': held} }",
    "pprint": lambda held: pprint.pformat({"key": [held]}),
    "reprlib": lambda held: reprlib.repr([held]),
    "dataclass": lambda held: repr(Holder(held)),
    "replaced dataclass": lambda held: repr(replace(Holder(None), held=held)),
    "error": lambda held: f"{raised(held)} {raised(held)!r}",
    "traceback with locals": traced,
    "json with a default": lambda held: json.dumps({"key": held}, default=repr),
    "log message": lambda held: logged(lambda logger: logger.error(held)),
    "log argument": lambda held: logged(lambda logger: logger.error("got %s %r", held, held)),
    "log mapping": lambda held: logged(lambda logger: logger.error("got %(key)s", {"key": held})),
    "log error": logged_error,
    "forgotten task": forgotten,
}
REFUSES: dict[str, Callable[[object], object]] = {
    "json": json.dumps,
    "json in a list": lambda held: json.dumps({"key": [held]}),
    **{f"pickle {number}": partial(pickle.dumps, protocol=number) for number in range(6)},
    "pickle in an object": lambda held: pickle.dumps(Holder(held)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy in an object": lambda held: copy.deepcopy(Holder(held)),
    "asdict": lambda held: asdict(Holder(held)),
    "astuple": lambda held: astuple(Holder(held)),
    "hash": hash,
    "set": lambda held: {held},
    "key of a dict": lambda held: {held: 1},
}


def seen(said: object, text: str) -> bool:
    """Whether the text is in it, also as repr or JSON write it."""
    words = said if isinstance(said, str) else repr(said)
    return any(form in words for form in (text, repr(text)[1:-1], json.dumps(text)[1:-1]))


@pytest.mark.parametrize("way", SHOWS)
def test_what_shows_a_string_shows_a_mask(way: str) -> None:
    """Every way in which a string would be written out writes a mask, or a bundle's field names, instead."""
    show = SHOWS[way]
    assert seen(show(TEXT), TEXT)
    assert not seen(show(SecretValue(TEXT)), TEXT)
    bundle = Bundle({"password": TEXT}, PROOF_KEY)
    for hidden in (TEXT, PROOF_KEY):
        assert not seen(show(bundle), hidden)
    assert not seen(show(dict(bundle)), TEXT)


@pytest.mark.parametrize("way", REFUSES)
def test_what_would_carry_a_string_away_is_refused(way: str) -> None:
    """Serialising, copying and hashing work for a string and raise for a value, with nothing of it in the error."""
    carry = REFUSES[way]
    carry(TEXT)
    for held in (SecretValue(TEXT), Bundle({"password": TEXT}, PROOF_KEY)):
        with pytest.raises(TypeError) as refused:
            carry(held)
        assert not any(seen(traced(refused.value), hidden) for hidden in (TEXT, PROOF_KEY))


@pytest.mark.parametrize("held", [SecretValue(TEXT), Bundle({"password": TEXT})], ids=["value", "bundle"])
def test_there_is_no_dictionary_and_no_state_to_read(held: object) -> None:
    """Libraries that walk an object's attributes or ask for its state find neither."""
    with pytest.raises(TypeError):
        vars(held)
    with pytest.raises(TypeError):
        held.__getstate__()


def test_a_format_with_a_width_pads_the_mask() -> None:
    """A table keeps its columns, whatever the value's length."""
    assert f"{SecretValue(TEXT):>10}" == MASK.rjust(10)
    assert repr(SecretValue("")) == repr(SecretValue(TEXT))


@given(ANYTHING)
def test_reveal_gives_the_text(text: str) -> None:
    """The one way out returns exactly what went in."""
    assert operator.eq(SecretValue(text).reveal(), text)


@given(ANYTHING, ANYTHING)
def test_equality_is_that_of_the_texts(one: str, other: str) -> None:
    """Two values are equal exactly when their texts are, whatever characters they have."""
    assert (SecretValue(one) == SecretValue(other)) is (one == other)
    assert SecretValue(one) == SecretValue(one)


def test_a_value_equals_nothing_but_a_value() -> None:
    """Comparing with a plain string is False, so that a test cannot pass by showing one."""
    assert SecretValue(TEXT) != TEXT
    assert SecretValue(TEXT) != TEXT.encode()


def test_an_empty_value_is_false() -> None:
    """As an empty string is."""
    assert not SecretValue("")
    assert SecretValue(" ")
