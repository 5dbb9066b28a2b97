"""SCRAM verifiers against the vectors of the RFCs."""

import hashlib
import hmac
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.errors import Unsupported
from keyturn.core.secret import SecretValue
from keyturn.system.scram import is_verifier, verifier

RFC_7677 = {
    "password": "pencil",
    "salt": "W22ZaJ0SNY7soEsUEjb6gQ==",
    "auth": "n=user,r=rOprNGfwEbeRWgbNEkqO,"
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    "proof": "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "signature": "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
}
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=80)


def test_rfc_7677_exchange() -> None:
    """The verifier of the RFC's password accepts the RFC's client proof and gives its server signature."""
    text = verifier(SecretValue(RFC_7677["password"]), b64decode(RFC_7677["salt"]), 4096)
    stored, server = (b64decode(part) for part in text.rsplit("$", 1)[1].split(":"))
    message = RFC_7677["auth"].encode()
    signature = hmac.digest(stored, message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(b64decode(RFC_7677["proof"]), signature, strict=True))
    assert hashlib.sha256(client_key).digest() == stored
    assert hmac.digest(server, message, "sha256") == b64decode(RFC_7677["signature"])


@given(PRINTABLE)
def test_shape(password: str) -> None:
    """Every printable ASCII password gives a verifier that PostgreSQL takes for one, salted anew each time."""
    one, two = verifier(SecretValue(password), iterations=4096), verifier(SecretValue(password))
    assert is_verifier(one)
    assert one != two
    assert one.startswith("SCRAM-SHA-256$4096:")


@given(PRINTABLE, st.data())
def test_damaged_verifier_is_noticed(password: str, data: st.DataObject) -> None:
    """A verifier that lost or gained a character is told from a whole one, before it becomes a password."""
    whole = verifier(SecretValue(password))
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert not is_verifier(whole[:cut])
    assert not is_verifier(whole[:cut] + whole[cut + 1 :]) or whole[cut] in "4096"
    assert not is_verifier(whole + "\n")


@pytest.mark.parametrize("byte", [*range(0x20), *range(0x7F, 0x100)])
def test_refuses_what_saslprep_could_change(byte: int) -> None:
    """A control character or anything beyond ASCII is refused, whichever byte it is, and not shown."""
    with pytest.raises(Unsupported) as caught:
        verifier(SecretValue(f"pass{chr(byte)}word"))
    assert "word" not in caught.value.message.replace("password", "")


def test_refuses_nothing() -> None:
    """An empty password is refused: PostgreSQL would store none."""
    with pytest.raises(Unsupported):
        verifier(SecretValue(""))
