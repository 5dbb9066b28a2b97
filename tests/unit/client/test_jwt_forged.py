"""What an attacker sends: no header of a token chooses how it is checked."""

import base64
import hashlib
import hmac
import json
import string
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.client import View
from keyturn.client.adapters.jwt import (
    ClaimWrong,
    KeySet,
    KeyUnknown,
    Malformed,
    SignatureWrong,
    Signer,
    TokenRefused,
    Verifier,
)
from keyturn.client.adapters.jwt.key_set import Version, version_of
from keyturn.core.secret import Bundle
from tests.unit.client.key_place import KeyPlace, Pair, Shared

US: Mapping[str, Any] = {"issuer": "https://clo.example", "audience": "clo-api", "longest_life": 900}
SHARED = Shared("a shared key of 32 bytes, or more", "s1")
LETTERS = string.ascii_letters + string.digits + "-_"


@pytest.fixture(scope="module")
def pair() -> Pair:
    """A key whose public half everybody has."""
    return Pair("RS256")


@pytest.fixture(scope="module")
def keys(pair: Pair) -> Version:
    """Of a service that signs with it, and accepts a shared key as well."""
    return version_of(View("jwt", "v1", Bundle({**pair.pem, "jwks": json.dumps({"keys": both(pair)})})))


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> str:
    """A good one."""
    place = KeyPlace(tmp_path_factory.mktemp("jwt"), "jwt", pair.pem)
    with place.open() as secrets:
        return Signer(KeySet(secrets, "jwt"), **US).sign({"sub": "user-1"})


def both(pair: Pair) -> list[Mapping[str, str]]:
    """An RSA key and a shared one."""
    return [pair.jwk, SHARED.jwk]


def claims(**change: object) -> dict[str, Any]:
    """Good ones, but for what is changed."""
    now = int(time.time())
    return {"iss": US["issuer"], "aud": US["audience"], "iat": now, "exp": now + 60, "sub": "admin", **change}


def letters(content: bytes) -> str:
    """As a token writes bytes."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def made(header: object, content: object, key: bytes = SHARED.text.encode()) -> str:
    """A token with any header and any claims, by HMAC."""
    signed = f"{letters(json.dumps(header).encode())}.{letters(json.dumps(content).encode())}"
    return f"{signed}.{letters(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def refusal(keys: Version, token: object) -> type[TokenRefused] | None:
    """How it is refused, if it is."""
    try:
        Verifier(keys, **US).verify(token)  # type: ignore[arg-type]  # whatever a request held
    except TokenRefused as error:
        return type(error)
    return None


def test_a_token_made_by_the_shared_key_is_good(keys: Version) -> None:
    """So what is refused below is refused for what is changed in it."""
    assert refusal(keys, made({"alg": "HS256", "kid": "s1"}, claims())) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"alg": "HS256"}, KeyUnknown),
        ({"alg": "HS256", "kid": ""}, KeyUnknown),
        ({"alg": "HS256", "kid": None}, Malformed),
        ({"alg": "HS256", "kid": 1}, Malformed),
        ({"alg": "HS256", "kid": ["s1"]}, Malformed),
        ({"alg": "HS256", "kid": "s2"}, KeyUnknown),
        ({"alg": "HS256", "kid": "../s1"}, KeyUnknown),
        ({"alg": "HS256", "kid": "s1\n"}, KeyUnknown),
        ({"alg": "HS256", "kid": "s" * 201}, KeyUnknown),
        ({"alg": "none", "kid": "s1"}, SignatureWrong),
        ({"alg": "None", "kid": "s1"}, SignatureWrong),
        ({"alg": "HS512", "kid": "s1"}, SignatureWrong),
        ({"alg": "RS256", "kid": "s1"}, SignatureWrong),
        ({"alg": ["HS256"], "kid": "s1"}, SignatureWrong),
        ({"kid": "s1"}, SignatureWrong),
        ({"alg": "HS256", "kid": "s1", "crit": ["exp"]}, Malformed),
        ({"alg": "HS256", "kid": "s1", "crit": ["b64"], "b64": False}, Malformed),
        (["HS256"], Malformed),
        ("HS256", Malformed),
    ],
)
def test_a_header_chooses_a_key_and_nothing_else(keys: Version, header: object, expected: type[TokenRefused]) -> None:
    """Not the algorithm, not a rule of its own; and without a known id it chooses nothing."""
    assert refusal(keys, made(header, claims())) is expected


def test_a_public_key_is_no_shared_key(keys: Version, pair: Pair) -> None:
    """RS/HS confusion: the text that everybody has is used as the secret of an HMAC."""
    pem = pair.pem["public_key"].encode()
    forged = [made({"alg": "HS256", "kid": pair.kid}, claims(), key) for key in (pem, pem.strip(), b"")]
    assert {refusal(keys, token) for token in forged} == {SignatureWrong}


def test_a_key_in_the_header_is_not_looked_at(keys: Version) -> None:
    """An attacker's own key, brought along, or named by an address."""
    own = Shared("the key of an attacker, of 32 bytes", "s1")
    for brought in (
        {"jwk": own.jwk},
        {"jku": "https://attacker.example/jwks.json"},
        {"x5u": "https://attacker.example"},
    ):
        token = made({"alg": "HS256", "kid": "s1", **brought}, claims(), own.text.encode())
        assert refusal(keys, token) is SignatureWrong


def test_a_token_without_a_signature_is_refused(keys: Version, token: str) -> None:
    """With its dots, without them, and with an algorithm that says so."""
    header, content, _ = token.split(".")
    none = letters(json.dumps({"alg": "none", "kid": "s1"}).encode())
    tokens = (f"{header}.{content}.", f"{header}.{content}", f"{none}.{content}.", f"{none}.{content}", "", "..", ".")
    assert {refusal(keys, one) for one in tokens} == {Malformed}


def test_no_letter_of_a_token_can_be_another(keys: Version, token: str) -> None:
    """Not even the last one, whose lowest bits say nothing: a token has one spelling, so lists of tokens hold."""
    assert refusal(keys, token) is None
    for at, letter in enumerate(token):
        near = LETTERS[(LETTERS.index(letter) + 1) % 64] if letter in LETTERS else "="
        for other in (near, "=", "\n", "é"):
            assert refusal(keys, token[:at] + other + token[at + 1 :]) is not None


@given(st.one_of(st.none(), st.integers(), st.binary(), st.text(), st.text(alphabet=LETTERS + ".")))
def test_whatever_comes_in_a_request_is_refused_and_nothing_else(keys: Version, token: object) -> None:
    """No other error, which would be answered as a fault of the service."""
    assert refusal(keys, token) is not None


@pytest.mark.parametrize("text", ["[" * 4000, '{"alg":' * 1500, "{}", "null", "7"])
def test_a_header_that_is_no_header_is_refused(keys: Version, text: str) -> None:
    """Deeply nested, or another JSON."""
    assert refusal(keys, f"{letters(text.encode())}.e30.AAAA") in {Malformed, KeyUnknown}


def test_a_token_that_is_too_long_is_not_read(keys: Version) -> None:
    """However good it is."""
    assert refusal(keys, made({"alg": "HS256", "kid": "s1"}, claims(more="x" * 16_384))) is Malformed


@pytest.mark.parametrize(
    "change",
    [
        {"exp": True},
        {"exp": "9999999999"},
        {"exp": None},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": []},
        {"exp": 9_999_999_999},
        {"iat": None},
        {"iat": "1000000000"},
        {"iat": 0},
        {"iat": -1e308},
        {"iss": None},
        {"iss": [US["issuer"]]},
        {"aud": None},
        {"aud": {"clo-api": 1}},
        {"aud": []},
        {"aud": [7]},
        {"sub": 7},
        {"jti": 7},
    ],
)
def test_claims_of_another_form_are_refused(keys: Version, change: Mapping[str, object]) -> None:
    """Signed by the right key: its owner's mistake, or a thief who would like a token without end."""
    assert refusal(keys, made({"alg": "HS256", "kid": "s1"}, claims(**change))) is not None


@pytest.mark.parametrize("name", ["iss", "aud", "iat", "exp"])
def test_a_token_says_by_whom_for_whom_and_how_long(keys: Version, name: str) -> None:
    """What is not there is not ours."""
    left = {key: value for key, value in claims().items() if key != name}
    assert refusal(keys, made({"alg": "HS256", "kid": "s1"}, left)) is ClaimWrong


def test_a_refusal_holds_nothing_of_the_token(keys: Version) -> None:
    """It lands in logs, and others read them."""
    token = made({"alg": "HS256", "kid": "s1"}, claims(iss="the words of an attacker", sub="user-1"))
    with pytest.raises(ClaimWrong) as caught:
        Verifier(keys, **US).verify(token)
    assert "attacker" not in caught.value.message + caught.value.remedy
    assert caught.value.__cause__ is None


def test_two_threads_share_no_refusal(keys: Version) -> None:
    """Each is an object of its own: a traceback that is kept belongs to one request."""
    caught: list[TokenRefused] = []
    for _ in range(2):
        with pytest.raises(SignatureWrong) as one:
            Verifier(keys, **US).verify(made({"alg": "none", "kid": "s1"}, claims()))
        caught.append(one.value)
    assert caught[0] is not caught[1]


def test_a_shared_key_in_place_of_a_private_one_is_known_by_its_kind() -> None:
    """A service with shared keys alone takes no token that says RS256."""
    shared = version_of(View("jwt", "v1", Bundle(SHARED.signs())))
    assert refusal(shared, made({"alg": "RS256", "kid": "s1"}, claims())) is SignatureWrong
    assert refusal(shared, made({"alg": "HS256", "kid": "s1"}, claims())) is None
