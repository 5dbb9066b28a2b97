"""Only who holds the proof key of a version can answer for it."""

import hashlib
import hmac
from dataclasses import astuple, fields, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keyturn.core.proof import DRAINED, IN_USE, LABEL, LOADED, Acknowledgement
from keyturn.core.secret import SecretValue

SAID = Acknowledgement("staging", "database", "v1", "host-7-99", "ab" * 16, IN_USE)
HEX = "0123456789abcdef" * 4
KEY, OTHER = SecretValue(HEX), SecretValue("00" * 32)
WORDS = st.lists(st.text(max_size=8), min_size=6, max_size=6)


def test_the_answer_is_the_hmac_of_its_words_with_their_lengths() -> None:
    """Anyone can compute it from the documentation: RFC 2104 over each word after its length in four bytes."""
    message = b""
    for word in (LABEL, "staging", "database", "v1", "host-7-99", "ab" * 16, "in-use"):
        message += len(word).to_bytes(4, "big") + word.encode("ascii")
    assert SAID.proof(KEY) == hmac.new(bytes.fromhex(HEX), message, hashlib.sha256).hexdigest()


def test_the_right_answer_is_proven() -> None:
    """In each of the three states."""
    for state in (LOADED, IN_USE, DRAINED):
        said = replace(SAID, state=state)
        assert said.proven(said.proof(KEY), KEY)


@pytest.mark.parametrize("word", [field.name for field in fields(Acknowledgement)])
def test_an_answer_holds_for_nothing_else(word: str) -> None:
    """With any word changed it is another answer, so none can be used again elsewhere or later."""
    assert not replace(SAID, **{word: "another"}).proven(SAID.proof(KEY), KEY)


def test_an_answer_under_another_key_is_wrong() -> None:
    """Another version's proof key proves nothing, nor do an empty answer, half of one, or one in capitals."""
    assert not SAID.proven(SAID.proof(OTHER), KEY)
    for wrong in ("", SAID.proof(KEY)[:32], SAID.proof(KEY).upper(), SAID.proof(KEY) + "0", "é"):
        assert not SAID.proven(wrong, KEY)


@given(WORDS, WORDS)
def test_two_lists_of_words_never_give_the_same_answer(one: list[str], other: list[str]) -> None:
    """Words that differ only in where one ends and the next begins are told apart."""
    assume(one != other)
    assert Acknowledgement(*one).proof(KEY) != Acknowledgement(*other).proof(KEY)


@given(WORDS, st.integers(0, 4))
def test_a_letter_that_moves_to_the_next_word_changes_the_answer(words: list[str], at: int) -> None:
    """The lengths are part of what is answered."""
    moved = [*words]
    moved[at], moved[at + 1] = words[at] + "x", words[at + 1]
    still = [*words]
    still[at], still[at + 1] = words[at], "x" + words[at + 1]
    assert "".join(moved) == "".join(still)
    assert Acknowledgement(*moved).proof(KEY) != Acknowledgement(*still).proof(KEY)


def test_the_key_is_not_in_what_is_said() -> None:
    """What travels is the answer and the words."""
    assert HEX not in SAID.proof(KEY) + "".join(astuple(SAID))
