"""Derived copies as certificate and key objects of a Key Vault, over the real SDK."""

import base64
import hashlib
import logging
from typing import Any

import pytest
from azure.keyvault.certificates import CertificateClient, CertificateContentType, CertificatePolicy
from azure.keyvault.keys import JsonWebKey, KeyClient
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from keyturn.core.derived import Derived, Form
from keyturn.core.errors import AdapterError, Conflict, Denied, OutcomeUnknown, Unsupported
from keyturn.core.secret import SecretValue
from keyturn.stores.azure_key_vault.pem import certificate, jwk
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.testing.certificates import Authority, Leaf
from keyturn.testing.derived_contract import MARKS, RULES, Case
from keyturn.testing.key_vault import Fault, KeyVaultServer, Role
from tests.unit.stores.azure_key_vault.places import chain_of, outside, outsider

SITE = Derived("site-certificate", "Site-TLS", Form.CERTIFICATE, "site")
SIGNER = Derived("signing-key", "Signing-RSA", Form.KEY, "jwt")
AUTHORITY = Authority()
FORMATS = {"PKCS#8": PrivateFormat.PKCS8, "traditional": PrivateFormat.TraditionalOpenSSL}


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    """A private key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def site(leaf: Leaf) -> SecretValue:
    """What the template "{certificate}{chain}{private_key}" gives."""
    return SecretValue(leaf.chain.decode() + AUTHORITY.certificate.decode() + leaf.private_key.decode())


LEAVES = [AUTHORITY.issue("clo.example.com") for _ in range(3)]
CERTIFICATES = tuple(map(site, LEAVES))
KEYS = tuple(SecretValue(pem_of(ec.generate_private_key(ec.SECP256R1()))) for _ in range(3))
RSA = rsa.generate_private_key(65537, 2048)


def member(key: JsonWebKey, name: str) -> Any:
    """A member of a key; the SDK sets them by name."""
    return getattr(key, name)


class OfCertificates:
    """Somebody else with the SDK for certificates; readers take the certificate itself."""

    def __init__(self, client: CertificateClient) -> None:
        self._client = client

    def read(self, copy: Derived) -> str | None:
        """What an ordinary reader gets."""
        return hashlib.sha256(bytes(self._client.get_certificate(copy.entry).cer or b"")).hexdigest()

    def write(self, copy: Derived, content: SecretValue) -> None:
        """A new version without any tags."""
        policy = CertificatePolicy("Unknown", content_type=CertificateContentType.pem)
        self._client.import_certificate(copy.entry, certificate(content.reveal()), policy=policy)

    def enabled(self, copy: Derived) -> int:
        """How many versions are on."""
        return sum(bool(one.enabled) for one in self._client.list_properties_of_certificate_versions(copy.entry))

    def disable_newest(self, copy: Derived) -> None:
        """Switch it off by hand."""
        properties = self._client.get_certificate(copy.entry).properties
        assert properties is not None
        self._client.update_certificate_properties(copy.entry, properties.version, enabled=False)


class OfKeys:
    """Somebody else with the SDK for keys; readers see the public part."""

    def __init__(self, client: KeyClient) -> None:
        self._client = client

    def read(self, copy: Derived) -> str | None:
        """What an ordinary reader sees."""
        public = self._client.get_key(copy.entry).key
        return hashlib.sha256(member(public, "x") or member(public, "n")).hexdigest()

    def write(self, copy: Derived, content: SecretValue) -> None:
        """A new version without any tags."""
        self._client.import_key(copy.entry, JsonWebKey(**jwk(content.reveal())))

    def enabled(self, copy: Derived) -> int:
        """How many versions are on."""
        return sum(bool(one.enabled) for one in self._client.list_properties_of_key_versions(copy.entry))

    def disable_newest(self, copy: Derived) -> None:
        """Switch it off by hand."""
        self._client.update_key_properties(
            copy.entry, self._client.get_key(copy.entry).properties.version, enabled=False
        )


@pytest.fixture(autouse=True)
def allowed(server: KeyVaultServer) -> None:
    """The identity may do all that the three officers may."""
    server.roles[server.client_id] = Role.OFFICERS


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("form", [Form.CERTIFICATE, Form.KEY])
def test_copies_as_objects_keep_the_contract(
    form: Form, rule: str, server: KeyVaultServer, store: AzureKeyVault
) -> None:
    """Each rule of derived copies, for certificates and for keys."""
    if form is Form.CERTIFICATE:
        case = Case(store, OfCertificates(outside(server, CertificateClient)), SITE, CERTIFICATES)  # type: ignore[arg-type] # one protocol over two clients
    else:
        case = Case(store, OfKeys(outside(server, KeyClient)), SIGNER, KEYS)  # type: ignore[arg-type] # one protocol over two clients
    RULES[rule](case)


def test_a_certificate_is_whole_for_the_platform(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Its own certificate, its chain and its key, in PEM, under the secret of the same name."""
    store.derive(SITE, "v1", CERTIFICATES[0], MARKS[0])
    secret = outsider(server).get_secret("Site-TLS")
    assert secret.properties.content_type == "application/x-pem-file"
    text = (secret.value or "").encode()
    assert text.count(b"BEGIN CERTIFICATE") == 2
    read = load_pem_private_key(text, None)
    assert read.public_key() == load_pem_private_key(LEAVES[0].private_key, None).public_key()
    held = outside(server, CertificateClient).get_certificate("Site-TLS")
    assert base64.b64encode(bytes(held.cer or b"")).decode()[:60] in "".join(LEAVES[0].chain.decode().splitlines())


def test_a_retired_certificate_takes_its_secret_with_it(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Whoever asks for the former version by its id is turned away."""
    for version, content in (("v1", CERTIFICATES[0]), ("v2", CERTIFICATES[1])):
        store.derive(SITE, version, content, MARKS[0])
    store.withdraw(SITE, "v1")
    versions = outsider(server).list_properties_of_secret_versions("Site-TLS")
    assert sorted(bool(one.enabled) for one in versions) == [False, True]


def test_a_key_never_comes_back(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """What can be asked of a key is its public part."""
    store.derive(SIGNER, "v1", SecretValue(pem_of(RSA)), MARKS[0])
    held = outside(server, KeyClient).get_key("Signing-RSA").key
    numbers = RSA.private_numbers().public_numbers
    assert int.from_bytes(member(held, "n")) == numbers.n
    assert int.from_bytes(member(held, "e")) == numbers.e
    assert member(held, "d") is None
    assert member(held, "kty") == "RSA"


@pytest.mark.parametrize(
    "curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1()], ids=lambda one: one.name
)
def test_keys_of_each_curve(curve: ec.EllipticCurve, server: KeyVaultServer, store: AzureKeyVault) -> None:
    """The numbers have the length of the curve, whatever their first octets are."""
    key = ec.generate_private_key(curve)
    store.derive(SIGNER, "v1", SecretValue(pem_of(key)), MARKS[0])
    held = outside(server, KeyClient).get_key("Signing-RSA").key
    point = key.private_numbers().public_numbers
    assert (int.from_bytes(member(held, "x")), int.from_bytes(member(held, "y"))) == (point.x, point.y)
    assert len(member(held, "x")) == len(member(held, "y")) == (key.key_size + 7) // 8


@pytest.mark.parametrize("format_", FORMATS)
def test_a_key_may_come_in_either_form(format_: str) -> None:
    """PKCS#1 and SEC1 are told from PKCS#8, and the certificate goes out with PKCS#8 alone."""
    key = load_pem_private_key(LEAVES[0].private_key, None)
    text = key.private_bytes(Encoding.PEM, FORMATS[format_], NoEncryption()).decode()
    made = certificate(LEAVES[0].chain.decode() + text)
    assert made.startswith(b"-----BEGIN PRIVATE KEY-----")


def test_the_certificate_of_the_key_comes_first() -> None:
    """In whatever order the template puts them."""
    mixed = AUTHORITY.certificate.decode() + LEAVES[0].private_key.decode() + LEAVES[0].chain.decode()
    assert certificate(mixed) == certificate(CERTIFICATES[0].reveal())


BAD = {
    "no key": LEAVES[0].chain.decode(),
    "two keys": LEAVES[0].private_key.decode() + LEAVES[1].private_key.decode(),
    "another's certificate": LEAVES[0].chain.decode() + LEAVES[1].private_key.decode(),
    "no certificate": LEAVES[0].private_key.decode(),
    "damaged": LEAVES[0].private_key.decode().replace("M", "N"),
    "encrypted": RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2")).decode(),
    "a kind that Key Vault has not": pem_of(ed25519.Ed25519PrivateKey.generate()),
    "a size that Key Vault has not": pem_of(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - a weak one is what is shown
    "a damaged certificate": LEAVES[0].chain.decode().replace("M", "N") + LEAVES[0].private_key.decode(),
    "text": "not a key",
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_certificate_is_refused_before_it_is_sent(
    what: str, server: KeyVaultServer, store: AzureKeyVault
) -> None:
    """And no error, nor anything that led to it, holds any of it."""
    text = BAD[what]
    with pytest.raises(Unsupported) as caught:
        store.derive(SITE, "v1", SecretValue(text), MARKS[0])
    assert not [one for one in server.requests if one.method in {"POST", "PUT"} and "/certificates/" in one.path]
    said = " ".join(f"{one} {getattr(one, 'remedy', '')}" for one in chain_of(caught.value))
    assert not [line for line in text.splitlines() if len(line) > 30 and line in said]


@pytest.mark.parametrize(
    ("copy", "content", "match"),
    [(SITE, CERTIFICATES[0], "POST /certificates/*/import"), (SIGNER, KEYS[0], "PUT /keys/*")],
    ids=["certificate", "key"],
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_import_without_an_answer_is_read_back(  # noqa: PLR0913, PLR0917 - the case and its two parts
    copy: Derived,
    content: SecretValue,
    match: str,
    after: bool,  # noqa: FBT001 - a parameter of the test
    server: KeyVaultServer,
    store: AzureKeyVault,
) -> None:
    """What happened is seen, what was not seen is an unknown outcome, and repeating writes it once."""
    server.fail(match, Fault.RESET, after=after)
    if not after:
        with pytest.raises(OutcomeUnknown):
            store.derive(copy, "v1", content, MARKS[0])
    store.derive(copy, "v1", content, MARKS[0])
    assert store.shows(copy) == "v1"
    assert (
        len(
            [one for one in server.requests if one.status == 200 and "/secrets" not in one.path and one.method != "GET"]
        )
        <= 2
    )


@pytest.mark.parametrize(("copy", "role"), [(SITE, "Certificates Officer"), (SIGNER, "Crypto Officer")])
def test_a_missing_right_names_its_role(copy: Derived, role: str, server: KeyVaultServer, store: AzureKeyVault) -> None:
    """The officer of secrets may touch neither certificates nor keys."""
    server.roles[server.client_id] = Role.OFFICER
    with pytest.raises(Denied) as caught:
        store.shows(copy)
    assert role in caught.value.remedy


def test_a_secret_of_that_name_is_in_the_way(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Key Vault keeps a certificate's secret under the same name."""
    outsider(server).set_secret("Site-TLS", "typed in by hand")
    with pytest.raises(Conflict) as caught:
        store.derive(SITE, "v1", CERTIFICATES[0], MARKS[0])
    assert "of that name is in the way" in caught.value.remedy


def test_a_deleted_certificate_blocks_its_name(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """The remedy is a command for certificates."""
    store.derive(SITE, "v1", CERTIFICATES[0], MARKS[0])
    server.fail("GET /deletedcertificates/*", Fault.DENIED, times=99)
    outside(server, CertificateClient).begin_delete_certificate("Site-TLS")
    with pytest.raises(Conflict) as caught:
        store.derive(SITE, "v2", CERTIFICATES[1], MARKS[0])
    assert "az keyvault certificate recover" in caught.value.remedy


def test_the_secret_of_a_certificate_is_no_secret_of_keyturn(store: AzureKeyVault) -> None:
    """Lists of names and of current versions leave it out."""
    store.derive(SITE, "v1", CERTIFICATES[0], MARKS[0])
    store.derive(SIGNER, "v1", KEYS[0], MARKS[0])
    assert store.names() == ()
    assert dict(store.currents()) == {}
    assert dict(store.shown([SITE, SIGNER])) == {SITE: "v1", SIGNER: "v1"}


def test_nothing_of_a_key_is_logged(
    server: KeyVaultServer, store: AzureKeyVault, caplog: pytest.LogCaptureFixture
) -> None:
    """At the lowest level of all loggers, and where the vault does not answer."""
    caplog.set_level(logging.DEBUG)
    server.fail("PUT /keys/*", Fault.INTERNAL)
    with pytest.raises(AdapterError):
        store.derive(SIGNER, "v1", SecretValue(pem_of(RSA)), MARKS[0])
    store.derive(SITE, "v1", CERTIFICATES[0], MARKS[0])
    secret = base64.urlsafe_b64encode(jwk(pem_of(RSA))["d"]).decode()[:40]
    text = "".join(f"{one.getMessage()} {one.exc_text}" for one in caplog.records)
    assert caplog.records
    assert secret not in text
    assert LEAVES[0].private_key.decode().splitlines()[1] not in text
