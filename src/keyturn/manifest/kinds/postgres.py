"""[secrets.NAME] kind = "postgres": two log-in roles that take turns, or one; members of one owner role."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Annotated, ClassVar, Literal

from keyturn.manifest.problems import Flaw, Off
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import AtLeastOne, Host, Identifier, Line, Name, PositiveDuration, Several, Tls, shape

_ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_$.@-]{0,62}\Z", re.ASCII)
_RESERVED = re.compile(r"pg_.*|public|none|current_role|current_user|session_user", re.IGNORECASE)


def _role(text: str) -> str:
    if not _ROLE.match(text) or _RESERVED.fullmatch(text):
        raise Off("is not a role that Keyturn takes", "letters, digits and _, no name that PostgreSQL reserves")
    return text


Role = Annotated[str, *shape(_role, "^[A-Za-z_][A-Za-z0-9_$.@-]{0,62}$", example="clo_a")]
"""A role of the cluster; the allow-list keeps it free of anything that needs quoting twice."""


def _address(text: str) -> str:
    if text != "local":
        try:
            ip_network(text)
        except ValueError:
            raise Off("is no address", 'write an IP such as "10.0.0.7", a network, or "local"') from None
    return text


Address = Annotated[str, *shape(_address, example="10.0.0.7")]
"""Where sessions come from: an IP address, a network, or `local` for PostgreSQL's Unix socket."""


class Pooler(Tls):
    """A connection pooler (pgbouncer) that the consumers connect to; Keyturn itself works on `target.hosts`.

    `addresses` and `applications` tell its sessions from others; the published `{host}`, `{port}`,
    `{hosts}` and `{dbname}` are the pooler's.
    """

    hosts: AtLeastOne[Host]
    """Where it listens; the new credential has to work through each."""
    mode: Literal["transaction", "session"]
    """Its `pool_mode`."""
    addresses: AtLeastOne[Address]
    """Where PostgreSQL sees its sessions come from."""
    applications: Several[Line] = ()
    """If given: application names of its clients; a session of another name is not the pooler's."""
    dbname: Identifier | None = None
    """The database's name at the pooler, if it is another one."""
    release_idle: bool = False
    """Whether its idle sessions of a credential that all consumers have left may be ended."""

    @property
    def endpoints(self) -> tuple[tuple[str, int], ...]:
        """The hosts as (host, port), without the brackets of an IPv6 address."""
        return _endpoints(self.hosts)

    def flaws(self) -> Iterator[Flaw]:
        """A host that is named twice."""
        yield from super().flaws()
        yield from _twice(self.hosts)


class Target(Tls):
    """The database, its roles, and the secret that may change them.

    `hosts` has the primary and its standbys; `roles` the two that take turns, or the only one;
    `owner_role` has no log-in and owns everything.
    """

    hosts: AtLeastOne[Host]
    """Primary and standbys of one cluster."""
    dbname: Identifier
    """The database."""
    owner_role: Role
    """Role without log-in that owns everything."""
    roles: AtLeastOne[Role]
    """The two log-in roles that take turns, or one: single-slot, with a gap at each rotation."""
    admin: Name
    """A secret of Keyturn's own: the role that may change them."""
    deadline: PositiveDuration = 15.0
    """For one connection with all that is asked on it."""
    pooler: Pooler | None = None
    """What the consumers connect to instead of the hosts."""

    @property
    def endpoints(self) -> tuple[tuple[str, int], ...]:
        """The hosts as (host, port), without the brackets of an IPv6 address."""
        return _endpoints(self.hosts)

    def flaws(self) -> Iterator[Flaw]:
        """Roles that are more than two, not distinct, or the owner."""
        yield from super().flaws()
        if len(self.roles) > 2 or len(set(self.roles)) != len(self.roles):  # noqa: PLR2004 -- a pair
            yield Flaw(("roles",), "not one role or two distinct ones", 'write two such as ["clo_a", "clo_b"]')
        if self.owner_role in self.roles:
            yield Flaw(("owner_role",), "the owner role is one of the log-in roles", "it needs its own name")
        yield from _twice(self.hosts)


def _endpoints(hosts: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    parts = (host.rpartition(":") for host in hosts)
    return tuple((host.strip("[]"), int(port)) for host, _, port in parts)


def _twice(hosts: tuple[str, ...]) -> Iterator[Flaw]:
    if len({host.lower() for host in hosts}) != len(hosts):
        yield Flaw(("hosts",), "a host is named twice", "name each once")


class Options(SecretTable):
    """A PostgreSQL credential. `probe` is one statement that the consumer must be able to run."""

    kind: Literal["postgres"]
    """A PostgreSQL credential."""
    target: Target
    """The database and its roles."""

    coordinates: ClassVar[tuple[str, ...]] = ("host", "port", "dbname", "hosts")

    @property
    def bundle(self) -> tuple[str, ...]:
        """A role and its password."""
        return ("username", "password")

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The role that may change them."""
        return (("admin", self.target.admin),)

    @property
    def whereabouts(self) -> Mapping[str, str]:
        """Where consumers connect to: the first host, all hosts, the database; of a pooler, where there is one."""
        pooler = self.target.pooler
        hosts, dbname = self.target.hosts, self.target.dbname
        if pooler is not None:
            hosts, dbname = pooler.hosts, pooler.dbname or dbname
        host, _, port = hosts[0].rpartition(":")
        return {"host": host, "port": port, "dbname": dbname, "hosts": ",".join(hosts)}

    @property
    def accounts(self) -> tuple[str, ...]:
        """The two roles that take turns, or the only one."""
        return self.target.roles
