"""[secrets.NAME] kind = "grafana": the password of a Grafana user, a single slot."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import AbsolutePath, HttpUrl, Identifier, Name, Table


class Target(Table):
    """The server and the user. Without `admin` the user changes its own password."""

    url: HttpUrl
    """The server."""
    user: Identifier
    """Whose password."""
    admin: Name | None = None
    """A secret of Keyturn's own: a server admin. Without, the user changes its own."""
    ca_file: AbsolutePath | None = None
    """Authorities that may vouch for the server."""


class Options(SecretTable):
    """A Grafana log-in."""

    kind: Literal["grafana"]
    """A Grafana log-in."""
    target: Target
    """Server and user."""

    coordinates: ClassVar[tuple[str, ...]] = ("url",)

    @property
    def bundle(self) -> tuple[str, ...]:
        """The user and its password."""
        return ("username", "password")

    @property
    def rotating(self) -> frozenset[str]:
        """The password: the user stays."""
        return frozenset({"password"})

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The server admin, where there is one."""
        return (("admin", self.target.admin),) if self.target.admin else ()

    @property
    def whereabouts(self) -> Mapping[str, str]:
        """The server."""
        return {"url": self.target.url}

    @property
    def accounts(self) -> tuple[str, ...]:
        """The user."""
        return (self.target.user,)
