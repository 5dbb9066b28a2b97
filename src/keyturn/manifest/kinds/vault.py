"""[stores.NAME] kind = "vault": HashiCorp Vault or OpenBao, KV version 2."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from keyturn.manifest.shapes import AbsolutePath, HttpUrl, Line, Name, PositiveDuration, Table
from keyturn.manifest.store import StoreTable


class Token(Table):
    """A token in a file that something else renews."""

    kind: Literal["token-file"]
    token_file: AbsolutePath


class AppRole(Table):
    """An AppRole; `credential` names a secret that Keyturn uses itself."""

    kind: Literal["approle"]
    role_id: Line
    credential: Name
    mount: Line = "approle"


class Jwt(Table):
    """A federated token."""

    kind: Literal["jwt", "kubernetes"]
    role: Line
    token_file: AbsolutePath
    mount: Line | None = None


Identity = Annotated[Token | AppRole | Jwt, Field(discriminator="kind")]


class Options(StoreTable):
    """One KV mount; `prefix` stands before every name."""

    kind: Literal["vault"]
    url: HttpUrl
    identity: Identity
    mount: Line = "secret"
    prefix: Line | None = None
    namespace: Line | None = None
    ca_file: AbsolutePath | None = None
    timeout: PositiveDuration = 10.0

    name_limit: ClassVar[int] = 255

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The secret id, where AppRole is the identity."""
        return (("identity", self.identity.credential),) if isinstance(self.identity, AppRole) else ()
