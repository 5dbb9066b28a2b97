"""A key set as JSON."""

import json

import pytest

from keyturn.core.key_sets import listed, shared
from keyturn.core.secret import SecretValue


def test_what_a_set_lists_is_given_as_it_stands_there() -> None:
    """Whatever it is; who reads it says what is usable."""
    assert listed(b'{"keys": [{"kty": "oct"}, 7], "more": 1}') == ({"kty": "oct"}, 7)


@pytest.mark.parametrize("text", ["", "former", "[]", '{"keys": "former"}', '{"keys"', '{"keys": [], "keys": []}'])
def test_another_text_is_no_set(text: str) -> None:
    """In words that hold nothing of it."""
    with pytest.raises(ValueError, match="no key set") as caught:
        listed(text.encode())
    assert caught.value.__context__ is None


def test_shared_keys_are_found_as_they_are_written_and_as_they_are_used() -> None:
    """What is no text in the end is given as it is written."""
    keys = [{"k": "Zm9ybWVyIGtleQ"}, {"k": "_w"}, {"k": "a"}, {"k": 7}, {"kty": "EC", "x": "AA"}, "key"]
    found = shared(json.dumps({"keys": keys}))
    assert found == tuple(SecretValue(text) for text in ("Zm9ybWVyIGtleQ", "former key", "_w", "a"))
