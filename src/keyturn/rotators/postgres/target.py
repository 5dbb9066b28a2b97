"""Where the credential is used: the declared servers of one PostgreSQL cluster, and the names in it."""

import re
from dataclasses import dataclass, field

from keyturn.core.errors import UsageError
from keyturn.rotators.postgres.mark import Mark
from keyturn.rotators.postgres.pooler import Pooler
from keyturn.system.postgres import SSL_MODES, Server

MOST_ROLES = 2
_NAME_BYTES = 63
_ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_$.@-]*", re.ASCII)
_RESERVED = re.compile(r"pg_.*|public|none|current_role|current_user|session_user", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9._:%-]{1,253}", re.ASCII)
_PORTS = 65536
_WORD = re.compile(r"[A-Za-z0-9._-]{1,63}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the manifest says of one PostgreSQL secret.

    Args:
        hosts: the servers of one cluster as (host, port): one primary, any number of its replicas.
        dbname: the database that the consumers use.
        owner_role: the NOLOGIN role that owns everything and that every session becomes.
        roles: the two log-in roles that take turns, or the only one.
        sslmode, sslrootcert: as in libpq; never `allow` or `prefer`.
        connect_timeout: seconds for one log-in.
        deadline: seconds for one connection with all that is asked on it.
        probe: one statement that a consumer must be allowed to run, rolled back afterwards.
        pooler: what the consumers connect to instead of the hosts.
        secret, service, environment: whose the roles are; stands in their COMMENT.

    Raises:
        UsageError: a name that PostgreSQL or libpq would cut, reserve or take for something else, or a
            mode that falls back to plaintext.
    """

    hosts: tuple[tuple[str, int], ...]
    dbname: str
    owner_role: str
    roles: tuple[str, ...]
    secret: str
    service: str
    environment: str
    sslmode: str = "verify-full"
    sslrootcert: str | None = None
    connect_timeout: float = 5.0
    deadline: float = 15.0
    probe: str | None = field(default=None, repr=False)
    pooler: Pooler | None = None

    def __post_init__(self) -> None:
        for role in (self.owner_role, *self.roles):
            _check_role(role)
        if not 1 <= len(self.roles) <= MOST_ROLES:
            raise UsageError(f"a target has one role or two, not {len(self.roles)}")
        if len({self.owner_role, *self.roles}) != 1 + len(self.roles):
            raise UsageError("owner_role and each of the roles must be different roles")
        _check_hosts(self.hosts)
        _check_dbname(self.dbname)
        _check_tls(self.sslmode)
        if self.pooler is not None:
            _check_hosts(self.pooler.hosts)
            _check_dbname(self.pooler.dbname or self.dbname)
            _check_tls(self.pooler.sslmode)
        if "\0" in (self.probe or "") + (self.sslrootcert or ""):
            raise UsageError("probe or sslrootcert holds a NUL character")
        for word in (self.service, self.environment):
            if not _WORD.fullmatch(word):
                raise UsageError(f"{word!r:.80} cannot stand in a role's comment", "use letters, digits, . _ and -")

    @property
    def application(self) -> str:
        """What the server's views call our own sessions; PostgreSQL keeps 63 bytes of it."""
        return f"keyturn/{self.secret}"[:_NAME_BYTES]

    @property
    def mark(self) -> Mark:
        """The owner's half of the comment on our roles."""
        return Mark(self.service, self.environment, self.secret)

    @property
    def servers(self) -> tuple[Server, ...]:
        """Every declared host."""
        return tuple(
            Server(
                host,
                port,
                self.dbname,
                self.application,
                self.sslmode,
                self.sslrootcert,
                self.connect_timeout,
                self.deadline,
            )
            for host, port in self.hosts
        )

    @property
    def poolers(self) -> tuple[Server, ...]:
        """Every declared host of the pooler."""
        pooler = self.pooler
        return tuple(
            Server(
                host,
                port,
                pooler.dbname or self.dbname,
                self.application,
                pooler.sslmode,
                pooler.sslrootcert,
                pooler.connect_timeout,
                self.deadline,
            )
            for pooler in (pooler,)
            if pooler is not None
            for host, port in pooler.hosts
        )


def _check_role(role: str) -> None:
    if not _ROLE.fullmatch(role) or len(role) > _NAME_BYTES or _RESERVED.fullmatch(role):
        raise UsageError(f"{role!r:.80} is not a name for a role", "use up to 63 letters, digits and _")


def _check_tls(sslmode: str) -> None:
    if sslmode not in SSL_MODES:
        raise UsageError(f"sslmode {sslmode!r:.40} is not one of {', '.join(SSL_MODES)}", "use verify-full")


def _check_hosts(hosts: tuple[tuple[str, int], ...]) -> None:
    if not hosts or len(set(hosts)) != len(hosts):
        raise UsageError("a PostgreSQL target needs hosts, each of them once")
    for host, port in hosts:
        # libpq would read a comma as a list, and a slash or @ as the path of a socket.
        if not _HOST.fullmatch(host) or not 0 < port < _PORTS:
            raise UsageError(f"{host!r:.80} port {port} is no host", 'write "name:5432" or "[address]:5432"')


def _check_dbname(dbname: str) -> None:
    # libpq takes a dbname with "=" or "://" for a whole connection string.
    if not 0 < len(dbname.encode("utf-8", "replace")) <= _NAME_BYTES or not dbname.isprintable() or "=" in dbname:
        raise UsageError(f"{dbname!r:.80} is no name for a database")
    if "://" in dbname:
        raise UsageError("dbname is a URL", "write only the name of the database")
