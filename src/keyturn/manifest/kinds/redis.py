"""[secrets.NAME] kind = "redis": two users that take turns, one user with two passwords, or `requirepass`."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from keyturn.manifest.problems import Flaw
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import Host, Identifier, Line, Name, Several, Tls


class Target(Tls):
    """The servers, the users, and the secret that may change them.

    `users` has two for the full proof of disuse, or one that holds two passwords for a while;
    `requirepass = true` is the password of the whole server, a single slot. `sentinels` are asked
    who is the primary of `sentinel_name`.
    """

    hosts: Several[Host] = ()
    """Primary and replicas."""
    sentinels: Several[Host] = ()
    """Who knows the primary."""
    sentinel_name: Line | None = None
    """What the Sentinels call it."""
    db: Annotated[int, Field(ge=0, le=65535)] = 0
    """Number of the database."""
    users: Several[Identifier] = ()
    """Two that take turns, or one that holds two passwords for a while."""
    requirepass: bool = False
    """The password of the whole server: a single slot."""
    admin: Name | None = None
    """A secret of Keyturn's own: the user that may change the others."""

    def flaws(self) -> Iterator[Flaw]:
        """No server; no users and no `requirepass`, or both; users without an admin."""
        yield from super().flaws()
        if not self.hosts and not self.sentinels:
            yield Flaw(("hosts",), "no host", 'write hosts = ["cache.internal:6379"]')
        if bool(self.sentinels) != (self.sentinel_name is not None):
            yield Flaw(("sentinels",), "'sentinels' and 'sentinel_name' belong together", "write both or none")
        if bool(self.users) == self.requirepass or len(set(self.users)) != len(self.users) or len(self.users) > 2:  # noqa: PLR2004 -- a pair
            yield Flaw(("users",), "not one or two distinct users", 'such as ["clo_a", "clo_b"], or requirepass = true')
        if self.users and self.admin is None:
            yield Flaw(("admin",), "users need a secret that may change them", 'such as admin = "redis-admin"')


class Options(SecretTable):
    """A Redis credential."""

    kind: Literal["redis"]
    """A Redis credential."""
    target: Target
    """The servers and users."""

    coordinates: ClassVar[tuple[str, ...]] = ("host", "port", "db")

    @property
    def bundle(self) -> tuple[str, ...]:
        """A user and a password; with `requirepass` the password alone."""
        return ("password",) if self.target.requirepass else ("username", "password")

    @property
    def rotating(self) -> frozenset[str]:
        """With two users both fields; with one, its password."""
        return frozenset({"password"} if len(self.target.users) < 2 else self.bundle)  # noqa: PLR2004 -- a pair

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The user that may change the others."""
        return (("admin", self.target.admin),) if self.target.admin else ()

    @property
    def whereabouts(self) -> Mapping[str, str]:
        """The first server, where one is named, and the database."""
        host, _, port = self.target.hosts[0].rpartition(":") if self.target.hosts else ("", "", "")
        named = {"host": host, "port": port} if host else {}
        return {**named, "db": str(self.target.db)}

    @property
    def accounts(self) -> tuple[str, ...]:
        """The users, where the password is not that of the whole server."""
        return self.target.users
