"""The recovery code survives paper: it is read as people copy it, and a slip is noticed."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.errors import Denied
from keyturn.core.secret import SecretValue
from keyturn.stores.local.recovery_code import ALPHABET, CODE_BYTES, fresh_code, read_code, write_code

ZERO = SecretValue("00000-00000-00000-00000-00000-00000-00000-00000-MKKFK")


@given(st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES))
def test_every_code_reads_back(raw: bytes) -> None:
    """Any 25 bytes come back from their code, also in lower case, without hyphens, with blanks and look-alikes."""
    code = write_code(raw)
    text = code.reveal()
    assert read_code(code) == raw
    for typed in (text.lower(), text.replace("-", ""), f" {text.replace('-', ' ')}\n", text.replace("1", "l")):
        assert read_code(SecretValue(typed)) == raw
    assert read_code(SecretValue(text.replace("0", "O").replace("1", "i"))) == raw


def test_the_coding_is_the_written_one() -> None:
    """Zero bytes have the code that docs/formats/vault.md gives as its example."""
    assert write_code(bytes(CODE_BYTES)) == ZERO


def test_a_code_has_nine_groups_and_is_random() -> None:
    """Nine groups of five characters, no two codes alike."""
    codes = {fresh_code().reveal() for _ in range(50)}
    assert len(codes) == 50
    for code in codes:
        assert [len(group) for group in code.split("-")] == [5] * 9
        assert set(code) <= {*ALPHABET, "-"}


def test_a_mistyped_code_is_told_apart() -> None:
    """Each single wrong character, and each swap of neighbours, is Denied without asking the vault."""
    draw = random.Random(11)  # noqa: S311 - the same code each time
    text = write_code(draw.randbytes(CODE_BYTES)).reveal().replace("-", "")
    for at, right in enumerate(text):
        wrong = draw.choice([character for character in ALPHABET if character != right])
        with pytest.raises(Denied, match="mistyped"):
            read_code(SecretValue(text[:at] + wrong + text[at + 1 :]))
    for at in range(len(text) - 1):
        swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        if swapped != text:
            with pytest.raises(Denied, match="mistyped"):
                read_code(SecretValue(swapped))


@pytest.mark.parametrize(
    "text", ["", "-", "0" * 44, "0" * 46, "U" * 45, "é" * 45, "\N{ROMAN NUMERAL ONE}" * 45, "0" * 99]
)
def test_anything_else_is_not_a_code(text: str) -> None:
    """Another length, or a character that no code has, is Denied, and the message holds none of it."""
    with pytest.raises(Denied, match="not a recovery code") as refusal:
        read_code(SecretValue(text))
    assert not text or text == "-" or text not in refusal.value.message
