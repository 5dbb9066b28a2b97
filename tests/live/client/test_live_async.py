"""The live handles of asyncio on PostgreSQL: load through rotations, what is refused, what is never gone over to."""

import asyncio
import contextlib
import gc
import threading
import traceback
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from keyturn.client import Secrets
from keyturn.client.adapters.asyncpg_pool import live_asyncpg
from keyturn.client.adapters.psycopg_async_pool import live_async_pool
from keyturn.client.adapters.sqlalchemy_async_engine import live_async_engine
from keyturn.core.errors import NotFound, UsageError
from keyturn.testing.line import Line, Plan
from tests.live.client.async_handles import KINDS, Kind, Opened, ended, until
from tests.live.client.client_place import Place
from tests.live.client.client_place import until as wait_until
from tests.values import stands_in

VERSIONS = (("b", "v2"), ("a", "v1"), ("b", "v2"))
INSERT = "INSERT INTO deals VALUES (1) RETURNING session_user"

pytestmark = pytest.mark.filterwarnings("ignore:unclosed (transport )?<:ResourceWarning")
"""asyncpg leaves the socket of a log-in that was refused or cancelled to the collector, if its loop ends right away."""

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
each_library = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.name != "sqlalchemy-asyncpg"], ids=lambda kind: kind.name
)
"""Where nothing depends on the driver of SQLAlchemy."""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a test left to the collector is collected before the next one."""
    yield
    gc.collect()


@pytest.fixture
def secrets(place: Place) -> Iterator[Secrets]:
    """The application's secrets, at v1."""
    with Secrets.open(place.client_file) as opened:
        yield opened


def oldest(place: Place) -> str | None:
    """What the one instance says is its oldest version in use."""
    (instance,) = place.observe().instances
    return instance.oldest


def unused(place: Place, slot: str) -> bool:
    """Whether the role of that slot has no session."""
    return place.database.sessions(slot) == 0


def knows(place: Place, secrets: Secrets, version: str) -> bool:
    """Whether reads give that version, and the instance has said that it holds it."""
    return secrets["database-url"].version == version == place.observe().instances[0].newest


async def user(handle: Opened) -> Any:
    """Whose connection the handle gives out."""
    async with handle.begin() as ask:
        return await ask("SELECT session_user")


async def work(handle: Opened, done: list[str], failed: list[BaseException], ending: threading.Event) -> None:
    """Short transactions, one after the other, with a read and a write."""
    while not ending.is_set():
        try:
            async with handle.begin() as ask:
                found = await ask(INSERT)
                await ask("SELECT 1 FROM pg_sleep(0.01)")
            done.append(found)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a request that failed
            failed.append(error)


def rotate(place: Place, slot: str, version: str, done: list[str]) -> None:
    """Deliver, wait until the other role is unused, and let twenty more transactions end while it may not log in."""
    left = "a" if slot == "b" else "b"
    place.deliver(slot, version)
    wait_until(lambda: oldest(place) == version)
    wait_until(partial(unused, place, left))
    place.database.run(f"ALTER ROLE {place.database.role(left)} NOLOGIN")
    before = len(done)
    wait_until(lambda: len(done) > before + 20)
    place.database.run(f"ALTER ROLE {place.database.role(left)} LOGIN")


def drive(place: Place, done: list[str], ending: threading.Event) -> None:
    """Three rotations, from another thread than that of the loop."""
    try:
        wait_until(lambda: oldest(place) == "v1")
        for slot, version in VERSIONS:
            rotate(place, slot, version, done)
    finally:
        ending.set()


@each_kind
def test_no_request_fails_through_three_rotations(place: Place, secrets: Secrets, kind: Kind) -> None:
    """Six tasks work; after each rotation the role that was left has no session, and may not log in any more."""
    done, failed, ending = list[str](), list[BaseException](), threading.Event()

    async def serve() -> None:
        async with kind.open(secrets) as handle:
            working = [work(handle, done, failed, ending) for _ in range(6)]
            await asyncio.gather(asyncio.to_thread(drive, place, done, ending), *working)

    asyncio.run(serve())
    assert failed == []
    assert set(done) == {place.database.role("a"), place.database.role("b")}
    assert place.database.run("SELECT count(*) FROM deals", inside=True) == [(len(done),)]


@each_library
def test_what_is_idle_ends_without_a_request(place: Place, secrets: Secrets, kind: Kind) -> None:
    """Nobody asks the handle for anything, and the old role loses all its sessions; then it gives the new one."""

    async def serve() -> None:
        async with kind.open(secrets) as handle:
            await asyncio.gather(*(user(handle) for _ in range(3)))
            await until(lambda: oldest(place) == "v1" and place.database.sessions("a") > 1)
            place.deliver("b", "v2")
            await until(lambda: oldest(place) == "v2")
            await until(partial(unused, place, "a"))
            assert await user(handle) == place.database.role("b")

    asyncio.run(serve())


@each_kind
def test_a_transaction_under_way_ends_as_it_began(place: Place, secrets: Secrets, kind: Kind) -> None:
    """Until then the old version is in use; when it comes back, the connection is closed and not kept."""

    async def serve() -> None:
        async with kind.open(secrets) as handle:
            async with handle.begin() as ask:
                await ask(INSERT)
                await until(lambda: oldest(place) == "v1")
                place.deliver("b", "v2")
                await until(lambda: knows(place, secrets, "v2"))
                assert await ask(INSERT) == place.database.role("a")
                assert await user(handle) == place.database.role("b")
                assert oldest(place) == "v1"
            await until(lambda: oldest(place) == "v2")
            await until(partial(unused, place, "a"))
            async with handle.begin() as ask:
                assert await ask("SELECT count(*) FROM deals") == 2

    asyncio.run(serve())


@each_library
def test_whoever_waits_for_a_connection_gets_none_that_is_outdated(place: Place, secrets: Secrets, kind: Kind) -> None:
    """All six are in use, and others wait; the first that comes back after the switch is not given to them."""

    async def serve() -> None:
        async with kind.open(secrets) as handle, contextlib.AsyncExitStack() as taken:
            for _ in range(6):
                await taken.enter_async_context(handle.begin())
            await until(lambda: oldest(place) == "v1")
            waiting = [asyncio.create_task(user(handle)) for _ in range(3)]
            place.deliver("b", "v2")
            await until(lambda: knows(place, secrets, "v2"))
            await taken.aclose()
            assert await asyncio.gather(*waiting) == [place.database.role("b")] * 3
            await until(partial(unused, place, "a"))

    asyncio.run(serve())


@each_kind
def test_a_log_in_under_way_counts_as_the_old_version(place: Place, secrets: Secrets, kind: Kind) -> None:
    """The server has the old password already and has not answered: whoever waits gets a connection of the new one."""

    async def serve(line: Line) -> None:
        async with kind.open(secrets, **kind.port(line.port)) as handle:
            async with handle.begin(), handle.begin(), handle.begin():
                await until(lambda: oldest(place) == "v1")
                line.plan = plan = Plan(1)
                asking = asyncio.create_task(user(handle))
                await until(plan.held.is_set)
                place.deliver("b", "v2")
                await until(lambda: knows(place, secrets, "v2"))
            await until(lambda: place.database.sessions("a") <= 1)
            assert oldest(place) == "v1"
            plan.release.set()
            assert await asking == place.database.role("b")
            await until(lambda: oldest(place) == "v2")
            await until(partial(unused, place, "a"))

    with Line(place.database.server.port) as line:
        asyncio.run(serve(line))


@pytest.mark.parametrize("kind", KINDS[1:], ids=lambda kind: kind.name)
def test_a_log_in_that_is_cancelled_counts_no_longer(place: Place, secrets: Secrets, kind: Kind) -> None:
    """Whoever asked gives up before the server has answered: from then on nothing of the old version is under way."""

    async def serve(line: Line) -> None:
        async with kind.open(secrets, **kind.port(line.port)) as handle:
            async with handle.begin(), handle.begin(), handle.begin():
                await until(lambda: oldest(place) == "v1")
                line.plan = plan = Plan(1)
                asking = asyncio.create_task(user(handle))
                await until(plan.held.is_set)
                place.deliver("b", "v2")
                await until(lambda: knows(place, secrets, "v2"))
            await until(lambda: place.database.sessions("a") <= 1)
            assert oldest(place) == "v1"
            await ended(asking)
            await until(lambda: oldest(place) == "v2")
            plan.release.set()
            assert await user(handle) == place.database.role("b")

    with Line(place.database.server.port) as line:
        asyncio.run(serve(line))


@each_kind
def test_a_role_that_may_not_log_in_is_rejected_with_its_reason(place: Place, secrets: Secrets, kind: Kind) -> None:
    """Every request goes on with the old one, and the reason is a SQLSTATE."""
    place.database.run(f"ALTER ROLE {place.database.role('b')} NOLOGIN")

    async def serve() -> None:
        async with kind.open(secrets) as handle:
            await until(lambda: oldest(place) == "v1")
            place.deliver("b", "v2")
            await until(lambda: place.observe().instances[0].rejection)
            rejection = place.observe().instances[0].rejection
            assert rejection is not None
            assert (rejection.version, rejection.reason) == ("v2", "the server turned the log-in down (28000)")
            assert (await user(handle), secrets["database-url"].version) == (place.database.role("a"), "v1")

    asyncio.run(serve())


@each_library
def test_a_missing_grant_is_found_by_the_applications_own_check(place: Place, secrets: Secrets, kind: Kind) -> None:
    """A new role that may log in but not read the table is rejected with 42501, and taken once it may."""
    database = place.database
    database.run(f"REVOKE {database.name}_owner FROM {database.role('b')}")
    database.run(f"ALTER ROLE {database.role('b')} IN DATABASE {database.name} RESET role")

    async def serve() -> None:
        async with kind.open(secrets, **kind.check("SELECT 1 FROM deals LIMIT 1")) as handle:
            await until(lambda: oldest(place) == "v1")
            place.deliver("b", "v2")
            await until(lambda: any("42501" in i.rejection.reason for i in place.observe().instances if i.rejection))
            assert await user(handle) == database.role("a")
            database.run(f"GRANT {database.name}_owner TO {database.role('b')}")
            await until(lambda: oldest(place) == "v2")

    asyncio.run(serve())


@each_kind
def test_a_server_that_does_not_answer_rejects_nothing(place: Place, secrets: Secrets, kind: Kind) -> None:
    """An outage during a trial is no verdict on the credential; when it is over, the handle goes over."""

    async def serve(line: Line) -> None:
        async with kind.open(secrets, **kind.port(line.port)):
            await until(lambda: oldest(place) == "v1")
            line.down.set()
            place.deliver("b", "v2")
            await until(lambda: line.turned_away > kind.connects)
            assert [(i.newest, i.oldest, i.rejection) for i in place.observe().instances] == [("v2", "v1", None)]
            line.down.clear()
            await until(lambda: oldest(place) == "v2")

    with Line(place.database.server.port) as line:
        asyncio.run(serve(line))


@each_library
def test_a_loop_that_is_busy_holds_back_neither_reads_nor_reports(place: Place, secrets: Secrets, kind: Kind) -> None:
    """Blocked by the application's own code, it is not needed for a trial; what it holds is said until it lets go."""

    async def serve() -> None:
        async with kind.open(secrets) as handle:
            await user(handle)
            await until(lambda: oldest(place) == "v1")
            place.deliver("b", "v2")
            wait_until(lambda: knows(place, secrets, "v2"))  # this blocks the loop
            assert oldest(place) == "v1"
            await until(lambda: oldest(place) == "v2")

    asyncio.run(serve())


@each_library
def test_a_handle_that_was_closed_does_not_hold_its_process_back(place: Place, secrets: Secrets, kind: Kind) -> None:
    """What is delivered afterwards is not tried on it; another loop has a handle of its own."""

    async def serve(slot: str, version: str) -> None:
        async with kind.open(secrets) as handle:
            assert await user(handle) == place.database.role(slot)
            await until(lambda: oldest(place) == version)

    asyncio.run(serve("a", "v1"))
    gc.collect()
    place.database.run(f"ALTER ROLE {place.database.role('b')} NOLOGIN")
    place.deliver("b", "v2")
    wait_until(lambda: oldest(place) == "v2")
    place.database.run(f"ALTER ROLE {place.database.role('b')} LOGIN")
    asyncio.run(serve("b", "v2"))


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_an_engine_goes_on_in_the_next_loop(
    place: Place, secrets: Secrets, driver: Literal["psycopg", "asyncpg"]
) -> None:
    """What was open in a loop that is closed is used by nobody, and given to nobody; psycopg's sessions end with it."""
    engine = live_async_engine(secrets, "database-url", driver=driver)
    asyncio.run(_leave_three(engine))
    wait_until(lambda: oldest(place) == "v1")
    assert place.database.sessions("a") == 3
    place.deliver("b", "v2")
    wait_until(lambda: oldest(place) == "v2")
    assert driver == "asyncpg" or unused(place, "a")
    place.deliver("a", "v1")
    wait_until(lambda: oldest(place) == "v1")
    assert asyncio.run(_leave_three(engine)) == {place.database.role("a")}
    del engine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # asyncpg's sockets, which nobody could close
        gc.collect()


async def _leave_three(engine: AsyncEngine) -> set[str]:
    """Have three connections of the engine open, and leave them in it; their users."""
    taken = [await engine.connect() for _ in range(3)]
    users = {await connection.scalar(text("SELECT session_user")) for connection in taken}
    for connection in taken:
        await connection.close()
    return users


def test_a_pool_whose_loop_is_closed_does_not_hold_its_process_back(place: Place, secrets: Secrets) -> None:
    """Nobody closed it: its sessions are ended when the next version comes, which is not tried on it."""
    pool = live_async_pool(secrets, "database-url", min_size=2)

    async def leave() -> None:
        await pool.open(wait=True)
        await until(lambda: oldest(place) == "v1")

    asyncio.run(leave())
    assert place.database.sessions("a") == 2
    place.database.run(f"ALTER ROLE {place.database.role('b')} NOLOGIN")
    place.deliver("b", "v2")
    wait_until(lambda: oldest(place) == "v2")
    wait_until(partial(unused, place, "a"))


def test_a_pool_that_was_closed_is_forgotten(secrets: Secrets) -> None:
    """A process that runs a loop for each job, and a pool in it, keeps none of them."""

    async def job() -> None:
        async with live_async_pool(secrets, "database-url", min_size=1) as pool, pool.connection() as connection:
            await connection.execute("SELECT 1")

    for _ in range(3):
        asyncio.run(job())
    assert secrets._adoptions["database"]._holders == []


@each_kind
def test_no_value_is_in_what_a_handle_shows_or_logs(
    place: Place, secrets: Secrets, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the log of the library nor the error of a log-in holds the password."""
    caplog.set_level("DEBUG")
    caught: list[BaseException] = []

    place.database.run(f"ALTER ROLE {place.database.role('a')} NOLOGIN")

    async def serve() -> None:
        try:
            async with kind.open(secrets) as handle, asyncio.timeout(1):
                await user(handle)
        except Exception as error:  # noqa: BLE001 - each library has its own
            caught.append(error)

    asyncio.run(serve())
    assert caught
    shown = [caplog.text, *("".join(traceback.format_exception(error)) for error in caught)]
    assert not any(stands_in(place.database.bundles["a"]["password"], text) for text in shown)


def test_what_would_connect_behind_our_back_is_refused(secrets: Secrets) -> None:
    """A `creator` or a `password` of one's own knows no version; a name that is not published makes no handle."""
    with pytest.raises(UsageError, match="takes no async_creator="):
        live_async_engine(secrets, "database-url", async_creator=lambda: None)
    with pytest.raises(UsageError, match="takes no password="):
        live_asyncpg(secrets, "database-url", password="none of ours")
    for make in (live_async_engine, live_async_pool, live_asyncpg):
        with pytest.raises(NotFound):
            make(secrets, "no-such-url")
