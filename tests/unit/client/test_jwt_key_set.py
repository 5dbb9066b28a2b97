"""The bundle of a key set: what it may look like, and what is refused before anything is signed with it."""

import json
from collections.abc import Callable, Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from keyturn.client import View
from keyturn.client.adapters.jwt.key_set import version_of
from keyturn.client.adapters.jwt.keys import from_jwk
from keyturn.core.errors import Corrupt, NotFound
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.jwt import Options
from keyturn.rotators.jwt.keys import minted
from tests.unit.client.key_place import Pair, Shared, key_set

SHARED = Shared("a shared key of 32 bytes, or more", "s1")
EC = Pair("ES256")
OTHER = Pair("ES256")
SECRET_TABLE = {"kind": "jwt", "owner": "a@example.com", "purpose": "tokens", "store": "main"}


def view(fields: Mapping[str, str]) -> View:
    """A version of the secret `jwt`."""
    return View("jwt", "v1", Bundle(fields))


def listed(*keys: object) -> str:
    """A set of these."""
    return json.dumps({"keys": list(keys)})


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes = b"") -> str:
    """A private key as text."""
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock).decode()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA", "HS256"])
def test_what_provision_makes_is_what_applications_read(algorithm: str) -> None:
    """A first version of the kind `jwt`: one key signs, and is the one that is accepted."""
    options = Options.model_validate({**SECRET_TABLE, "target": {"algorithm": algorithm, "token_life": "15m"}})
    bundle = minted(options)
    found = version_of(View("jwt", "v1", bundle))
    assert found.signing is not None
    assert (found.signing.algorithm, list(found.accepted)) == (algorithm, [found.signing.kid])


@pytest.mark.parametrize(
    "fields",
    [
        {"private_key": "none"},
        {"private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"},
        {"private_key": pem(ec.generate_private_key(ec.SECP384R1()))},
        {"private_key": pem(ec.generate_private_key(ec.SECP256R1()), b"passphrase")},
        {"private_key": pem(rsa.generate_private_key(65_537, 1024))},  # noqa: S505 - too short on purpose
        {"private_key": EC.pem["public_key"]},
        {**EC.pem, "public_key": OTHER.pem["public_key"]},
        {**EC.pem, "public_key": "none"},
        {**EC.pem, "public_key": EC.pem["private_key"]},
        {**EC.pem, "kid": "two words"},
        {**EC.pem, "kid": "k" * 201},
        {**EC.pem, "kid": "k1", "jwks": key_set(EC)},
        {**EC.pem, "jwks": key_set(OTHER)},
        {**EC.pem, "jwks": listed()},
        {**EC.pem, "jwks": listed({**OTHER.jwk, "kid": EC.kid})},
        {**EC.pem, "jwks": listed(EC.jwk, {**OTHER.jwk, "kid": EC.kid})},
        {**EC.pem, "jwks": listed(EC.jwk, EC.jwk)},
        {**EC.pem, "jwks": listed(EC.jwk, {**OTHER.jwk, "alg": "ES512"})},
        {**EC.pem, "jwks": listed(EC.jwk, {"kty": "oct", "k": "c2hvcnQ", "kid": "s1"})},
        {**EC.pem, "jwks": listed(EC.jwk, {**SHARED.jwk, "k": "§§§§"})},
        {**EC.pem, "jwks": listed(EC.jwk, {name: text for name, text in OTHER.jwk.items() if name != "kid"})},
        {**EC.pem, "jwks": listed(EC.jwk, "key")},
        {**EC.pem, "jwks": "[]"},
        {**EC.pem, "jwks": '{"keys": {}}'},
        {**EC.pem, "jwks": "none"},
        {"jwks": listed({**EC.jwk, "x": "AAAA"})},
        {"public_key": pem(ec.generate_private_key(ec.SECP256R1()))},
        {"secret_key": SHARED.text},
        {"secret_key": "short", "kid": "s1"},
        {"secret_key": SHARED.text, "kid": "s2", "jwks": key_set(SHARED)},
        {"secret_key": "another shared key of 32 bytes, or more", "kid": "s1", "jwks": key_set(SHARED)},
        {**EC.pem, "secret_key": SHARED.text},
    ],
)
def test_a_set_that_contradicts_itself_is_refused(fields: Mapping[str, str]) -> None:
    """In words that hold nothing of a key."""
    with pytest.raises(Corrupt) as caught:
        version_of(view(fields))
    shown = caught.value.message + caught.value.remedy
    assert "shared key of" not in shown
    assert "BEGIN" not in shown
    assert caught.value.__context__ is None


@pytest.mark.parametrize("fields", [{"value": "x"}, {"private_key": "", "kid": "k1"}, {"jwks": listed()}])
def test_a_secret_without_keys_is_none_of_tokens(fields: Mapping[str, str]) -> None:
    """An empty field counts as missing."""
    with pytest.raises(NotFound, match="has no keys"):
        version_of(view(fields))


def test_a_fields_line_breaks_do_not_matter() -> None:
    """Two programs write PEM differently."""
    written = {name: text.replace("\n", "\r\n") for name, text in EC.pem.items()}
    assert version_of(view(written)).signing is not None


def test_a_key_of_the_guide_is_read() -> None:
    """`openssl genrsa` writes PKCS#1 or PKCS#8, by its age."""
    key = rsa.generate_private_key(65_537, 2048)
    old = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    found = version_of(view({"private_key": old, "public_key": public}))
    assert found.signing is not None
    assert found.signing.algorithm == "RS256"


def test_members_that_nobody_knows_are_let_be() -> None:
    """RFC 7517, section 4: a later version may add some."""
    assert from_jwk({**EC.jwk, "x5t": "AAAA", "iat": 1}) == from_jwk(EC.jwk)


@pytest.mark.parametrize(
    "change",
    [
        lambda key: {**key, "use": "enc"},
        lambda key: {**key, "key_ops": ["sign"]},
        lambda key: {**key, "key_ops": "verify"},
        lambda key: {**key, "alg": "RS256"},
        lambda key: {**key, "alg": "none"},
        lambda key: {**key, "alg": None},
        lambda key: {**key, "kty": ["EC"]},
        lambda key: {**key, "crv": "P-384"},
        lambda key: {**key, "kid": 7},
        lambda key: {**key, "x": 7},
        lambda key: {**key, "x": key["y"]},
        lambda key: {**key, "x": "é"},
        lambda key: [key],
    ],
)
def test_a_key_for_something_else_is_no_key_of_tokens(change: Callable[[Mapping[str, str]], object]) -> None:
    """Encryption, signing alone, another algorithm or curve, a point that is not on it."""
    assert from_jwk(EC.jwk) is not None
    assert from_jwk(change(EC.jwk)) is None
