"""The accepted keys of an application, as text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.fallbacks import parsed
from keyturn.core.secret import SecretValue


@given(st.lists(st.text(min_size=1), min_size=1, max_size=16, unique=True))
def test_every_list_of_texts_is_read_as_it_was_written(keys: list[str]) -> None:
    """In its order, whatever characters a key has."""
    written = json.dumps(keys)
    assert parsed(written) == tuple(SecretValue(key) for key in keys)


def test_an_empty_text_is_no_key() -> None:
    """As it stands in a first version."""
    assert parsed("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "former",
        "former,older",
        "[]",
        '["former", ""]',
        '["former", 7]',
        '["former", "former"]',
        '{"former": 1}',
        '["former"',
        json.dumps([str(number) for number in range(17)]),
    ],
)
def test_other_texts_are_refused_without_a_word_of_them(text: str) -> None:
    """A text that is no list is not taken for one key: nobody knows what was meant."""
    with pytest.raises(ValueError, match="not a JSON list of 1 to 16 different keys") as caught:
        parsed(text)
    assert caught.value.__context__ is None
    assert "former" not in str(caught.value)
