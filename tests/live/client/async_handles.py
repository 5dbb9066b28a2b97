"""The live handles of asyncio on PostgreSQL, each behind the same few calls."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import text

from keyturn.client import Secrets
from keyturn.client.adapters.asyncpg_pool import live_asyncpg
from keyturn.client.adapters.psycopg_async_pool import live_async_pool
from keyturn.client.adapters.sqlalchemy_async_engine import live_async_engine

Ask = Callable[[str], Awaitable[Any]]


class Opened(Protocol):
    """A handle that is open."""

    def begin(self) -> AbstractAsyncContextManager[Ask]:
        """A transaction: what it gives runs one statement, and returns the value of its one row."""


@dataclass
class Kind:
    """One kind of handle.

    `check` makes the application's own test of a new version from a statement; `port` are the options
    that send its connections to a port; `connects` how many of them one trial makes at most when there is no server.
    """

    name: str
    open: Callable[..., AbstractAsyncContextManager[Opened]]
    check: Callable[[str], Mapping[str, Any]]
    port: Callable[[int], Mapping[str, Any]]
    connects: int = 1


class Pool:
    """psycopg's pool."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Ask]:
        """One connection of the pool."""
        async with self.pool.connection() as connection:

            async def ask(statement: str) -> Any:
                return (await (await connection.execute(statement)).fetchone())[0]

            yield ask


class Engine:
    """SQLAlchemy's engine."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Ask]:
        """One transaction of the engine."""
        async with self.engine.begin() as connection:

            async def ask(statement: str) -> Any:
                return await connection.scalar(text(statement))

            yield ask


class Asyncpg:
    """asyncpg's pool."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Ask]:
        """One connection of the pool, in a transaction."""
        async with self.pool.acquire() as connection, connection.transaction():
            yield connection.fetchval


@asynccontextmanager
async def _pool(secrets: Secrets, **options: Any) -> AsyncIterator[Opened]:
    async with live_async_pool(secrets, "database-url", min_size=3, max_size=6, **options) as pool:
        yield Pool(pool)


@asynccontextmanager
async def _engine(secrets: Secrets, **options: Any) -> AsyncIterator[Opened]:
    engine = live_async_engine(secrets, "database-url", pool_size=3, max_overflow=3, **options)
    try:
        yield Engine(engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _asyncpg_engine(secrets: Secrets, **options: Any) -> AsyncIterator[Opened]:
    async with _engine(secrets, driver="asyncpg", **options) as opened:
        yield opened


@asynccontextmanager
async def _asyncpg(secrets: Secrets, **options: Any) -> AsyncIterator[Opened]:
    async with live_asyncpg(secrets, "database-url", min_size=3, max_size=6, **options) as pool:
        yield Asyncpg(pool)


def _execute(statement: str) -> Mapping[str, Any]:
    async def check(connection: Any) -> None:
        await connection.execute(statement)

    return {"check": check}


def _scalar(statement: str) -> Mapping[str, Any]:
    async def check(connection: Any) -> None:
        await connection.scalar(text(statement))

    return {"check": check}


KINDS = (
    Kind("psycopg", _pool, _execute, lambda port: {"kwargs": {"port": port}}, connects=2),
    Kind("sqlalchemy-psycopg", _engine, _scalar, lambda port: {"connect_args": {"port": port}}, connects=2),
    Kind("sqlalchemy-asyncpg", _asyncpg_engine, _scalar, lambda port: {"connect_args": {"port": port}}),
    Kind("asyncpg", _asyncpg, _execute, lambda port: {"port": port}),
)


async def until(seen: Callable[[], object], seconds: float = 20.0) -> None:
    """Let the loop go on until it is so; fail when it never is."""
    async with asyncio.timeout(seconds):
        while not seen():  # noqa: ASYNC110 - what is waited for happens in a server or in another thread
            await asyncio.sleep(0.05)


async def ended(task: "asyncio.Future[Any]") -> None:
    """Cancel it, and wait for its end."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
