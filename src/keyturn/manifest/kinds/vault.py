"""[stores.NAME] kind = "vault": HashiCorp Vault or OpenBao, KV version 2."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from keyturn.manifest.shapes import AbsolutePath, HttpUrl, Line, Name, PositiveDuration, Table
from keyturn.manifest.store import StoreTable


class Token(Table):
    """A token in a file that something else renews."""

    kind: Literal["token-file"]
    """A token that something else renews."""
    token_file: AbsolutePath
    """File with the token."""


class AppRole(Table):
    """An AppRole; `credential` names a secret that Keyturn uses itself."""

    kind: Literal["approle"]
    """An AppRole."""
    role_id: Line
    """Its id."""
    credential: Name
    """A secret of Keyturn's own with the secret id."""
    mount: Line = "approle"
    """Where the method is mounted."""


class Jwt(Table):
    """A federated token."""

    kind: Literal["jwt", "kubernetes"]
    """A federated token."""
    role: Line
    """The role."""
    token_file: AbsolutePath
    """File with the token."""
    mount: Line | None = None
    """Where the method is mounted."""


Identity = Annotated[Token | AppRole | Jwt, Field(discriminator="kind")]


class Options(StoreTable):
    """One KV mount; `prefix` stands before every name."""

    kind: Literal["vault"]
    """HashiCorp Vault or OpenBao, KV version 2."""
    url: HttpUrl
    """The server."""
    identity: Identity
    """How Keyturn signs in."""
    mount: Line = "secret"
    """The KV mount."""
    prefix: Line | None = None
    """Before every name."""
    namespace: Line | None = None
    """Namespace of the server."""
    ca_file: AbsolutePath | None = None
    """Authorities that may vouch for the server."""
    timeout: PositiveDuration = 10.0
    """For one request."""

    name_limit: ClassVar[int] = 255

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The secret id, where AppRole is the identity."""
        return (("identity", self.identity.credential),) if isinstance(self.identity, AppRole) else ()
