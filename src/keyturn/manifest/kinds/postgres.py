"""[secrets.NAME] kind = "postgres": two log-in roles that take turns, members of one owner role."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from keyturn.manifest.problems import Flaw
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import AtLeastOne, Host, Identifier, Name, Tls


class Target(Tls):
    """The database, its roles, and the secret that may change them.

    `hosts` has the primary and its standbys; `roles` the two that take turns; `owner_role` has no
    log-in and owns everything.
    """

    hosts: AtLeastOne[Host]
    dbname: Identifier
    owner_role: Identifier
    roles: AtLeastOne[Identifier]
    admin: Name

    def flaws(self) -> Iterator[Flaw]:
        """Roles that are not two, not distinct, or the owner."""
        yield from super().flaws()
        if len(self.roles) != 2 or len(set(self.roles)) != 2:  # noqa: PLR2004 -- a pair
            yield Flaw(("roles",), "not two distinct roles", 'write two such as ["clo_a", "clo_b"]')
        if self.owner_role in self.roles:
            yield Flaw(("owner_role",), "the owner role is one of the roles that take turns", "it needs its own name")
        if len({host.lower() for host in self.hosts}) != len(self.hosts):
            yield Flaw(("hosts",), "a host is named twice", "name each once")


class Options(SecretTable):
    """A PostgreSQL credential. `probe` is one statement that the consumer must be able to run."""

    kind: Literal["postgres"]
    target: Target

    coordinates: ClassVar[tuple[str, ...]] = ("host", "port", "dbname")

    @property
    def bundle(self) -> tuple[str, ...]:
        """A role and its password."""
        return ("username", "password")

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The role that may change the two."""
        return (("admin", self.target.admin),)
