"""The tenant that a vault must be of: it is asked before a token, and a token before anything else is sent.

A vault names its tenant in the challenge with which it answers a request that has no token. The SDK hands that name to
whoever gives out tokens, so that this is where it is compared: what is refused here has sent neither token nor value.
"""

import re
from typing import Any

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions

from keyturn.core.errors import Denied
from keyturn.stores.azure_key_vault.identity import SignIn

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


class TenantPin:
    """A credential for one vault, which gives out no token when the vault is of another tenant.

    Args:
        credential: how to sign in.
        vault: its URL, for messages.
        tenant: the pinned one; None lets every tenant pass.

    Attributes:
        named: the tenant that the vault named last, None before the first time or where it named none.
    """

    def __init__(self, credential: SignIn, vault: str, tenant: str | None) -> None:
        self._credential, self._vault, self._tenant = credential, vault, tenant
        self.named: str | None = None

    @property
    def kind(self) -> str:
        """Of the identity, for messages."""
        return self._credential.kind

    @property
    def pinned(self) -> bool:
        """Whether a tenant is pinned at all."""
        return self._tenant is not None

    def token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """A fresh token. Raises Denied, AdapterError, or what the SDK raises."""
        self._check((options or {}).get("tenant_id"))
        return self._credential.token_info(*scopes, options=options)

    def token(self, *scopes: str, tenant_id: str | None = None, **more: Any) -> AccessToken:  # noqa: ANN401 - the SDK's own signature
        """The same in the SDK's older form."""
        self._check(tenant_id)
        return self._credential.token(*scopes, tenant_id=tenant_id, **more)

    get_token_info = token_info
    get_token = token

    def _check(self, named: object) -> None:
        known = named if isinstance(named, str) and _GUID.match(named) else None
        self.named = known.lower() if known else None
        if self._tenant is None or self.named == self._tenant.lower():
            return
        raise Denied(
            f"{self._vault} is of tenant {self.named or '(none that can be read)'}, "
            f"the manifest pins {self._tenant}: no token was sent to it",
            "check url and tenant of the store in keyturn.toml",
        )
