"""A double of an Azure Key Vault and of its Entra ID tenant, for tests only: nothing is kept, nobody is protected.

It speaks the secrets API to the real SDK over verified TLS and is as strict as Azure is documented to be, which no
emulator is. Of certificates and keys it has what derived copies need; it has no backup and no restore. It is not
Azure: what is not verified there is said in docs/adr/0022-key-vault-servers-for-tests.md.
"""

import json
from typing import Any
from urllib.parse import parse_qsl

from keyturn.testing.entra import AUDIENCE, TENANT, Identity, TokenIssuer
from keyturn.testing.key_vault_contents import Call, Contents, Role
from keyturn.testing.key_vault_faults import Fault
from keyturn.testing.key_vault_front import NO_STATUS, Front, Incoming, Outgoing, Request, outgoing
from keyturn.testing.key_vault_objects import Objects
from keyturn.testing.resource_manager import Resource

__all__ = ["NO_STATUS", "Fault", "KeyVaultServer", "Request", "Role"]


class KeyVaultServer(Front):
    """A vault and its tenant for as long as the `with` block lasts. A double: see the module.

    Args:
        seed: decides in which order names are listed.
        purge_protection: nothing that was deleted can be purged.

    Attributes:
        client_id: an application that may do what `roles` says.
        client_secret: its secret, in the field `value`.
        roles: client id to what it may do; it may be changed at any time.
        tokens: the issuer, for what it should know or forget.
        resource: the vault as Resource Manager tells of it, at the same address and for tokens of that address.
    """

    def __init__(self, *, seed: int = 0, purge_protection: bool = False) -> None:
        super().__init__(TENANT)
        self.tokens = TokenIssuer(self.authority)
        self.roles: dict[str, Role] = {}
        self.client_id, self.client_secret = self.register(Role.OFFICER)
        self.resource = Resource(self.url, TENANT, readers={self.client_id})
        self._contents = Contents(self.url, seed, purge_protection=purge_protection)
        for form in ("certificates", "keys"):
            objects = Objects(self.url, seed, form, self._contents.keep, self._contents.switch)
            self._contents.objects[form] = objects.answer

    def register(self, role: Role) -> Identity:
        """Another application, with that role."""
        identity = self.tokens.register()
        self.roles[identity.client_id] = role
        return identity

    def answer(self, asked: Incoming) -> Outgoing:
        """What the vault or the tenant says."""
        if asked.path.startswith("/subscriptions/"):
            return self._of_resource(asked)
        if not asked.path.startswith(f"/{TENANT}/"):
            return self._of_vault(asked)
        if (asked.method, asked.path) == ("GET", f"/{TENANT}/v2.0/.well-known/openid-configuration"):
            return outgoing(*self.tokens.discovery())
        if (asked.method, asked.path) == ("POST", f"/{TENANT}/oauth2/v2.0/token"):
            return outgoing(*self.tokens.token(dict(parse_qsl(asked.content.decode()))))
        return outgoing(404, {"error": "invalid_request"})

    def signed_in(self, asked: Incoming) -> bool:
        """Whether the token is one of ours, for what is asked, and not expired."""
        audience = self.url if asked.path.startswith("/subscriptions/") else AUDIENCE
        return self._client(asked, audience) is not None

    def _of_vault(self, asked: Incoming) -> Outgoing:
        client, body = self._client(asked), _json(asked.content)
        if client is None:
            return self.challenge()
        if body is None:
            return outgoing(400, {"error": {"code": "BadParameter", "message": "The body is no JSON object."}})
        call = Call(asked.method, asked.path, dict(parse_qsl(asked.query)), body, self.roles.get(client, Role.NOTHING))
        with self._lock:
            return outgoing(*self._contents.answer(call))

    def _of_resource(self, asked: Incoming) -> Outgoing:
        client = self._client(asked, self.url)
        if client is None or asked.method != "GET":
            return outgoing(401 if client is None else 405, {"error": {"code": "AuthenticationFailed"}})
        return outgoing(*self.resource.answer(client, asked.path, dict(parse_qsl(asked.query))))

    def _client(self, asked: Incoming, audience: str = AUDIENCE) -> str | None:
        scheme, _, token = asked.headers.get("Authorization", "").partition(" ")
        return self.tokens.bearer(token, audience) if scheme == "Bearer" else None


def _json(content: bytes) -> dict[str, Any] | None:
    """The object of a body, an empty one where there is none; None for anything else."""
    try:
        read = json.loads(content or b"{}")
    except ValueError:
        return None
    return read if isinstance(read, dict) else None
