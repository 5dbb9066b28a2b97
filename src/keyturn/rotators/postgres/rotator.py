"""The rotator of kind `postgres`. What an administrator prepares: docs/targets/postgres.md."""

import secrets
import string
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from copy import copy
from typing import Any

import psycopg
from psycopg import sql

from keyturn.core.adoption import Adoption
from keyturn.core.clock import rfc3339
from keyturn.core.errors import AdapterError, Conflict, Denied, NotFound, Unavailable, Unsupported
from keyturn.core.rights import Right
from keyturn.core.rotator import Answer, Overlap, Probe, Sample, Shape, SlotLook
from keyturn.core.rotator import Session as Seen
from keyturn.core.secret import Bundle, SecretValue
from keyturn.rotators.postgres import adopt
from keyturn.rotators.postgres.agreement import unanimous
from keyturn.rotators.postgres.effect import Effect, log_in_with
from keyturn.rotators.postgres.mark import Mark
from keyturn.rotators.postgres.pooler import FROM_POOLER, POOLED, Pooler, end_idle, facts, joined, through
from keyturn.rotators.postgres.provision import provision
from keyturn.rotators.postgres.rights import rights
from keyturn.rotators.postgres.target import Target
from keyturn.system import postgres
from keyturn.system.postgres import LogInRefused, Server, Session, SessionRefused, answers, begin
from keyturn.system.scram import verifier

Connect = Callable[[Server, Bundle], Session]

PASSWORD_LENGTH = 40
"""Of 62 letters and digits: 238 bits, in an alphabet that no URL, shell, file or SASLprep changes."""
_ALPHABET = string.ascii_letters + string.digits

_OURS = f"(application_name = %(application)s AND {FROM_POOLER} IS FALSE)"
"""Our own sessions. One of the pooler's keeps the name of whoever used it last, so it may be anybody's by now."""
_LOOK = f"""
SELECT r.rolcanlogin, shobj_description(r.oid, 'pg_authid'),
       (SELECT count(*) FROM pg_catalog.pg_stat_activity a
         WHERE a.usename = r.rolname AND NOT {_OURS})
  FROM pg_catalog.pg_roles r WHERE r.rolname = %(slot)s
"""  # noqa: S608  # a constant of ours; values are parameters
_SAMPLE = f"""
SELECT host(client_addr), application_name, backend_start, pid, {POOLED} FROM pg_catalog.pg_stat_activity
 WHERE usename = %(slot)s AND NOT {_OURS} ORDER BY pid
"""  # noqa: S608  # as above
_RIGHT_TO_SEE = "SELECT pg_has_role('pg_read_all_stats', 'usage')"
_STANDBY = "SELECT pg_is_in_recovery(), pg_postmaster_start_time()::text"


class Postgres:
    """Two log-in roles of one cluster, used in turn; or one, whose password is replaced (single-slot).

    Args:
        admin: reads the admin bundle (`username`, `password`) anew for each connection.
        connect: opens one connection; the crash harness wraps it.
        hosts, dbname, owner_role, roles, sslmode, sslrootcert, connect_timeout, deadline, probe,
            secret, service, environment, pooler: see `Target`.
    """

    kind = "postgres"
    shape = Shape.OUTSIDE
    fenced = True

    def __init__(  # noqa: PLR0913  # the options of a manifest's table, one by one
        self,
        *,
        hosts: Sequence[tuple[str, int]],
        dbname: str,
        owner_role: str,
        roles: Sequence[str],
        secret: str,
        service: str,
        environment: str,
        admin: Callable[[], Bundle],
        sslmode: str = "verify-full",
        sslrootcert: str | None = None,
        connect_timeout: float = 5.0,
        deadline: float = 15.0,
        probe: str | None = None,
        pooler: Pooler | None = None,
        connect: Connect = postgres.connect,
    ) -> None:
        self._target = Target(
            hosts=tuple(hosts),
            dbname=dbname,
            owner_role=owner_role,
            roles=tuple(roles),
            secret=secret,
            service=service,
            environment=environment,
            sslmode=sslmode,
            sslrootcert=sslrootcert,
            connect_timeout=connect_timeout,
            deadline=deadline,
            probe=probe,
            pooler=pooler,
        )
        self.releases = pooler is not None and pooler.release_idle
        self._facts = facts(pooler, self._target.application)
        self.slots = self._target.roles
        self.overlap = Overlap.TWO_CREDENTIALS if len(self.slots) > 1 else Overlap.NONE
        self._read_admin = admin
        self._connect = connect
        self._watching: dict[Server, Session] = {}

    def close(self) -> None:
        """Close the connections that `sample` keeps; the rotator may be used again."""
        while self._watching:
            self._watching.popitem()[1].close()

    def slot_of(self, bundle: Bundle) -> str:
        """The slot whose role the bundle names. Raises Conflict when it names another role."""
        for slot in self.slots:
            if bundle.get("username") == SecretValue(slot):
                return slot
        raise Conflict(f"the bundle does not belong to {' or '.join(self.slots)}")

    def generate(self, slot: str) -> Bundle:
        """A new password for the slot, of 40 random letters and digits."""
        self._check(slot)
        return Bundle(
            {"username": slot, "password": "".join(secrets.choice(_ALPHABET) for _ in range(PASSWORD_LENGTH))}
        )

    def coordinates(self) -> Mapping[str, str]:
        """Where consumers connect to: `host` and `port` of the first, `dbname`, and `hosts` with all of them."""
        servers = self._target.poolers or self._target.servers
        host = f"[{servers[0].host}]" if ":" in servers[0].host else servers[0].host
        return {
            "host": host,
            "port": str(servers[0].port),
            "dbname": servers[0].dbname,
            "hosts": ",".join(server.node for server in servers),
        }

    def look(self, slot: str) -> SlotLook:
        """The role on every declared host: `enabled` if on any, sessions of all added up."""
        self._check(slot)
        looks = [self._look(server, slot) for server in self._target.servers]
        return SlotLook(
            slot,
            exists=any(look.exists for look in looks),
            enabled=any(look.enabled for look in looks),
            sessions=sum(look.sessions for look in looks),
            fence=max((look.fence for look in looks if look.fence is not None), default=None),
        )

    def apply(self, bundle: Bundle, fence: int) -> None:
        """Let the role log in with the bundle's password; only its SCRAM verifier goes to the server.

        The password that the role had before is refused from then on. Open sessions stay.

        Raises:
            FenceLost, Conflict, NotFound, OutcomeUnknown, Unavailable, Denied, Unsupported: see `Effect`.
        """
        slot = self.slot_of(bundle)
        self._effect(slot, log_in_with(verifier(bundle["password"])), fence, enabled=True)

    def disable(self, slot: str, fence: int) -> None:
        """NOLOGIN: the right password is then told so, and a wrong one still is not (the proof of death)."""
        self._check(slot)
        self._effect(slot, sql.SQL("NOLOGIN"), fence, enabled=False)

    def accepts(self, bundle: Bundle) -> Probe:
        """Log-ins at every declared host: ACCEPTED or REFUSED only when all of them say so (`unanimous`).

        And so does every host of a declared pooler: it gives a session to what PostgreSQL accepts, and none
        to what PostgreSQL refuses. It is not asked when PostgreSQL said neither.
        """
        self.slot_of(bundle)
        direct = unanimous(self._target.servers, lambda server: self._log_in(server, bundle))
        if direct.answer not in {Answer.ACCEPTED, Answer.REFUSED}:
            return direct
        return joined([direct, *(self._log_in_through(pooler, bundle, direct) for pooler in self._target.poolers)])

    def sample(self, slot: str) -> Sample:
        """The sessions of the role on every declared host, without those that carry our own name."""
        self._check(slot)
        seen: list[Seen] = []
        blind = {f"sessions that call themselves {self._target.application}", "servers that are not declared"}
        for server in self._target.servers:
            sessions, sees_all = self._sample(server, slot)
            seen += sessions
            if not sees_all:
                blind.add("address and age of sessions: the admin role is no member of pg_read_all_stats")
        if self._target.pooler is not None:
            blind.add("clients that are logged in at the pooler and ask for nothing")
        nodes = tuple(server.node for server in self._target.servers)
        return Sample(tuple(seen), nodes, tuple(sorted(blind)))

    def release(self, slot: str, fence: int) -> int:
        """End the sessions of the role that the pooler keeps idle, on every declared host; return how many.

        Raises:
            Unsupported: the manifest does not allow it.
            Denied: the admin role lacks pg_read_all_stats or pg_signal_backend.
            FenceLost, Conflict, NotFound, OutcomeUnknown, Unavailable: see `Effect`.
        """
        self._check(slot)
        if not self.releases:
            raise Unsupported("no pooler's idle sessions may be ended", "set release_idle in the pooler's table")
        effect = Effect(slot, self._target.mark.at(fence), sql.SQL(""), enabled=None)
        with self._primary() as session:
            return effect.carry_out(session, lambda primary: self._release(effect, primary))

    def provision(self) -> tuple[str, ...]:
        """Create owner role and log-in roles, without a password, where they are missing."""
        with self._primary() as session:
            return provision(session, self._target)

    def rights(self) -> tuple[Right, ...]:
        """What the admin role may do, and what the log-in roles will need, on the server that takes writes."""
        with self._primary() as session:
            return rights(session, self._target)

    def adoption(self, existing: Sequence[str], admin: Bundle | None = None) -> Adoption:
        """How the database that is in use can be taken over; looks with `admin` if one is given."""
        looking = copy(self)
        if admin is not None:
            looking._read_admin = lambda: admin  # noqa: SLF001 - a copy of ourselves
        with looking._primary() as session:  # noqa: SLF001 - the same
            return adopt.adoption(session, self._target, existing, declared=admin is None)

    def _check(self, slot: str) -> None:
        if slot not in self.slots:
            raise NotFound(f"there is no slot {slot!r:.80}, only {' and '.join(self.slots)}")

    def _admin(self, server: Server) -> Session:
        try:
            return self._connect(server, self._read_admin())
        except (LogInRefused, SessionRefused) as error:
            raise Denied(
                f"the admin credential of {self._target.secret}: {error.message}",
                error.remedy or "keyturn set the admin secret to what the server accepts",
            ) from None

    @contextmanager
    def _primary(self) -> Iterator[Session]:
        """An admin session on the one server that takes writes, wherever it stands in `hosts`.

        Raises:
            Conflict: two of them do. After a failover the former primary may come back as one, and what
                is written there is lost.
        """
        failure: AdapterError = Unavailable("every declared host is a standby", "declare the primary in hosts, too")
        with ExitStack() as unused:
            found: dict[str, tuple[str, Session]] = {}  # two names may lead to one server: by the moment of its start
            for server in self._target.servers:
                try:
                    session = unused.enter_context(closing(self._admin(server)))
                    with answers(f"asking {server.node} whether it takes writes"):
                        standby, started = _only(session.execute(_STANDBY))
                except AdapterError as error:  # another one may be the primary by now
                    failure = error
                    continue
                if not standby:
                    found.setdefault(started, (server.node, session))
            if len(found) > 1:
                raise Conflict(
                    f"{' and '.join(node for node, _ in found.values())} both take writes: the cluster is split",
                    f"stop the former primary or take it out of hosts, then keyturn resume {self._target.secret}",
                )
            for _, session in found.values():
                yield session
                return
            raise failure

    def _effect(self, slot: str, change: sql.Composable, fence: int, *, enabled: bool) -> None:
        effect = Effect(slot, self._target.mark.at(fence), change, enabled)
        with self._primary() as session:
            effect.carry_out(session)

    def _release(self, effect: Effect, primary: Session) -> int:
        """All servers, while the fence is held on the one that takes writes."""
        ended = end_idle(primary, effect.role, self._facts)
        for server in self._target.servers:
            if (server.host, server.port) == (primary.info.host, primary.info.port):
                continue
            with closing(self._admin(server)) as session, answers(f"ending idle sessions on {server.node}"):
                begin(session)
                effect.not_overtaken(session)
                ended += end_idle(session, effect.role, self._facts)
        return ended

    def _look(self, server: Server, slot: str) -> SlotLook:
        with closing(self._admin(server)) as session, answers(f"looking at role {slot} on {server.node}"):
            begin(session)
            row = session.execute(_LOOK, {"slot": slot, **self._facts}).fetchone()
        if row is None:
            return SlotLook(slot, exists=False, enabled=False, sessions=0, fence=None)
        mark = Mark.parse(row[1])
        ours = mark is not None and mark.same_owner(self._target.mark)
        return SlotLook(
            slot,
            exists=True,
            enabled=row[0],
            sessions=row[2],
            fence=(mark.fence or None) if mark and ours else None,
        )

    def _log_in(self, server: Server, bundle: Bundle) -> Probe:
        try:
            with closing(self._connect(server, bundle)) as session:
                return self._use(server, session)
        except LogInRefused as error:
            return Probe(Answer.REFUSED, error.message)
        except Unavailable as error:
            return Probe(Answer.UNREACHABLE, error.message)
        except AdapterError as error:
            return Probe(Answer.UNUSABLE, error.message)

    def _log_in_through(self, pooler: Server, bundle: Bundle, direct: Probe) -> Probe:
        return through(direct.answer, lambda: self._connect(pooler, bundle), lambda session: self._use(pooler, session))

    def _use(self, server: Server, session: Session) -> Probe:
        """What a consumer does after its log-in: be the owner, and be allowed what the probe says."""
        with answers(f"using a session on {server.node}"):
            begin(session)
            current = _only(session.execute("SELECT session_user, current_user, pg_is_in_recovery()"))
            if current[1] != self._target.owner_role:
                return Probe(Answer.UNUSABLE, f"{server.node} made the session {current[1]}, not the owner role")
        if self._target.probe is not None:
            self._may(server, session, self._target.probe, standby=current[2])
        return Probe(Answer.ACCEPTED, f"{server.node} gave a session as {current[0]}, {current[1]}")

    def _may(self, server: Server, session: Session, probe: str, *, standby: bool) -> None:
        """Run the probe, which may write: a standby is asked for no more than it can do."""
        try:
            with answers(f"using a session on {server.node}"):
                # Binary, so by the extended protocol: it takes one statement and no more, so that none can commit.
                session.execute(probe.encode(), binary=True)
                session.execute("ROLLBACK")
        except Conflict:
            if not standby:  # else 25006: it takes no writes from anybody
                raise

    def _sample(self, server: Server, slot: str) -> tuple[list[Seen], bool]:
        kept = self._watching.pop(server, None)
        if kept is not None:
            # A line that has grown old may be dead; that says nothing of the server.
            with suppress(Unavailable):
                return self._ask(kept, server, slot)
        return self._ask(self._admin(server), server, slot)

    def _ask(self, session: Session, server: Server, slot: str) -> tuple[list[Seen], bool]:
        session.deadline = time.monotonic() + self._target.deadline
        try:
            with answers(f"sampling role {slot} on {server.node}"):
                begin(session)
                sees_all = bool(_only(session.execute(_RIGHT_TO_SEE))[0])
                rows = session.execute(_SAMPLE, {"slot": slot, **self._facts}).fetchall()
                session.execute("COMMIT")
        except BaseException:
            session.close()
            raise
        self._watching[server] = session
        return [_seen(row, sees_all=sees_all) for row in rows], sees_all


def _only(cursor: psycopg.Cursor[tuple[Any, ...]]) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None
    return row


def _seen(row: tuple[Any, ...], *, sees_all: bool) -> Seen:
    address, application, since, pid, pooled = row
    return Seen(
        address or ("local" if sees_all else "not shown"),
        application or "",
        rfc3339(since) if since else "",
        pid,
        pooled=pooled,
    )
