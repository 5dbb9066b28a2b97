"""A pooler that also reads from a streaming replica."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from psycopg import sql

from keyturn.core.errors import FenceLost
from keyturn.rotators.postgres import Postgres
from keyturn.rotators.postgres.pooler import Mode, Pooler
from keyturn.system.postgres import Server, connect
from tests.live.postgres.pair import Pair

SECONDS = 20.0
POOLER = Pooler(
    hosts=(("pool.invalid", 6432),),
    mode=Mode.TRANSACTION,
    addresses=("127.0.0.0/8",),
    applications=("app",),
    release_idle=True,
)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A primary and its replica, and an admin that may end sessions."""
    with ExitStack() as stack:
        pair = Pair(stack)
        admin = sql.Identifier(pair.bench.admin["username"].reveal())
        pair.primary.execute(sql.SQL("GRANT pg_signal_backend TO {}").format(admin))
        yield pair


def idle(rotator: Postgres, slot: str) -> int:
    """How many sessions the pooler keeps idle."""
    return sum(one.pooled for one in rotator.sample(slot).sessions)


def wait_for_idle(rotator: Postgres, slot: str, number: int) -> None:
    """Wait until there are that many."""
    until = time.monotonic() + SECONDS
    while idle(rotator, slot) != number:
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.05)


def test_idle_sessions_end_on_every_host_unless_the_slot_is_used_again(pair: Pair) -> None:
    """A release ends what the pooler keeps on the primary and on the replica; a late one ends nothing on either."""
    rotator = pair.on([pair.replica.port, pair.primary.port], pooler=POOLER)
    bundle = pair.applied(fence=5)
    pair.replica.catch_up()

    def place(port: int, application: str) -> Server:
        return replace(pair.primary.server(pair.bench.dbname), port=port, application=application)

    with ExitStack() as sessions:
        for application in ("app", "psql"):
            for port in (pair.primary.port, pair.replica.port):
                sessions.enter_context(connect(place(port, application), bundle))
        wait_for_idle(rotator, pair.slot, 2)
        with pytest.raises(FenceLost):
            rotator.release(pair.slot, 4)
        assert idle(rotator, pair.slot) == 2
        assert rotator.release(pair.slot, 6) == 2
        wait_for_idle(rotator, pair.slot, 0)
        names = [one.application for one in rotator.sample(pair.slot).sessions]
        assert names == ["psql", "psql"]
