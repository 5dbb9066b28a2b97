"""Keys and certificates: who belongs to whom, and what comes of a key of tokens."""

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from keyturn.core.errors import UsageError
from keyturn.core.secret import SecretValue
from keyturn.importing.pairs import certificate_doubts, identity_of, is_authority, signing
from keyturn.system.jwk import members, thumbprint
from tests.unit.importing.drafts import NOW, drafted, obstacles, row, warnings
from tests.values import reads

RSA = rsa.generate_private_key(public_exponent=65537, key_size=3072)
SMALL = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
NAME = "clo.example.com"


def private(key: PrivateKeyTypes, how: KeySerializationEncryption | None = None) -> str:
    """PEM text."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how or NoEncryption()).decode()


def public(key: PrivateKeyTypes) -> str:
    """PEM text."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def certificate(  # noqa: PLR0913, PLR0917 - what a certificate says
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    name: str = NAME,
    issuer: str = "authority",
    authority: bool = False,  # noqa: FBT001, FBT002 - a kind of certificate
    days: int = 30,
) -> str:
    """PEM text of a certificate that begins a year before NOW and ends so many days after it."""
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, issuer)]
    builder = x509.CertificateBuilder(names[1], names[0], key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(days=365)).not_valid_after(NOW + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


LEAF = certificate(EC, OTHER)
AUTHORITY = certificate(OTHER, OTHER, "authority", "authority", authority=True)


def test_halves_of_a_pair_are_one_identity() -> None:
    """A private key, its public key, and its certificate; what is none of them has no identity."""
    found = {identity_of(SecretValue(text)) for text in (private(EC), public(EC), LEAF, LEAF + AUTHORITY)}
    assert len(found) == 1
    assert None not in found
    assert identity_of(SecretValue("x")) is None
    assert identity_of(SecretValue(private(EC, BestAvailableEncryption(b"x")))) is None
    assert identity_of(SecretValue(private(OTHER))) not in found


def test_an_authority_is_known() -> None:
    """By what it may do, and not by its name."""
    assert is_authority(SecretValue(AUTHORITY))
    assert not is_authority(SecretValue(LEAF))
    assert not is_authority(SecretValue(AUTHORITY + LEAF))
    assert not is_authority(SecretValue("x"))


@pytest.mark.parametrize(
    ("key", "algorithm", "members"),
    [
        (RSA, "RS256", {"e", "n", "kty", "kid", "use", "alg"}),
        (EC, "ES256", {"crv", "x", "y", "kty", "kid", "use", "alg"}),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA", {"crv", "x", "kty", "kid", "use", "alg"}),
    ],
    ids=["RS256", "ES256", "EdDSA"],
)
def test_a_key_of_tokens_gives_its_set(key: PrivateKeyTypes, algorithm: str, members: set[str]) -> None:
    """With public members only, and always the same id."""
    made = signing(SecretValue(private(key)), algorithm)
    (jwk,) = json.loads(made.jwks)["keys"]
    assert jwk.keys() == members
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == (made.kid, algorithm, "sig")
    assert made.public_key == public(key)
    assert signing(SecretValue(private(key)), algorithm) == made
    assert made.doubts == ()


def test_the_id_is_the_thumbprint_of_rfc_7638() -> None:
    """The example of that document: its key, its id."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
        "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr"
        "n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    number = int.from_bytes(urlsafe_b64decode(n + "=="), "big")
    key = rsa.RSAPublicNumbers(65537, number).public_key()
    assert thumbprint(members(key, "RS256") or {}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_another_algorithm_is_refused() -> None:
    """And a key that cannot be read; a small one is told."""
    with pytest.raises(UsageError, match="no key for ES256"):
        signing(SecretValue(private(RSA)), "ES256")
    with pytest.raises(UsageError, match="no private key"):
        signing(SecretValue(private(EC, BestAvailableEncryption(b"x"))), "ES256")
    assert signing(SecretValue(private(SMALL)), "RS256").doubts == ("an RSA key of fewer than 3072 bits",)


def test_what_is_off_with_a_certificate_is_told() -> None:
    """Its dates, its names, its chain."""

    def doubts(leaf: str, chain: str = "", names: tuple[str, ...] = (NAME,), now: datetime = NOW) -> tuple[str, ...]:
        return certificate_doubts(SecretValue(leaf), SecretValue(chain) if chain else None, names, now)

    assert doubts(LEAF, AUTHORITY) == ()
    assert doubts(certificate(EC, OTHER, days=-1)) == ("the certificate has expired",)
    assert doubts(LEAF, now=datetime(2020, 1, 1, tzinfo=UTC)) == ("the certificate is not valid yet",)
    assert doubts(LEAF, names=(NAME, "other.example.com")) == ("the certificate is not for other.example.com",)
    assert doubts(LEAF, certificate(EC, EC, "authority", "authority", authority=True)) == (
        "the chain is not in order: each certificate must be signed by the next",
    )
    with pytest.raises(UsageError, match="not one certificate"):
        doubts("x")


def test_files_of_a_certificate_are_known_by_their_content() -> None:
    """Whatever they are called: the certificate, the key that belongs to it, the authority."""
    made = drafted(files={"a.pem": LEAF, "b.pem": private(EC), "c.pem": AUTHORITY})
    assert obstacles(made) == []
    (ready,) = made.ready
    assert ready.secret == "certificate"
    assert reads(ready.bundle["certificate"], LEAF)
    assert reads(ready.bundle["private_key"], private(EC))
    assert reads(ready.bundle["ca_bundle"], AUTHORITY)
    assert row(made, "b.pem").note == "known by its content"


def test_a_key_that_belongs_to_nothing_is_not_guessed() -> None:
    """It is named, with the line to give."""
    made = drafted(files={"a.pem": LEAF, "b.pem": private(OTHER)})
    assert row(made, "b.pem").what == "open"
    assert ("import-incomplete", "certificate") in obstacles(made)


def test_a_key_beside_another_certificate_is_refused() -> None:
    """The names of the files say that they are a pair, and they are none."""
    made = drafted(files={"ssl-cert.pem": LEAF, "ssl-key.pem": private(OTHER)})
    assert obstacles(made) == [("import-form", "certificate")]
    assert "does not belong" in made.obstacles[0].message


def test_a_certificate_with_its_chain_in_one_file() -> None:
    """As web servers want it; what is doubtful of it is a warning."""
    made = drafted(files={"ssl-cert.pem": certificate(EC, OTHER, days=-1) + AUTHORITY, "ssl-key.pem": private(EC)})
    assert reads(made.ready[0].bundle["chain"], AUTHORITY)
    assert warnings(made) == ["import-doubt"]


def test_keys_of_tokens_are_known_by_each_other() -> None:
    """A private and a public key that belong together, under any names; the public one is not stored by itself."""
    made = drafted(files={"x.pem": private(RSA), "y.pem": public(RSA)})
    (ready,) = made.ready
    assert (ready.secret, ready.filled) == ("jwt", ("jwks", "kid"))
    assert reads(ready.bundle["public_key"], public(RSA))


def test_a_public_key_of_another_pair_is_refused() -> None:
    """Tokens would be signed with one and checked with the other."""
    made = drafted({"JWT_PRIVATE_KEY": private(RSA), "JWT_PUBLIC_KEY": public(SMALL)})
    assert obstacles(made) == [("import-form", "jwt")]


def test_a_private_key_alone_gives_its_public_half() -> None:
    """Derived, and told to be."""
    made = drafted({"JWT_PRIVATE_KEY": private(RSA)})
    assert made.ready[0].filled == ("jwks", "kid", "public_key")
    assert obstacles(drafted({"JWT_PUBLIC_KEY": public(RSA)})) == [("import-incomplete", "jwt")]
