"""One change of one role, in one transaction, at most once and never after a later one."""

from collections.abc import Callable
from dataclasses import dataclass

from psycopg import sql

from keyturn.core.errors import Conflict, FenceLost, NotFound, OutcomeUnknown, Unavailable, Unsupported
from keyturn.rotators.postgres.mark import Mark
from keyturn.system.postgres import Session, answers, begin
from keyturn.system.scram import is_verifier

_ROLE = """
SELECT rolcanlogin, shobj_description(oid, 'pg_authid') FROM pg_catalog.pg_roles WHERE rolname = %s
"""
DURABLE = """
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') <> 'remote_apply'
"""
_WARNING = "01000"


@dataclass(frozen=True, slots=True)
class Effect:
    """What is to become of a role: `change` follows its name in ALTER ROLE; then `enabled` holds.

    An empty `change` leaves the role as it is, and so does None for `enabled`: only the fence is set.
    """

    role: str
    mark: Mark
    change: sql.Composable
    enabled: bool | None

    def carry_out(self, session: Session, within: Callable[[Session], int] | None = None) -> int:
        """Change the role, unless this effect or a later one stands there already.

        Args:
            session: of the admin, on the server that takes writes.
            within: done in the same transaction while nobody else can change the role, before the commit.

        Returns:
            What `within` returned; 0 without it, or when this effect stands there already.

        Raises:
            FenceLost: a later effect stands there.
            Conflict: the role is not ours, or was changed by somebody else.
            NotFound: there is no such role.
            OutcomeUnknown: the commit was sent and not answered.
            Unavailable, Denied, Unsupported: nothing was changed.
        """
        what = f"changing role {self.role}"
        with answers(what):
            begin(session)
            session.execute(DURABLE)
            lock(session, self.role)
            before = self._stored(session)
            if self._done(before):
                return 0
            role = sql.Identifier(self.role)
            session.execute(sql.SQL("ALTER ROLE {} {}").format(role, self.change))
            # Advisory locks are per database. ALTER ROLE holds the role itself until the end of the
            # transaction: a worker that came by another database is seen now, and none comes after.
            if self._stored(session).mark != before.mark:
                raise Unavailable(f"{what}: another worker changed it at the same time")
            session.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(role, sql.Literal(str(self.mark))))
            done = within(session) if within else 0
        with answers(what, sent=True):
            _commit(session, what)
        return done

    def not_overtaken(self, session: Session) -> None:
        """Look at the fence where no write is possible, on a standby. Raises what `carry_out` raises."""
        self._done(self._stored(session))

    def _stored(self, session: Session) -> "_Stored":
        row = session.execute(_ROLE, (self.role,)).fetchone()
        if row is None:
            raise NotFound(f"there is no role {self.role}", f"keyturn provision {self.mark.secret}")
        mark = Mark.parse(row[1])
        if mark is None or not mark.same_owner(self.mark):
            raise foreign(self.role, mark)
        return _Stored(row[0], mark)

    def _done(self, stored: "_Stored") -> bool:
        """Whether this very effect stands there already."""
        fence = stored.mark.fence
        if fence > self.mark.fence:
            raise FenceLost(f"role {self.role} carries a later effect ({fence}, this one is {self.mark.fence})")
        if fence == self.mark.fence and self.enabled not in (None, stored.enabled):
            raise Conflict(
                f"role {self.role} was changed by somebody else: it {'may' if stored.enabled else 'may not'} log in",
                f"keyturn status {self.mark.secret}",
            )
        return fence == self.mark.fence


def _commit(session: Session, what: str) -> None:
    """COMMIT; who waits for a synchronous standby in vain is told so by a mere warning."""
    warned: list[str] = []
    session.add_notice_handler(lambda notice: warned.append(notice.sqlstate or ""))
    session.execute("COMMIT")
    if _WARNING in warned:
        raise OutcomeUnknown(
            f"{what}: committed on the primary alone, no synchronous standby has confirmed it",
            "look at pg_stat_replication on the primary",
        )


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the role says of itself."""

    enabled: bool
    mark: Mark


def log_in_with(check: str) -> sql.Composed:
    """The change that lets a role log in with the password behind a SCRAM verifier.

    Raises:
        Unsupported: anything else, which PostgreSQL would take for a plaintext password.
    """
    if not is_verifier(check):
        raise Unsupported("what was made of the password is no SCRAM verifier, and is not sent")
    return sql.SQL("LOGIN PASSWORD {}").format(sql.Literal(check))


def lock(session: Session, role: str) -> None:
    """Wait for everybody else who changes this role; held until the transaction ends."""
    session.execute("SELECT pg_advisory_xact_lock(hashtextextended('keyturn role ' || %s, 0))", (role,))


def foreign(role: str, stored: Mark | None) -> Conflict:
    """The role is not ours; nothing is ever taken over silently."""
    whose = f"belongs to {stored.service} {stored.environment} {stored.secret}" if stored else "was not made by Keyturn"
    return Conflict(f"role {role} {whose}", "name other roles in the manifest; existing ones are not taken over")
