"""A double of what Entra ID does for a client with a secret: discovery documents and tokens. It signs nothing.

A token of this double is a random text that only its own issuer can look up, so nobody can forge one; clients have
no business to look into the token of a service (learn.microsoft.com/entra/identity-platform/access-tokens).
"""

import hmac
import secrets
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from keyturn.core.secret import Bundle

TENANT = "7b1c0f4e-52f3-4c0c-9d5f-6b1d2a7e3c90"
"""The same for every double: the SDK of Key Vault keeps in its process, by address, which tenant a vault is of."""
AUDIENCE = "https://vault.azure.net"


class Identity(NamedTuple):
    """An application with a client secret, in the field `value`."""

    client_id: str
    client_secret: Bundle


class Reply(NamedTuple):
    """Status and JSON body."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Token:
    client_id: str
    audience: str
    until: float


@dataclass(slots=True)
class TokenIssuer:
    """One tenant with its applications and the tokens that it gave out.

    Attributes:
        url: the authority, without the tenant.
        life: how long a token is good, in seconds.
    """

    url: str
    life: int = 3600
    _identities: dict[str, Identity] = field(default_factory=dict)
    _tokens: dict[str, _Token] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def register(self) -> Identity:
        """A new application."""
        made = Identity(str(uuid.uuid4()), Bundle({"value": secrets.token_urlsafe(30)}))
        with self._lock:
            self._identities[made.client_id] = made
        return made

    def discovery(self) -> Reply:
        """The discovery document (OpenID Connect Discovery 1.0, section 3), as far as MSAL asks for it."""
        base = f"{self.url}/{TENANT}"
        return Reply(
            200,
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            },
        )

    def token(self, form: Mapping[str, str]) -> Reply:
        """A token by client credentials (RFC 6749, section 4.4), for the scope `AUDIENCE/.default`."""
        known = self._identities.get(form.get("client_id", ""))
        if form.get("grant_type") != "client_credentials":
            return _refused("unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.")
        if known is None:
            return _refused("unauthorized_client", "AADSTS700016: Application was not found in the directory.")
        if not _same(form.get("client_secret", ""), known.client_secret["value"].reveal()):
            return _refused("invalid_client", "AADSTS7000215: Invalid client secret provided.", 401)
        audience, _, permission = form.get("scope", "").rpartition("/")
        if permission != ".default" or not audience:
            return _refused("invalid_scope", "AADSTS70011: The provided value for the input parameter 'scope' is off.")
        made = secrets.token_urlsafe(48)
        with self._lock:
            self._tokens[made] = _Token(known.client_id, audience, time.monotonic() + self.life)
        return Reply(200, {"token_type": "Bearer", "expires_in": self.life, "access_token": made})

    def bearer(self, token: str, audience: str = AUDIENCE) -> str | None:
        """The client whose token for that audience this is; None when it is expired, of another one or unknown."""
        with self._lock:
            found = self._tokens.get(token)
        good = found is not None and found.audience == audience and time.monotonic() < found.until
        return found.client_id if found and good else None

    def expire(self) -> None:
        """Every token that was given out until now is no good any more."""
        with self._lock:
            self._tokens.clear()


def _same(given: str, kept: str) -> bool:
    return hmac.compare_digest(given.encode(), kept.encode())


def _refused(error: str, description: str, status: int = 400) -> Reply:
    return Reply(status, {"error": error, "error_description": description, "error_codes": []})
