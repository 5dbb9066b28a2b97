"""The recovery code survives paper: it is read as people copy it, and a slip is noticed."""

import random
from collections.abc import Iterator
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.errors import Denied
from keyturn.core.secret import SecretValue
from keyturn.stores.local.recovery_code import ALPHABET, CODE_BYTES, fresh_code, read_code, write_code
from tests.values import matches

ZERO = SecretValue("00000-00000-00000-00000-00000-00000-00000-00000-MKKFK")


def typed(text: str) -> list[SecretValue]:
    """A code in the ways that people type it."""
    ways = [text, text.lower(), text.replace("-", ""), f" {text.replace('-', ' ')}\n", text.replace("1", "l")]
    return [SecretValue(way) for way in (*ways, text.replace("0", "O").replace("1", "i"))]


def slips(hyphened: str, draw: random.Random) -> Iterator[SecretValue]:
    """A code with each single wrong character, and with each swap of neighbours."""
    text = hyphened.replace("-", "")
    for at, right in enumerate(text):
        wrong = draw.choice([character for character in ALPHABET if character != right])
        yield SecretValue(text[:at] + wrong + text[at + 1 :])
    for at in range(len(text) - 1):
        swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        if swapped != text:
            yield SecretValue(swapped)


@given(st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES))
def test_every_code_reads_back(raw: bytes) -> None:
    """Any 25 bytes come back from their code, also in lower case, without hyphens, with blanks and look-alikes."""
    for way in typed(write_code(raw).reveal()):
        assert read_code(way) == raw


def test_the_coding_is_the_written_one() -> None:
    """Zero bytes have the code that docs/formats/vault.md gives as its example."""
    assert write_code(bytes(CODE_BYTES)) == ZERO


def test_a_code_has_nine_groups_and_is_random() -> None:
    """Nine groups of five characters, no two codes alike."""
    codes = [fresh_code() for _ in range(50)]
    assert not any(one == other for one, other in combinations(codes, 2))
    for code in codes:
        assert matches(code, f"[{ALPHABET}]{{5}}(-[{ALPHABET}]{{5}}){{8}}")


def test_a_mistyped_code_is_told_apart() -> None:
    """Each single wrong character, and each swap of neighbours, is Denied without asking the vault."""
    draw = random.Random(11)  # noqa: S311 - the same code each time
    tried = 0
    for slip in slips(write_code(draw.randbytes(CODE_BYTES)).reveal(), draw):
        tried += 1
        with pytest.raises(Denied, match="mistyped"):
            read_code(slip)
    assert tried > 45


@pytest.mark.parametrize(
    "text", ["", "-", "0" * 44, "0" * 46, "U" * 45, "é" * 45, "\N{ROMAN NUMERAL ONE}" * 45, "0" * 99]
)
def test_anything_else_is_not_a_code(text: str) -> None:
    """Another length, or a character that no code has, is Denied, and the message holds none of it."""
    with pytest.raises(Denied, match="not a recovery code") as refusal:
        read_code(SecretValue(text))
    assert not text or text == "-" or text not in refusal.value.message
