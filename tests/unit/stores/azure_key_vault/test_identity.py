"""How Keyturn signs in: the declared way and no other, made anew for each token."""

import socket
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from azure.core.credentials import AccessTokenInfo
from azure.core.exceptions import AzureError
from azure.identity import (
    AzureCliCredential,
    CertificateCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from keyturn.core.clock import SystemClock
from keyturn.core.errors import Denied, NotFound, Unavailable
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.azure_identity import Cli, ClientCertificate, ClientSecret, Identity, Managed, Workload
from keyturn.manifest.kinds.azure_key_vault import Options
from keyturn.manifest.shapes import Table
from keyturn.manifest.surroundings import Surroundings
from keyturn.stores.azure_key_vault.declared import declared
from keyturn.stores.azure_key_vault.identity import SignIn, client_secret, sign_in
from keyturn.stores.azure_key_vault.vault import KeyVault
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.tls_server import HOST
from tests.unit.stores.azure_key_vault.places import bundle, chain_of, identity, over, signed_in

ID = "00000000-0000-0000-0000-000000000001"
SCOPE = "https://vault.azure.net/.default"


def _sign_in(identity: Identity, **options: Any) -> SignIn:
    given: dict[str, Any] = {"ca_file": None, "authority": None, "timeout": 10.0} | options
    return sign_in(identity, lambda _: Bundle({"value": "client-secret"}), **given)


def _vault(server: KeyVaultServer, credential: SignIn) -> KeyVault:
    return KeyVault(server.url, credential, ca_file=server.ca_file, verify_challenge_resource=False, timeout=60.0)


def _read_in(identity: type[Table], **fields: object) -> Identity:
    return cast(Identity, identity.model_validate(fields))


@pytest.mark.parametrize(
    ("identity", "kind"),
    [
        (Managed(kind="managed"), ManagedIdentityCredential),
        (Managed(kind="managed", client_id=ID), ManagedIdentityCredential),
        (_read_in(Workload, kind="workload", tenant_id=ID, client_id=ID, token_file="/t"), WorkloadIdentityCredential),
        (ClientSecret(kind="client-secret", tenant_id=ID, client_id=ID, credential="x"), ClientSecretCredential),
        (Cli(kind="cli"), AzureCliCredential),
        (Cli(kind="cli", tenant_id=ID), AzureCliCredential),
    ],
    ids=lambda given: getattr(given, "kind", getattr(given, "__name__", "")),
)
def test_each_identity_is_one_credential(identity: Identity, kind: type) -> None:
    """The manifest names the credential; no chain is tried."""
    credential = _sign_in(identity, authority="https://login.example")
    assert credential.kind == identity.kind
    assert type(credential._make()) is kind


def _rsa_certificate() -> bytes:
    """A certificate with its key, as Entra ID wants it: RSA."""
    key, name = rsa.generate_private_key(65537, 2048), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keyturn")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    draft = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = draft.not_valid_before(start).not_valid_after(start + timedelta(days=3650)).sign(key, hashes.SHA256())
    pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pkcs8 + made.public_bytes(Encoding.PEM)


def test_a_certificate_is_read_when_it_is_needed(tmp_path: Path) -> None:
    """A certificate that is renewed on disk is the one that signs in next; one that is not there is Denied."""
    file = tmp_path / "client.pem"
    credential = _sign_in(
        _read_in(ClientCertificate, kind="client-certificate", tenant_id=ID, client_id=ID, certificate_file=str(file))
    )
    for broken in (None, b"no certificate"):
        if broken:
            file.write_bytes(broken)
        with pytest.raises(Denied) as caught:
            credential.token_info(SCOPE)
        assert "certificate_file" in caught.value.remedy
        assert chain_of(caught.value) == [caught.value]
    file.write_bytes(_rsa_certificate())
    assert type(credential._make()) is CertificateCredential


def test_a_token_file_that_is_not_there_is_denied(server: KeyVaultServer, tmp_path: Path) -> None:
    """A workload without its federated token is told to look at token_file; nothing was sent to the vault."""
    missing = _read_in(
        Workload, kind="workload", tenant_id=server.tenant_id, client_id=ID, token_file=str(tmp_path / "token")
    )
    credential = _sign_in(missing, ca_file=server.ca_file, authority=server.authority)
    vault = _vault(server, credential)
    with pytest.raises(Denied) as caught:
        over(vault).current("database")
    assert "token_file" in caught.value.remedy


def test_a_client_secret_stands_in_one_of_two_fields() -> None:
    """The field is value or client_secret; a bundle with neither says which fields it should have."""
    assert client_secret(Bundle({"value": "a", "client_secret": "b"}), "x") == Bundle({"v": "a"})["v"]
    assert client_secret(Bundle({"client_secret": "b", "key_id": "c"}), "x") == Bundle({"v": "b"})["v"]
    with pytest.raises(NotFound):
        client_secret(Bundle({"password": "a"}), "x")


def test_a_rotated_client_secret_is_used_for_the_next_token(server: KeyVaultServer) -> None:
    """The client secret is read at each token, so a rotated one works without a restart, and a dead one is Denied."""
    asked: list[str] = []
    secrets = [Bundle({"value": "stale"}), server.client_secret]

    def read(name: str) -> Bundle:
        asked.append(name)
        return secrets[min(len(asked), len(secrets)) - 1]

    credential = sign_in(identity(server), read, ca_file=server.ca_file, authority=server.authority, timeout=60.0)
    store = over(
        KeyVault(server.url, credential, ca_file=server.ca_file, verify_challenge_resource=False, timeout=60.0)
    )
    with pytest.raises(Denied) as caught:
        store.current("database")
    assert "AADSTS7000215" in str(caught.value)
    assert "stale" not in "".join(f"{one} {one!r} {vars(one)}" for one in chain_of(caught.value))
    assert store.current("database") is None
    server.tokens.expire()
    assert store.current("database") is None
    assert asked == ["keyturn-azure"] * 3


def test_a_client_secret_that_cannot_be_read_fails_as_its_store_says(server: KeyVaultServer) -> None:
    """The error of the store that keeps the client secret comes out as it is."""

    def read(_: str) -> Bundle:
        raise NotFound("keyturn-azure has no version yet", "keyturn set keyturn-azure")

    credential = sign_in(identity(server), read, ca_file=server.ca_file, authority=server.authority, timeout=60.0)
    store = over(
        KeyVault(server.url, credential, ca_file=server.ca_file, verify_challenge_resource=False, timeout=60.0)
    )
    with pytest.raises(NotFound) as caught:
        store.stage("database", bundle(), "one")
    assert caught.value.remedy == "keyturn set keyturn-azure"


def test_the_environment_does_not_choose_the_identity(
    server: KeyVaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Kubernetes sets the variables of a workload, a managed identity is still the one that is asked."""
    (tmp_path / "token").write_text("a-federated-token")
    there = {"TENANT_ID": server.tenant_id, "CLIENT_ID": ID, "FEDERATED_TOKEN_FILE": str(tmp_path / "token")}
    for name, text in (there | {"AUTHORITY_HOST": server.authority}).items():
        monkeypatch.setenv(f"AZURE_{name}", text)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://{HOST}:1")
    with pytest.raises(AzureError):
        _sign_in(Managed(kind="managed"), ca_file=server.ca_file, timeout=1.0).token_info(SCOPE)
    assert server.requests == []


def test_the_environment_does_not_choose_who_issues_tokens(
    server: KeyVaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client secret goes to the public cloud unless the manifest says otherwise, whatever AZURE_AUTHORITY_HOST is."""
    asked: list[bytes] = []
    with socket.create_server((HOST, 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{HOST}:{proxy.getsockname()[1]}")
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.chinacloudapi.cn")
        turning_away = threading.Thread(target=_turn_away, args=(proxy, asked))
        turning_away.start()
        with pytest.raises(AzureError):
            _sign_in(identity(server), timeout=1.0).token_info(SCOPE)
        proxy.shutdown(socket.SHUT_RDWR)
        turning_away.join()
    assert set(asked) == {b"CONNECT login.microsoftonline.com:443"}


def _turn_away(proxy: socket.socket, asked: list[bytes]) -> None:
    """Write down where each connection was to lead, and end it, until the proxy is shut down."""
    with suppress(OSError):
        while True:
            with proxy.accept()[0] as connection:
                asked.append(connection.recv(4096).partition(b" HTTP/")[0])


def test_the_older_form_of_a_token_is_served_too(server: KeyVaultServer) -> None:
    """An SDK that asks for tokens in the older form gets the same."""
    credential = signed_in(server)
    token = credential.get_token(SCOPE, tenant_id=server.tenant_id, claims=None, enable_cae=True)
    assert server.tokens.bearer(token.token) == server.client_id
    assert credential.get_token(SCOPE, claims='{"access_token": {}}').token != token.token
    info = credential.get_token_info(SCOPE)
    assert isinstance(info, AccessTokenInfo)


def _around(tmp_path: Path, credential: Bundle) -> Surroundings:
    return Surroundings("main", "clo", "test", tmp_path, tmp_path / "key", lambda _: credential, SystemClock())


def test_the_manifest_makes_a_store_that_works(server: KeyVaultServer, tmp_path: Path) -> None:
    """The declared store uses the declared authorities for vault and tokens, and asks nothing when it is made."""
    table = {
        "kind": "azure-key-vault",
        "url": f"{server.url}/",
        "identity": identity(server),
        "ca_file": server.ca_file,
        "authority": server.authority,
        "verify_challenge_resource": False,
    }
    options = Options.model_validate(table)
    store = declared(options, _around(tmp_path, server.client_secret))
    assert server.requests == []
    assert store.kind == options.kind
    assert store.names() == ()
    assert not store.cas


def test_a_missing_file_of_authorities_is_named(server: KeyVaultServer, tmp_path: Path) -> None:
    """A ca_file that is not there is a connection that cannot be made, and the option is named."""
    vault = KeyVault(server.url, signed_in(server), ca_file=str(tmp_path / "ca.pem"), verify_challenge_resource=False)
    with pytest.raises(Unavailable) as caught:
        over(vault).current("database")
    assert "ca_file" in str(caught.value)


def test_an_unknown_authority_is_not_trusted(server: KeyVaultServer) -> None:
    """A vault whose certificate nobody here vouches for gets no token and no value."""
    vault = KeyVault(server.url, signed_in(server), verify_challenge_resource=False, timeout=60.0, patience=0.0)
    with pytest.raises(Unavailable) as caught:
        over(vault).current("database")
    assert "ca_file" in str(caught.value)
    assert server.requests == []


def test_an_authority_that_this_host_trusts_is_trusted(server: KeyVaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ca_file the host's own authorities count, for the vault and for who issues tokens."""
    monkeypatch.setenv("SSL_CERT_FILE", server.ca_file)
    credential = sign_in(
        identity(server), lambda _: server.client_secret, ca_file=None, authority=server.authority, timeout=60.0
    )
    vault = KeyVault(server.url, credential, verify_challenge_resource=False, timeout=60.0)
    assert over(vault).current("database") is None


def test_a_vault_that_asks_for_tokens_of_another_is_refused(server: KeyVaultServer) -> None:
    """With the check of the challenge on, a server that is not Azure's never gets a token for Azure's vaults."""
    vault = KeyVault(server.url, signed_in(server), ca_file=server.ca_file, timeout=60.0)
    with pytest.raises(Unavailable):
        over(vault).stage("database", bundle(), "one")
    assert not [one for one in server.requests if one.path.endswith("/token")]


WITHOUT_SDK = """
import sys
sys.modules["azure"] = None
from keyturn.core.errors import Unsupported
try:
    import keyturn.stores.azure_key_vault.declared
except Unsupported as error:
    print(error.remedy)
"""


def test_without_the_extra_the_remedy_names_it() -> None:
    """An installation without the SDK says which extra is missing."""
    told = subprocess.run([sys.executable, "-c", WITHOUT_SDK], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "pip install 'keyturn[azure]'"


def test_nobody_else_imports_the_sdk() -> None:
    """The command line, the wiring and every other store load without any of it."""
    code = (
        "import sys, keyturn.cli.main, keyturn.wiring, keyturn.stores.azure_key_vault;"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in {'azure', 'msal', 'requests'}))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
