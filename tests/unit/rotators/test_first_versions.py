"""First versions that are right by themselves, and bundles that are completed from what a person brings."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from keyturn.core.errors import UsageError
from keyturn.core.kinds import KINDS, begins, mints
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds import app_key, jwt
from keyturn.rotators.app_key.key import completed as completed_key
from keyturn.rotators.app_key.key import minted as minted_key
from keyturn.rotators.jwt.keys import completed, minted
from tests.values import matches, reads

WHO = {"owner": "ops", "purpose": "tokens", "consumers": ("api",)}
PAIRS = ("RS256", "ES256", "EdDSA")


def options(algorithm: str) -> jwt.Options:
    """A table of kind jwt."""
    target = {"algorithm": algorithm, "token_life": "1h"}
    return jwt.Options.model_validate({"kind": "jwt", "target": target, **WHO})


def pem(key: Any) -> str:
    """A private key as openssl writes it."""
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode()


def members(bundle: Bundle) -> dict[str, str]:
    """The one key of the set."""
    (key,) = json.loads(bundle["jwks"].reveal())["keys"]
    found: dict[str, str] = key
    return found


@pytest.fixture(scope="module")
def brought() -> str:
    """A key of 2,048 bits, as the guide makes it."""
    return pem(rsa.generate_private_key(65537, 2048))


@pytest.mark.parametrize("algorithm", [*PAIRS, "HS256"])
def test_a_made_key_set_has_the_fields_of_its_kind_and_names_one_key(algorithm: str) -> None:
    """Every field that the manifest promises is there, and the set holds the key in use under its id."""
    table = options(algorithm)
    bundle = minted(table)
    assert tuple(bundle) == table.bundle
    assert reads(bundle["kid"], members(bundle)["kid"])
    assert members(bundle)["alg"] == algorithm


def test_a_made_pair_belongs_together_and_has_the_declared_length() -> None:
    """What the private key signs the published public key verifies; 3,072 bits."""
    bundle = minted(options("RS256"))
    key = load_pem_private_key(str.encode(bundle["private_key"].reveal()), None)
    public = load_pem_public_key(str.encode(bundle["public_key"].reveal()))
    assert isinstance(key, rsa.RSAPrivateKey)
    assert isinstance(public, rsa.RSAPublicKey)
    assert key.key_size == 3072
    public.verify(key.sign(b"token", padding.PKCS1v15(), SHA256()), b"token", padding.PKCS1v15(), SHA256())


@pytest.mark.parametrize("algorithm", PAIRS)
def test_no_private_member_is_in_the_set(algorithm: str) -> None:
    """Verifiers get the public members alone."""
    assert set(members(minted(options(algorithm)))) <= {"kty", "n", "e", "crv", "x", "y", "kid", "use", "alg"}


def test_two_made_key_sets_differ() -> None:
    """Nothing of one installation opens another one."""
    assert minted(options("ES256"))["private_key"] != minted(options("ES256"))["private_key"]


def test_a_key_that_is_brought_is_kept_to_the_letter_and_completed(brought: str) -> None:
    """The private key is not written anew, its id is the thumbprint, and two who complete it agree."""
    first, second = (completed(options("RS256"), {"private_key": brought}) for _ in range(2))
    assert reads(first["private_key"], brought)
    assert first["kid"] == second["kid"]
    assert first["jwks"] == second["jwks"]


def test_the_thumbprint_is_that_of_the_standard() -> None:
    """RFC 8037, appendix A.3: the key of the example has the thumbprint that stands there."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = pem(ed25519.Ed25519PrivateKey.from_private_bytes(seed))
    bundle = completed(options("EdDSA"), {"private_key": key})
    assert reads(bundle["kid"], "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")


def test_the_public_key_that_comes_along_must_belong_to_it(brought: str) -> None:
    """Its own is taken, whatever the ends of lines; another one's is refused, and no word of a key is said."""
    table = options("RS256")
    own = completed(table, {"private_key": brought})["public_key"]
    completed(table, {"private_key": brought, "public_key": "\r\n".join(str.splitlines(own.reveal()))})
    stranger = rsa.generate_private_key(65537, 2048).public_key()
    other = stranger.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(UsageError, match="does not belong") as refused:
        completed(table, {"private_key": brought, "public_key": other})
    assert "BEGIN" not in str(refused.value)


@pytest.mark.parametrize("algorithm", PAIRS)
@pytest.mark.parametrize("text", ["no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused_without_a_word_of_it(algorithm: str, text: str) -> None:
    """The message says what is needed, not what was brought."""
    with pytest.raises(UsageError, match=algorithm) as refused:
        completed(options(algorithm), {"private_key": text})
    assert text not in str(refused.value)


def test_a_key_of_another_algorithm_or_curve_is_refused(brought: str) -> None:
    """An RSA key signs no EdDSA, and a key on P-384 no ES256."""
    for algorithm, key in (("EdDSA", brought), ("ES256", pem(ec.generate_private_key(ec.SECP384R1())))):
        with pytest.raises(UsageError):
            completed(options(algorithm), {"private_key": key})


def test_a_shared_key_has_an_id_that_says_nothing_of_it() -> None:
    """No thumbprint of a value: the id of the same key is another one each time."""
    first, second = (completed(options("HS256"), {"secret_key": "of-the-guide"}) for _ in range(2))
    assert first["secret_key"] == second["secret_key"]
    assert first["kid"] != second["kid"]


@pytest.mark.parametrize(("encoding", "form"), [("hex", "[0-9a-f]{64}"), ("base64url", "[A-Za-z0-9_-]{43}")])
def test_a_made_application_key_has_the_declared_form_and_no_fallbacks(encoding: str, form: str) -> None:
    """256 bits by default; nothing else is accepted."""
    target = {"longest_life": "14d", "encoding": encoding}
    bundle = minted_key(app_key.Options.model_validate({"kind": "app-key", "target": target, **WHO}))
    assert matches(bundle["value"], form)
    assert reads(bundle["fallbacks"], "")


def test_only_keys_of_the_fleet_are_made_without_a_rotator() -> None:
    """A password that its target must be told is never made by itself."""
    assert {kind.name for kind in KINDS if kind.room == "rotators" and mints(kind.name)} == {"jwt", "app-key"}
    assert {begins(name) for name in ("postgres", "jwt", "app-key")} == {"provision"}
    assert {begins(name) for name in ("manual", "redis", "tls", "smtp", "unknown")} == {"set"}


def test_a_set_that_is_brought_is_kept_to_the_letter(brought: str) -> None:
    """Whoever changes keys by hand says what is accepted beside the one that signs."""
    table = options("RS256")
    (own,) = json.loads(completed(table, {"private_key": brought})["jwks"].reveal())["keys"]
    (other,) = json.loads(minted(options("ES256"))["jwks"].reveal())["keys"]
    both = json.dumps({"keys": [other, own]})
    assert reads(completed(table, {"private_key": brought, "jwks": both})["jwks"], both)
    shared = {"secret_key": "a shared key of 32 bytes, or more", "kid": "s1"}
    (mine,) = json.loads(completed(options("HS256"), shared)["jwks"].reveal())["keys"]
    former = json.dumps({"keys": [mine, {**mine, "kid": "s0", "k": "AAAA"}]})
    assert reads(completed(options("HS256"), {**shared, "jwks": former})["jwks"], former)


@pytest.mark.parametrize("text", ["none", "[]", '{"keys": []}', '{"keys": ["key"]}'])
def test_a_set_without_the_key_that_signs_is_refused(brought: str, text: str) -> None:
    """Its tokens would be refused everywhere; another key under its id, or the same key twice, is no better."""
    table = options("RS256")
    whole = completed(table, {"private_key": brought})
    own = json.loads(whole["jwks"].reveal())["keys"][0]
    (other,) = json.loads(minted(options("ES256"))["jwks"].reveal())["keys"]
    sets = (text, *(json.dumps({"keys": keys}) for keys in ([other], [{**other, "kid": own["kid"]}], [own, own])))
    for one in sets:
        with pytest.raises(UsageError, match="does not accept the key that signs") as caught:
            completed(table, {"private_key": brought, "jwks": one})
        assert caught.value.__cause__ is None


def test_fallbacks_that_are_brought_are_a_list() -> None:
    """Of a text that is none, nobody knows which keys it means."""
    target = {"longest_life": "14d"}
    table = app_key.Options.model_validate({"kind": "app-key", "target": target, **WHO})
    found = completed_key(table, {"value": "the key", "fallbacks": '["the former key"]'})
    assert reads(found["fallbacks"], '["the former key"]')
    assert reads(completed_key(table, {"value": "the key"})["fallbacks"], "")
    with pytest.raises(UsageError, match="the fallbacks are not a JSON list") as caught:
        completed_key(table, {"value": "the key", "fallbacks": "the former key"})
    assert "former key," not in caught.value.message
