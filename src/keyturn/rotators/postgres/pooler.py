"""A connection pooler between the consumers and PostgreSQL. What is to be known of it: docs/targets/pgbouncer.md."""

import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_network

from keyturn.core.errors import AdapterError, Denied, Unavailable, UsageError
from keyturn.core.rotator import Answer, Probe
from keyturn.system.postgres import LogInRefused, NoLogIn, Session, SessionRefused, answers, begin

LOCAL = "local"
"""The address of a pooler that comes by PostgreSQL's Unix socket."""
_MARGIN = 1.0  # seconds between our question and the server's clock

FROM_POOLER = """
(client_addr <<= ANY(%(networks)s::text[]::inet[]) OR (client_port = -1 AND %(local)s))
"""
"""Whether a session of pg_stat_activity comes from the pooler; NULL where the admin may not see that."""

POOLED = f"""
(coalesce({FROM_POOLER}, false) AND backend_type = 'client backend'
 AND state = 'idle' AND state_change < clock_timestamp() - interval '1 second'
 AND (NOT %(session_mode)s OR query = 'DISCARD ALL')
 AND (cardinality(%(applications)s::text[]) = 0
      OR split_part(application_name, ' - ', 1) = ANY(%(applications)s::text[])))
"""
"""Whether the pooler keeps that session and nobody works in it; never NULL.

In session mode the session of a client that says nothing is idle too: only one that was given back, and
so was reset, counts. A session that was idle for less than a second is in use between two statements.
"""

_END = f"""
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity
 WHERE usename = %(slot)s AND {POOLED}
"""  # noqa: S608  # a constant of ours; values are parameters
RELEASE_RIGHTS = ("pg_read_all_stats", "pg_signal_backend")
"""What the admin role has to be a member of to end sessions of others that are idle."""
_RIGHTS = """
SELECT pg_has_role('pg_read_all_stats', 'usage'),
       pg_has_role('pg_signal_backend', 'usage') OR pg_has_role(%(slot)s, 'usage')
"""
_END_OURS = """
SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
 WHERE pid = pg_backend_pid() AND backend_start > clock_timestamp() - make_interval(secs => %s)
"""


class Mode(StrEnum):
    """When the pooler gives a session back: pgbouncer's `pool_mode`."""

    TRANSACTION = "transaction"
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooler:
    """What the manifest says of the pooler that the consumers connect to.

    Args:
        hosts: where it listens, as (host, port).
        mode: as in its own configuration.
        addresses: where its sessions come from in the eyes of PostgreSQL: addresses, networks, or `local`.
        applications: when given, only sessions of these application names count as the pooler's.
        dbname: the database's name at the pooler; None if it is the same.
        sslmode, sslrootcert, connect_timeout: as for a target, on the way to the pooler.
        release_idle: whether its idle sessions of a credential that is left may be ended.

    Raises:
        UsageError: something in `addresses` that is no address, or none at all.
    """

    hosts: tuple[tuple[str, int], ...]
    mode: Mode
    addresses: tuple[str, ...]
    applications: tuple[str, ...] = ()
    dbname: str | None = None
    sslmode: str = "verify-full"
    sslrootcert: str | None = None
    connect_timeout: float = 5.0
    release_idle: bool = False

    def __post_init__(self) -> None:
        if not self.addresses:
            raise UsageError("a pooler needs the addresses that its sessions come from", 'such as "10.0.0.7"')
        for address in set(self.addresses) - {LOCAL}:
            try:
                ip_network(address)
            except ValueError:
                raise UsageError(f"{address!r:.80} is no address of a pooler", f'write an IP, or "{LOCAL}"') from None


def facts(pooler: Pooler | None, application: str) -> dict[str, object]:
    """The parameters of `FROM_POOLER` and `POOLED`; without a pooler nothing comes from one."""
    if pooler is None:
        return {"networks": [], "local": False, "session_mode": False, "applications": [], "application": application}
    names = [*pooler.applications, application]
    if pooler.mode is Mode.SESSION:
        names.append("")  # DISCARD ALL takes the name away
    return {
        "networks": [address for address in pooler.addresses if address != LOCAL],
        "local": LOCAL in pooler.addresses,
        "session_mode": pooler.mode is Mode.SESSION,
        "applications": names if pooler.applications else [],
        "application": application,
    }


def joined(probes: list[Probe]) -> Probe:
    """What all say, if they say the same; else that one could not be asked, or that they differ."""
    given = {probe.answer for probe in probes}
    if len(given) == 1:
        return Probe(probes[0].answer, "; ".join(probe.detail for probe in probes))
    worst = Answer.UNREACHABLE if Answer.UNREACHABLE in given else Answer.UNUSABLE
    return Probe(worst, "; ".join(f"{probe.answer}: {probe.detail}" for probe in probes))


def through(direct: Answer, connect: Callable[[], Session], use: Callable[[Session], Probe]) -> Probe:
    """What one pooler says of a credential that PostgreSQL itself has accepted or refused.

    A pooler's own word is never the refusal: pgbouncer says 08P01 to a wrong password, a full pool and
    a server that is down alike. It only has to give no session to what PostgreSQL has refused.

    Args:
        direct: what every declared host said, ACCEPTED or REFUSED.
        connect: logs in at the pooler.
        use: what a consumer does in a session.
    """
    started, entered = time.monotonic(), False
    dead = direct is Answer.REFUSED
    try:
        with closing(connect()) as session:
            entered = True
            probe = use(session)
            _end_ours(session, time.monotonic() - started)
    except NoLogIn as error:
        return Probe(Answer.REFUSED if dead else Answer.UNREACHABLE, f"the pooler {error.message}")
    except (LogInRefused, SessionRefused) as error:
        return Probe(Answer.REFUSED if dead else Answer.UNUSABLE, f"the pooler {error.message}")
    except Unavailable as error:
        why = f"the pooler: {error.message}"
        if dead and entered:
            why += " (it took a log-in that PostgreSQL refuses: let its auth_query look at rolcanlogin)"
        return Probe(Answer.UNREACHABLE, why)
    except AdapterError as error:
        return Probe(Answer.UNUSABLE, f"the pooler: {error.message}")
    if dead:
        return Probe(Answer.UNUSABLE, f"the pooler still lets it in: {probe.detail}")
    return Probe(probe.answer, f"the pooler {probe.detail}")


def end_idle(session: Session, slot: str, parameters: dict[str, object]) -> int:
    """End the pooler's idle sessions of the slot on that server; what is idle is looked at in the same statement.

    Raises:
        Denied: the admin role may not see, or not end, the sessions of others.
    """
    values = {**parameters, "slot": slot}
    may_see, may_end = session.execute(_RIGHTS, values).fetchone() or (False, False)
    if not (may_see and may_end):
        missing = RELEASE_RIGHTS[bool(may_see)]
        raise Denied(
            f"the pooler's idle sessions of {slot} cannot be ended: the admin role is no member of {missing}",
            f"GRANT {missing} TO the admin role",
        )
    row = session.execute(_END, values).fetchone()
    return row[0] if row else 0


def _end_ours(session: Session, seconds: float) -> None:
    """End the server's session that the pooler opened for this log-in, which it would keep for minutes.

    It would look like a user of the credential. One that was there before is left: others will use it.
    What becomes of it changes nothing in the answer.
    """
    with suppress(AdapterError), answers("leaving the pooler"):
        session.execute("ROLLBACK")  # what was left open in using it
        begin(session)
        session.execute("SET LOCAL ROLE NONE")
        session.execute(_END_OURS, (seconds + _MARGIN,))
        session.execute("ROLLBACK")  # the pooler closes a session that it gets back in a transaction
