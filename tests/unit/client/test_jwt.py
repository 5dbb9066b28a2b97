"""Tokens over a set of keys: made by the key in use, accepted by all that are accepted, through rotations."""

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from keyturn.client import Secrets
from keyturn.client.adapters.jwt import (
    ClaimWrong,
    Expired,
    KeySet,
    KeyUnknown,
    NotYetValid,
    SignatureWrong,
    Signer,
    TokenRefused,
    Verifier,
)
from keyturn.core.errors import NotFound, Unavailable, Unsupported, UsageError
from tests.unit.client.key_place import KeyPlace, Pair, Shared, key_set
from tests.unit.client.place import until

US: Mapping[str, Any] = {"issuer": "https://clo.example", "audience": "clo-api", "longest_life": 900}
SHARED = Shared("a shared key of 32 bytes, or more", "s1")
ALGORITHMS = ("RS256", "ES256", "EdDSA", "HS256")


@pytest.fixture(scope="module")
def pairs() -> Mapping[str, Pair | Shared]:
    """A key of each algorithm."""
    return {"HS256": SHARED, **{name: Pair(name) for name in ("RS256", "ES256", "EdDSA")}}


@pytest.fixture(scope="module")
def former() -> Pair:
    """The key before."""
    return Pair("ES256")


@pytest.fixture(scope="module")
def new() -> Pair:
    """The key after it."""
    return Pair("ES256")


@pytest.fixture
def place(tmp_path: Path, former: Pair) -> KeyPlace:
    """An application that uses a key set."""
    return KeyPlace(tmp_path, "jwt", former.signs())


@pytest.fixture
def secrets(place: KeyPlace) -> Iterator[Secrets]:
    """Its secrets."""
    with place.open() as secrets:
        yield secrets


def part(token: str, number: int) -> dict[str, Any]:
    """The header (0) or the claims (1)."""
    text = token.split(".")[number]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def reads(secrets: Secrets, version: str) -> bool:
    """Whether reads give it."""
    return secrets.bundle("jwt").version == version


def taken(secrets: Secrets, place: KeyPlace, fields: Mapping[str, str]) -> None:
    """Deliver this and wait until reads give it."""
    version = place.deliver(fields)
    secrets.refresh()
    until(partial(reads, secrets, version))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_is_signed_by_the_key_and_read_back(
    tmp_path: Path, pairs: Mapping[str, Pair | Shared], algorithm: str
) -> None:
    """Each algorithm: `kid` and `alg` of the key, the claims, and the four that the signer writes."""
    key = pairs[algorithm]
    with KeyPlace(tmp_path, "jwt", key.signs()).open() as secrets:
        keys = KeySet(secrets, "jwt")
        token = Signer(keys, **US, clock=lambda: 1_000_000_000.9).sign({"sub": "user-1", "roles": ["deals"]}, life=60)
        assert part(token, 0) == {"alg": algorithm, "kid": key.kid, "typ": "JWT"}
        assert part(token, 1) == {
            "sub": "user-1",
            "roles": ["deals"],
            "iss": "https://clo.example",
            "aud": "clo-api",
            "iat": 1_000_000_000,
            "exp": 1_000_000_060,
        }
        now = Signer(keys, **US).sign({"sub": "user-1"})
        assert Verifier(keys, **US).verify(now)["sub"] == "user-1"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_signature_is_what_the_standard_says(
    tmp_path: Path, pairs: Mapping[str, Pair | Shared], algorithm: str
) -> None:
    """It is checked here by cryptography alone, over the bytes of the token."""
    key = pairs[algorithm]
    assert isinstance(key, Pair)
    with KeyPlace(tmp_path, "jwt", key.signs()).open() as secrets:
        signed, _, signature = Signer(KeySet(secrets, "jwt"), **US).sign({}).rpartition(".")
    found = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    public = key.private.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(found, signed.encode(), padding.PKCS1v15(), SHA256())
    elif isinstance(public, ec.EllipticCurvePublicKey):
        halves = encode_dss_signature(int.from_bytes(found[:32]), int.from_bytes(found[32:]))
        public.verify(halves, signed.encode(), ec.ECDSA(SHA256()))
    else:
        assert isinstance(public, ed25519.Ed25519PublicKey)
        public.verify(found, signed.encode())


def test_the_two_fields_of_the_guide_are_a_set(tmp_path: Path, pairs: Mapping[str, Pair | Shared]) -> None:
    """A secret of the kind `manual` with private and public key: the id is the thumbprint, RS256 the algorithm."""
    key = pairs["RS256"]
    assert isinstance(key, Pair)
    with KeyPlace(tmp_path, "jwt", key.pem).open() as secrets:
        keys = KeySet(secrets, "jwt")
        token = Signer(keys, **US).sign({"sub": "user-1"})
        assert (part(token, 0)["kid"], part(token, 0)["alg"]) == (key.kid, "RS256")
        assert Verifier(keys, **US).verify(token)["sub"] == "user-1"


@pytest.mark.parametrize("fields", ["jwks", "public_key"])
def test_who_only_checks_needs_no_private_key(tmp_path: Path, former: Pair, fields: str) -> None:
    """And cannot sign."""
    content = {"jwks": key_set(former), "public_key": former.pem["public_key"]}
    (tmp_path / "signer").mkdir()
    (tmp_path / "verifier").mkdir()
    with (
        KeyPlace(tmp_path / "signer", "jwt", former.signs()).open() as signing,
        KeyPlace(tmp_path / "verifier", "jwt", {fields: content[fields]}).open() as checking,
    ):
        keys = KeySet(checking, "jwt")
        token = Signer(KeySet(signing, "jwt"), **US).sign({"sub": "user-1"})
        assert Verifier(keys, **US).verify(token)["sub"] == "user-1"
        with pytest.raises(NotFound, match="no private_key"):
            Signer(keys, **US)


def test_a_rotation_in_three_publications_refuses_no_living_token(
    place: KeyPlace, secrets: Secrets, former: Pair, new: Pair
) -> None:
    """Accept, use, drop: the former key is accepted until it is dropped, and refused from then on."""
    keys = KeySet(secrets, "jwt")
    signer, verifier = Signer(keys, **US), Verifier(keys, **US)
    old = signer.sign({"sub": "old"})
    taken(secrets, place, former.signs(new))
    assert part(signer.sign({}), 0)["kid"] == former.kid
    assert verifier.verify(old)["sub"] == "old"
    taken(secrets, place, new.signs(former))
    young = signer.sign({"sub": "young"})
    assert part(young, 0)["kid"] == new.kid
    assert [verifier.verify(token)["sub"] for token in (old, young)] == ["old", "young"]
    taken(secrets, place, new.signs())
    assert verifier.verify(young)["sub"] == "young"
    with pytest.raises(KeyUnknown):
        verifier.verify(old)


def test_a_set_that_does_not_accept_its_own_key_stays_out_of_use(
    place: KeyPlace, secrets: Secrets, former: Pair, new: Pair
) -> None:
    """Half a change is no version: whoever signed with it would be refused everywhere."""
    keys = KeySet(secrets, "jwt")
    signer, verifier = Signer(keys, **US), Verifier(keys, **US)
    place.deliver({**new.signs(), "jwks": key_set(former)})
    secrets.refresh()
    until(lambda: secrets["jwt.kid"].stale)
    assert verifier.verify(signer.sign({"sub": "user-1"}))["sub"] == "user-1"
    assert part(signer.sign({}), 0)["kid"] == former.kid


def test_tokens_of_one_process_are_accepted_by_another_through_rotations(
    place: KeyPlace, former: Pair, new: Pair
) -> None:
    """Threads sign in one and check in another, which learn of each publication at different moments."""
    first, second = place.open(), place.open()
    signer, verifier = Signer(KeySet(first, "jwt"), **US), Verifier(KeySet(second, "jwt"), **US)
    refused: list[str] = []
    asked = [0] * 2
    over = threading.Event()

    def ask(thread: int) -> None:
        while not over.is_set():
            try:
                verifier.verify(signer.sign({"sub": "user-1"}))
            except TokenRefused as error:
                refused.append(error.code)
            asked[thread] += 1

    def publish(fields: Mapping[str, str], order: tuple[Secrets, Secrets]) -> None:
        version = place.deliver(fields)
        for one in order:
            one.refresh()
            until(partial(reads, one, version))
        before = tuple(asked)  # a token that was made before this may be under way until each thread asked twice
        until(lambda: all(now > then + 2 for now, then in zip(asked, before, strict=True)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(asked))]
    for thread in threads:
        thread.start()
    try:
        old, young = former, new
        for order in ((first, second), (second, first)):
            for fields in (old.signs(young), young.signs(old), young.signs()):
                publish(fields, order)
            old, young = young, old
    finally:
        over.set()
        for thread in threads:
            thread.join()
        first.close()
        second.close()
    assert refused == []


@pytest.mark.parametrize(
    ("change", "life"), [({"iss": "x"}, 9), ({"exp": 1}, 9), ({"sub": 7}, 9), ({"roles": {1}}, 9), ({}, 901), ({}, 0)]
)
def test_what_may_not_stand_in_a_token_is_not_signed(secrets: Secrets, change: Mapping[str, Any], life: int) -> None:
    """The signer's own claims, what is no JSON, a subject that no verifier would take, a life beyond the longest."""
    signer = Signer(KeySet(secrets, "jwt"), **US)
    with pytest.raises(UsageError):
        signer.sign(change, life=life)


@pytest.mark.parametrize("change", [{"issuer": ""}, {"audience": ""}, {"longest_life": 0}])
def test_nobody_signs_or_checks_without_saying_for_whom(secrets: Secrets, change: Mapping[str, Any]) -> None:
    """A verifier without an audience would take tokens that were made for another service."""
    keys = KeySet(secrets, "jwt")
    for make in (Signer, Verifier):
        with pytest.raises(UsageError):
            make(keys, **{**US, **change})


@pytest.mark.parametrize(
    ("other", "refusal"),
    [
        ({"issuer": "https://clo.example.net"}, ClaimWrong),
        ({"audience": "clo-reports"}, ClaimWrong),
        ({"longest_life": 901}, ClaimWrong),
        ({"clock": lambda: time.time() - 900 - 90}, Expired),
        ({"clock": lambda: time.time() + 90}, NotYetValid),
    ],
)
def test_a_token_for_others_or_of_another_time_is_refused(
    secrets: Secrets, other: Mapping[str, Any], refusal: type[TokenRefused]
) -> None:
    """Each with its class."""
    keys = KeySet(secrets, "jwt")
    token = Signer(keys, **{**US, **other}).sign({})
    with pytest.raises(refusal):
        Verifier(keys, **US).verify(token)


@pytest.mark.parametrize("off", [-930, 30])
def test_clocks_that_differ_by_less_than_the_leeway_refuse_nothing(secrets: Secrets, off: int) -> None:
    """Half a minute after its end, and half a minute before its beginning."""
    keys = KeySet(secrets, "jwt")
    token = Signer(keys, **US, clock=lambda: time.time() + off).sign({"sub": "user-1"})
    assert Verifier(keys, **US).verify(token)["sub"] == "user-1"


def test_one_of_several_audiences_is_enough(secrets: Secrets) -> None:
    """On both sides."""
    keys = KeySet(secrets, "jwt")
    token = Signer(keys, **{**US, "audience": ("clo-api", "clo-reports")}).sign({"sub": "user-1"})
    assert Verifier(keys, **{**US, "audience": ["clo-reports", "clo-jobs"]}).verify(token)["sub"] == "user-1"


def test_keys_that_cannot_be_had_refuse_no_token(tmp_path: Path, former: Pair) -> None:
    """It is another answer than a refusal: the service has a fault, and the token may be good."""
    place = KeyPlace(tmp_path, "jwt", former.signs())
    place.file.write_text(json.dumps({**json.loads(place.file.read_text()), "max_stale": "100ms"}))
    with place.open() as secrets:
        keys = KeySet(secrets, "jwt")
        token, verifier = Signer(keys, **US).sign({}), Verifier(keys, **US)
        (tmp_path / "run" / "bundle").rename(tmp_path / "run" / "elsewhere")

        def unavailable() -> bool:
            try:
                verifier.verify(token)
            except Unavailable:
                return True
            return False

        until(unavailable)


def test_a_published_set_has_public_keys_alone(tmp_path: Path, former: Pair, new: Pair) -> None:
    """Nothing of a private or shared key, whatever stands in the secret's own set."""
    secret_part = {"d": "private part"}
    own = json.dumps({"keys": [{**former.jwk, **secret_part}, new.jwk, SHARED.jwk]})
    with KeyPlace(tmp_path, "jwt", {**former.pem, "jwks": own}).open() as secrets:
        document = KeySet(secrets, "jwt").jwks()
    found = sorted(json.loads(document)["keys"], key=lambda key: key["kid"] != former.kid)
    assert found == [former.jwk, new.jwk]


def test_nothing_is_published_of_shared_keys(tmp_path: Path) -> None:
    """Who could check with it could sign with it."""
    with KeyPlace(tmp_path, "jwt", SHARED.signs()).open() as secrets, pytest.raises(Unsupported, match="shared"):
        KeySet(secrets, "jwt").jwks()


def test_no_key_shows_itself(tmp_path: Path) -> None:
    """In a repr, which lands in logs and tracebacks."""
    with KeyPlace(tmp_path, "jwt", SHARED.signs()).open() as secrets:
        version = KeySet(secrets, "jwt").now()
        assert "a shared key" not in repr((version, version.signing, *version.accepted.values()))


def test_a_key_of_a_former_version_with_the_same_id_signs_nothing(
    place: KeyPlace, secrets: Secrets, former: Pair, new: Pair
) -> None:
    """Another key under an id that was used before: it counts from then on, and the other one does not."""
    keys = KeySet(secrets, "jwt")
    old = Signer(keys, **US).sign({})
    same = {**new.signs(), "kid": former.kid, "jwks": json.dumps({"keys": [{**new.jwk, "kid": former.kid}]})}
    taken(secrets, place, same)
    with pytest.raises(SignatureWrong):
        Verifier(keys, **US).verify(old)
