"""How Keyturn signs in at Azure: one declared way, made anew for each token. Never a chain of guesses.

A token lives about an hour, so a client secret that was rotated meanwhile, a renewed certificate and a fresh federated
token are found without a restart; and a token that the vault does not accept any more is not had again from a cache.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from azure.core.credentials import AccessToken, AccessTokenInfo, SupportsTokenInfo, TokenRequestOptions
from azure.identity import (
    AzureAuthorityHosts,
    AzureCliCredential,
    CertificateCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from keyturn.core.errors import Denied, NotFound
from keyturn.core.secret import Bundle, SecretValue
from keyturn.manifest.kinds.azure_identity import Cli, ClientCertificate, ClientSecret, Identity, Managed, Workload
from keyturn.stores.azure_key_vault import redaction
from keyturn.stores.azure_key_vault.errors import SIGN_IN
from keyturn.stores.azure_key_vault.wire import transport

FIELDS = ("value", "client_secret")
"""Where a client secret stands in its bundle, the first that is there."""

_Options = Callable[[], dict[str, Any]]


class SignIn:
    """A credential for the SDK's clients, which makes another one for each token.

    Args:
        kind: of the identity, for messages.
        make: the credential; may read a file or a store.
    """

    def __init__(self, kind: str, make: Callable[[], SupportsTokenInfo]) -> None:
        self.kind = kind
        self._make = make

    def token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """A fresh token. Raises AdapterError, or what the SDK raises."""
        try:
            with self._made() as credential:
                return credential.get_token_info(*scopes, options=options)
        except (FileNotFoundError, PermissionError):
            failure = self._unreadable()
        raise failure

    def token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **_: Any,  # noqa: ANN401 - the SDK's own signature
    ) -> AccessToken:
        """The same in the SDK's older form."""
        options: TokenRequestOptions = {"enable_cae": enable_cae}
        if claims:
            options["claims"] = claims
        if tenant_id:
            options["tenant_id"] = tenant_id
        info = self.token_info(*scopes, options=options)
        return AccessToken(info.token, info.expires_on)

    get_token_info = token_info
    get_token = token

    def _made(self) -> SupportsTokenInfo:
        try:
            made = self._make()
        except (OSError, ValueError):
            failure = self._unreadable()
        else:
            redaction.install()  # what it is made of was loaded just now
            return made
        raise failure  # out here: the texts of those errors name what was read, and may hold it

    def _unreadable(self) -> Denied:
        return Denied(f"the identity {self.kind!r} cannot be read on this host", SIGN_IN[self.kind])


def sign_in(
    identity: Identity, bundle: Callable[[str], Bundle], *, ca_file: str | None, authority: str | None, timeout: float
) -> SignIn:
    """The credential for a declared identity; nothing is read or asked yet.

    Args:
        identity: as the manifest declares it.
        bundle: reads the current bundle of another secret, anew at each call.
        ca_file: authorities for who issues tokens.
        authority: who issues tokens, if not the public cloud.
        timeout: seconds for one request.
    """

    def common() -> dict[str, Any]:
        """Each credential closes its own connection."""
        return {"transport": transport(timeout, ca_file), "retry_total": 2, "logging_enable": False}

    def entra() -> dict[str, Any]:
        # always said, since the SDK would take one from AZURE_AUTHORITY_HOST and send it a client secret
        elsewhere = {"authority": authority, "disable_instance_discovery": True}
        return common() | (elsewhere if authority else {"authority": AzureAuthorityHosts.AZURE_PUBLIC_CLOUD})

    return SignIn(identity.kind, _maker(identity, bundle, common, entra, timeout))


def _maker(
    identity: Identity, bundle: Callable[[str], Bundle], common: _Options, entra: _Options, timeout: float
) -> Callable[[], SupportsTokenInfo]:
    match identity:
        case Managed():
            # without it four variables of the environment turn a managed identity into a workload's
            only: dict[str, Any] = {"_exclude_workload_identity_credential": True}
            return lambda: ManagedIdentityCredential(client_id=identity.client_id, **only, **common())
        case Workload():
            tenant, client, file = identity.tenant_id, identity.client_id, str(identity.token_file)
            return lambda: _with_token_file(tenant, client, file, entra())
        case ClientSecret():
            return lambda: _with_secret(identity, bundle, entra())
        case ClientCertificate():
            path = str(identity.certificate_file)
            return lambda: CertificateCredential(identity.tenant_id, identity.client_id, path, **entra())
        case Cli():
            return partial(AzureCliCredential, tenant_id=identity.tenant_id or "", process_timeout=max(1, int(timeout)))


def _with_token_file(tenant: str, client: str, file: str, entra: dict[str, Any]) -> SupportsTokenInfo:
    made = WorkloadIdentityCredential(tenant_id=tenant, client_id=client, token_file_path=file, **entra)
    return cast(SupportsTokenInfo, made)  # it leaves `__enter__` to a parent that returns another type


def _with_secret(
    identity: ClientSecret, bundle: Callable[[str], Bundle], entra: dict[str, Any]
) -> ClientSecretCredential:
    value = client_secret(bundle(identity.credential), identity.credential)
    return ClientSecretCredential(identity.tenant_id, identity.client_id, value.reveal(), **entra)


def client_secret(bundle: Bundle, name: str) -> SecretValue:
    """The client secret in its bundle. Raises NotFound."""
    for field in FIELDS:
        if field in bundle:
            return bundle[field]
    raise NotFound(f"{name!r} has no field {' or '.join(FIELDS)}", f"keyturn set {name}")
