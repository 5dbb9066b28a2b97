"""What lives on a secret is made for one value: the name of a bundle is a slip, and none of its versions is bad."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.client import Secrets
from keyturn.client.adapters.asyncpg_pool import live_asyncpg
from keyturn.client.adapters.psycopg_async_pool import live_async_pool
from keyturn.client.adapters.psycopg_pool import live_pool
from keyturn.client.adapters.redis_async_client import live_async_redis
from keyturn.client.adapters.redis_client import live_redis
from keyturn.client.adapters.sqlalchemy_async_engine import live_async_engine
from keyturn.client.adapters.sqlalchemy_engine import live_engine
from keyturn.core.errors import NotFound
from tests.unit.client.place import Place

MADE: tuple[Callable[..., object], ...] = (
    live_pool,
    live_async_pool,
    live_asyncpg,
    live_engine,
    live_async_engine,
    live_redis,
    live_async_redis,
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """`database` with the published name `database-url`."""
    return Place(tmp_path)


@pytest.mark.parametrize("make", MADE)
def test_the_name_of_a_bundle_is_refused_and_its_version_is_not_rejected(
    place: Place, make: Callable[[Secrets, str], object]
) -> None:
    """Said at once, with a name to ask for; a report of a rejection would turn a rotation back."""

    async def in_a_loop(secrets: Secrets) -> None:
        with pytest.raises(NotFound, match="has several fields"):
            make(secrets, "database")

    with place.open() as secrets:
        asyncio.run(in_a_loop(secrets))
        (instance,) = place.instances()
        assert instance.rejection is None
