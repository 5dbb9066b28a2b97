"""[secrets.NAME] kind = "prometheus": basic-auth users in the web configuration of an exporter or server."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from keyturn.manifest.problems import Flaw
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import AbsolutePath, AtLeastOne, HttpUrl, Identifier, Table


class Target(Table):
    """Where it listens, its `web.config.file`, and one user or two that take turns."""

    url: HttpUrl
    """What asks for the password."""
    web_config: AbsolutePath
    """Its `web.config.file`."""
    users: AtLeastOne[Identifier]
    """Two that take turns, or one."""
    ca_file: AbsolutePath | None = None
    """Authorities that may vouch for the server."""

    def flaws(self) -> Iterator[Flaw]:
        """More than two users, or one twice."""
        if len(self.users) > 2 or len(set(self.users)) != len(self.users):  # noqa: PLR2004 -- a pair
            yield Flaw(("users",), "not one or two distinct users", 'such as ["admin_a", "admin_b"]')


class Options(SecretTable):
    """A basic-auth log-in."""

    kind: Literal["prometheus"]
    """Basic-auth users of Prometheus and its exporters."""
    target: Target
    """Server and users."""

    coordinates: ClassVar[tuple[str, ...]] = ("url",)

    @property
    def bundle(self) -> tuple[str, ...]:
        """A user and its password."""
        return ("username", "password")

    @property
    def rotating(self) -> frozenset[str]:
        """With two users both fields; with one, its password."""
        return frozenset(self.bundle if len(self.target.users) > 1 else {"password"})

    @property
    def whereabouts(self) -> Mapping[str, str]:
        """What asks for the password."""
        return {"url": self.target.url}

    @property
    def accounts(self) -> tuple[str, ...]:
        """The users."""
        return self.target.users
