"""[secrets.NAME] kind = "grafana": the password of a Grafana user, a single slot."""

from typing import ClassVar, Literal

from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import AbsolutePath, HttpUrl, Identifier, Name, Table


class Target(Table):
    """The server and the user. Without `admin` the user changes its own password."""

    url: HttpUrl
    user: Identifier
    admin: Name | None = None
    ca_file: AbsolutePath | None = None


class Options(SecretTable):
    """A Grafana log-in."""

    kind: Literal["grafana"]
    target: Target

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
