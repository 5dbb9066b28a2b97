"""What a manifest may say of a pooler, and what it says together with PostgreSQL."""

from dataclasses import replace
from typing import Any, NoReturn

import pytest

from keyturn.core.errors import AdapterError, Conflict, NotFound, Unavailable, UsageError
from keyturn.core.rotator import Answer, Probe, Releases
from keyturn.core.secret import Bundle
from keyturn.rotators.postgres import Postgres
from keyturn.rotators.postgres.pooler import Mode, Pooler, facts, joined, through
from keyturn.rotators.postgres.rotator import Connect
from keyturn.system import postgres
from keyturn.system.postgres import LogInRefused, NoLogIn, Server, Session, SessionRefused

GOOD = Pooler(hosts=(("pool.internal", 6432),), mode=Mode.TRANSACTION, addresses=("10.0.0.7",))
YES, NO = Probe(Answer.ACCEPTED, "yes"), Probe(Answer.REFUSED, "no")


def rotator(pooler: Pooler | None, connect: Connect = postgres.connect) -> Postgres:
    """A rotator as the manifest would make it; it connects to nothing here."""
    return Postgres(
        hosts=[("db.internal", 5432)],
        dbname="clo",
        owner_role="clo",
        roles=["clo_a", "clo_b"],
        secret="database",
        service="clo",
        environment="production",
        admin=lambda: Bundle({"value": "unused"}),
        pooler=pooler,
        connect=connect,
    )


@pytest.mark.parametrize(
    "off",
    [
        {"addresses": ()},
        {"addresses": ("pool.internal",)},
        {"addresses": ("10.0.0.7/8",)},
        {"hosts": ()},
        {"hosts": (("a,b", 1),)},
        {"dbname": "a=b"},
        {"sslmode": "prefer"},
    ],
)
def test_what_is_no_pooler_is_refused(off: dict[str, Any]) -> None:
    """No address, a name for one, a host or mode that libpq would take for something else."""
    with pytest.raises(UsageError):
        rotator(replace(GOOD, **off))


def test_consumers_are_sent_to_the_pooler() -> None:
    """Published places are the pooler's, with its name of the database; without one they are the server's."""
    elsewhere = replace(GOOD, hosts=(("::1", 6432), ("pool-b", 6433)), dbname="clo_pooled")
    assert rotator(elsewhere).coordinates() == {
        "host": "[::1]",
        "port": "6432",
        "dbname": "clo_pooled",
        "hosts": "[::1]:6432,pool-b:6433",
    }
    assert rotator(None).coordinates()["hosts"] == "db.internal:5432"


def test_sessions_end_only_where_that_is_declared() -> None:
    """The rotator is one that releases, and says so only with release_idle."""
    made = rotator(replace(GOOD, release_idle=True))
    assert isinstance(made, Releases)
    assert made.releases
    assert not rotator(GOOD).releases
    assert not rotator(None).releases
    with pytest.raises(NotFound):
        made.release("clo_c", 1)


def test_names_tell_sessions_apart_only_where_they_are_declared() -> None:
    """Our own name is always among them, and the empty one where the pooler takes names away."""
    assert facts(GOOD, "keyturn/x")["applications"] == []
    named = replace(GOOD, applications=("app",))
    assert facts(named, "keyturn/x")["applications"] == ["app", "keyturn/x"]
    assert facts(replace(named, mode=Mode.SESSION), "keyturn/x")["applications"] == ["app", "keyturn/x", ""]


@pytest.mark.parametrize(
    ("error", "alive", "dead"),
    [
        (NoLogIn("08P01"), Answer.UNREACHABLE, Answer.REFUSED),
        (SessionRefused("08P01"), Answer.UNUSABLE, Answer.REFUSED),
        (LogInRefused("28P01"), Answer.UNUSABLE, Answer.REFUSED),
        (Unavailable("no answer"), Answer.UNREACHABLE, Answer.UNREACHABLE),
        (Conflict("another failure"), Answer.UNUSABLE, Answer.UNUSABLE),
    ],
)
def test_a_pooler_confirms_and_never_refuses(error: AdapterError, alive: Answer, dead: Answer) -> None:
    """What it says to a credential that PostgreSQL accepts is never a refusal, and its silence confirms nothing."""

    def connect() -> NoReturn:
        raise error

    def use(_: Session) -> NoReturn:
        raise AssertionError

    assert through(Answer.ACCEPTED, connect, use).answer is alive
    assert through(Answer.REFUSED, connect, use).answer is dead


def test_without_an_answer_of_postgresql_the_pooler_is_not_asked() -> None:
    """While the server itself cannot be reached nothing that a pooler says could count."""
    asked: list[str] = []

    def connect(server: Server, _: Bundle) -> NoReturn:
        asked.append(server.host)
        raise Unavailable("no answer")

    probe = rotator(GOOD, connect=connect).accepts(Bundle({"username": "clo_a", "password": "x"}))
    assert probe == Probe(Answer.UNREACHABLE, "no answer")
    assert asked == ["db.internal"]


@pytest.mark.parametrize(
    ("other", "together"),
    [
        (NO, Answer.REFUSED),
        (YES, Answer.UNUSABLE),
        (Probe(Answer.UNUSABLE, "still lets it in"), Answer.UNUSABLE),
        (Probe(Answer.UNREACHABLE, "down"), Answer.UNREACHABLE),
    ],
)
def test_what_is_said_together(other: Probe, together: Answer) -> None:
    """Only when all say the same it is said; every voice is in the detail."""
    probe = joined([NO, other])
    assert probe.answer is together
    assert "no" in probe.detail
    assert other.detail in probe.detail
