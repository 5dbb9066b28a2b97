"""The asyncio client of Redis: load through changes of a password, what is refused, what is never gone over to."""

import asyncio
import gc
import secrets as random
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from keyturn.client import Secrets
from keyturn.client.adapters.redis_async_client import live_async_redis
from keyturn.core.errors import NotFound, UsageError
from keyturn.testing.line import Line, Plan
from keyturn.testing.redis_server import RedisServer
from tests.live.client.async_handles import ended, until
from tests.live.client.client_place import until as wait_until
from tests.live.client.redis_place import Place
from tests.values import stands_in


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One private Redis for this file."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, server: RedisServer) -> Place:
    """An application with version v1 delivered."""
    place = Place(tmp_path, server)
    server.rule("reset")
    place.allow("v1")
    place.deliver("v1")
    return place


@pytest.fixture
def secrets(place: Place) -> Iterator[Secrets]:
    """The application's secrets, at v1."""
    with Secrets.open(place.client_file) as opened:
        yield opened


def knows(place: Place, secrets: Secrets, version: str) -> bool:
    """Whether reads give that version, and the instance has said that it holds it."""
    newest = place.application.observe("redis", place.bundles).instances[0].newest
    return secrets["redis-url"].version == version == newest


async def work(client: Redis, ending: threading.Event, done: list[int], failed: list[BaseException]) -> None:
    """Commands and transactions, one after the other, each with a blocking wait in between."""
    while not ending.is_set():
        try:
            done.append(int(await client.incr("deals")))
            async with client.pipeline(transaction=True) as pipeline:
                pipeline.incr("deals")
                done.extend(await pipeline.execute())
            await client.blpop(["nothing"], 0.01)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a request that failed
            failed.append(error)


def change(place: Place, old: str, new: str, done: list[int]) -> None:
    """Both passwords, deliver, settle, the new one alone; then nothing of before is open, and work goes on."""
    place.allow(old, new)
    before = place.server.sessions()
    place.deliver(new)
    wait_until(lambda: place.oldest == new)
    place.allow(new)
    wait_until(lambda: not before & place.server.sessions())
    count = len(done)
    wait_until(lambda: len(done) > count + 50)


def drive(place: Place, done: list[int], ending: threading.Event) -> None:
    """Four changes, from another thread than that of the loop."""
    try:
        wait_until(lambda: place.oldest == "v1")
        for number in range(1, 5):
            change(place, f"v{number}", f"v{number + 1}", done)
    finally:
        ending.set()


def test_no_command_fails_through_four_changes_of_the_password(place: Place, secrets: Secrets) -> None:
    """Six tasks work; after each change no connection of before is open, and no log-in was ever refused."""
    done, failed, ending = list[int](), list[BaseException](), threading.Event()
    refused = place.server.refused()

    async def serve() -> None:
        async with live_async_redis(secrets, "redis-url") as client:
            await client.delete("deals")
            working = [work(client, ending, done, failed) for _ in range(6)]
            await asyncio.gather(asyncio.to_thread(drive, place, done, ending), *working)

    asyncio.run(serve())
    assert failed == []
    assert place.server.refused() == refused
    assert sorted(done) == list(range(1, len(done) + 1))


def test_what_is_idle_ends_without_a_command(place: Place, secrets: Secrets) -> None:
    """Nobody asks the client for anything, and no connection of the old password is left."""

    async def serve() -> None:
        async with live_async_redis(secrets, "redis-url") as client:
            await asyncio.gather(*(client.ping() for _ in range(3)))
            await until(lambda: place.oldest == "v1" and len(place.server.sessions()) == 3)
            place.allow("v1", "v2")
            place.deliver("v2")
            await until(lambda: place.oldest == "v2")
            await until(lambda: not place.server.sessions())
            place.allow("v2")
            assert await client.ping()

    asyncio.run(serve())


def test_a_command_under_way_ends_as_it_began(place: Place, secrets: Secrets) -> None:
    """A blocked BLPOP keeps the old version in use, gets its element, and its connection is not kept."""

    async def serve() -> None:
        async with live_async_redis(secrets, "redis-url", socket_timeout=None) as client:
            await client.delete("queue")
            waiting = asyncio.ensure_future(client.blpop(["queue"], 20))
            await until(lambda: place.oldest == "v1" and place.server.sessions())
            before = place.server.sessions()
            place.allow("v1", "v2")
            place.deliver("v2")
            await until(lambda: knows(place, secrets, "v2"))
            assert place.oldest == "v1"
            await client.rpush("queue", "deal")
            assert tuple(await waiting or ()) == (b"queue", b"deal")
            await until(lambda: place.oldest == "v2")
            await until(lambda: not before & place.server.sessions())

    asyncio.run(serve())


def test_a_subscription_moves_and_is_subscribed_again(place: Place, secrets: Secrets) -> None:
    """At its next turn it is on a connection of the new version, and gets what is said from then on."""

    async def serve() -> None:
        async with live_async_redis(secrets, "redis-url") as client, client.pubsub() as heard:
            await heard.subscribe("news")
            await until(lambda: place.oldest == "v1")
            assert (await heard.get_message(timeout=1) or {}).get("type") == "subscribe"
            place.allow("v1", "v2")
            place.deliver("v2")
            await until(lambda: knows(place, secrets, "v2"))
            assert place.oldest == "v1"
            await heard.get_message(timeout=0.01)
            await until(lambda: place.oldest == "v2")
            place.allow("v2")
            assert await client.publish("news", "signed") == 1
            found = [await heard.get_message(timeout=1) for _ in range(2)]
            assert b"signed" in {message["data"] for message in found if message}

    asyncio.run(serve())


def test_a_reader_of_a_subscription_is_not_cut_by_a_second_subscription(place: Place, secrets: Secrets) -> None:
    """One task waits for messages; another subscribes to more, after the change: the first goes on waiting."""

    async def serve() -> None:
        async with live_async_redis(secrets, "redis-url") as client, client.pubsub() as heard:
            await heard.subscribe("news")
            assert await heard.get_message(timeout=1)
            waiting = asyncio.create_task(heard.get_message(timeout=20))
            await until(lambda: place.oldest == "v1")
            place.allow("v1", "v2")
            place.deliver("v2")
            await until(lambda: knows(place, secrets, "v2"))
            await heard.subscribe("more")
            assert (await waiting or {}).get("channel") == b"more"
            await heard.get_message(timeout=0.01)
            await until(lambda: place.oldest == "v2")

    asyncio.run(serve())


def test_a_password_that_does_not_work_is_rejected_by_one_log_in(place: Place, secrets: Secrets) -> None:
    """The old one stays in use; a trial is one log-in; when the server takes it, the client goes over."""

    async def serve() -> None:
        async with live_async_redis(secrets, "redis-url") as client:
            await until(lambda: place.oldest == "v1")
            refused = place.server.refused()
            place.deliver("v2")
            await until(lambda: place.rejection)
            assert place.rejection == ("v2", "the server turned the log-in down")
            assert 1 <= place.server.refused() - refused <= 2
            assert await client.ping()
            assert secrets["redis-url"].version == "v1"
            place.allow("v1", "v2")
            await until(lambda: place.oldest == "v2")

    asyncio.run(serve())


def test_a_missing_right_is_found_by_the_applications_own_check(place: Place, secrets: Secrets) -> None:
    """The log-in works, the command does not: rejected by the name of the error."""

    async def serve() -> None:
        async with live_async_redis(secrets, "redis-url", check=lambda new: new.get("deals")):
            await until(lambda: place.oldest == "v1")
            place.allow("v1", "v2")
            place.server.rule("-get")
            place.deliver("v2")
            await until(lambda: place.rejection == ("v2", "NoPermissionError"))
            place.server.rule("+get")
            await until(lambda: place.oldest == "v2")

    asyncio.run(serve())


def test_a_log_in_that_is_cancelled_counts_no_longer(place: Place, secrets: Secrets) -> None:
    """Whoever asked gives up before the server has answered: from then on nothing of the old version is under way."""

    async def serve(line: Line) -> None:
        async with live_async_redis(secrets, "redis-url") as client:
            await until(lambda: place.oldest == "v1b")
            line.plan = plan = Plan(1)
            asking = asyncio.ensure_future(client.ping())
            await until(plan.held.is_set)
            place.deliver("v2")
            await until(lambda: knows(place, secrets, "v2"))
            assert place.oldest == "v1b"
            await ended(asking)
            await until(lambda: place.oldest == "v2")
            plan.release.set()
            assert await client.ping()

    with Line(place.server.port) as line:
        place.port = line.port
        place.allow("v1", "v1b", "v2")
        place.deliver("v1b")
        wait_until(lambda: secrets["redis-url"].version == "v1b")
        asyncio.run(serve(line))


def test_a_server_that_does_not_answer_rejects_nothing(place: Place, secrets: Secrets) -> None:
    """An outage during a trial is no verdict on the password; when it is over, the client goes over."""

    async def serve(line: Line) -> None:
        async with live_async_redis(secrets, "redis-url"):
            await until(lambda: place.oldest == "v1b")
            line.down.set()
            place.deliver("v2")
            await until(lambda: line.turned_away > 1)
            assert (place.oldest, place.rejection) == ("v1b", None)
            line.down.clear()
            await until(lambda: place.oldest == "v2")

    with Line(place.server.port) as line:
        place.port = line.port
        place.allow("v1", "v1b", "v2")
        place.deliver("v1b")
        wait_until(lambda: secrets["redis-url"].version == "v1b")
        asyncio.run(serve(line))


def test_a_version_that_names_another_database_is_rejected(place: Place, secrets: Secrets) -> None:
    """Only the credential of a client that is open can change."""
    client = live_async_redis(secrets, "redis-url")
    wait_until(lambda: place.oldest == "v1")
    place.allow("v1", "v2")
    place.db = "1"
    place.deliver("v2")
    wait_until(lambda: place.rejection == ("v2", "it names another server or database"))
    del client


def test_a_client_goes_on_in_the_next_loop(place: Place, secrets: Secrets) -> None:
    """What was open in a loop that is closed is used by nobody, and given to nobody."""
    clients = [live_async_redis(secrets, "redis-url")]

    async def ping() -> None:
        await asyncio.gather(*(clients[0].ping() for _ in range(2)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # sockets of the first loop, which nobody closed in time
        asyncio.run(ping())
        wait_until(lambda: place.oldest == "v1")
        place.allow("v1", "v2")
        place.deliver("v2")
        wait_until(lambda: place.oldest == "v2")
        asyncio.run(ping())
        asyncio.run(ping())
        assert place.oldest == "v2"
        clients.clear()
        gc.collect()


def test_a_client_that_is_gone_does_not_hold_its_process_back(place: Place, secrets: Secrets) -> None:
    """What is delivered afterwards is not tried on it."""

    async def serve() -> None:
        async with live_async_redis(secrets, "redis-url") as client:
            await client.ping()
            await until(lambda: place.oldest == "v1")

    asyncio.run(serve())
    gc.collect()
    place.deliver("v2")
    wait_until(lambda: place.oldest == "v2")


def test_a_credential_of_ones_own_is_refused(secrets: Secrets) -> None:
    """A `password` would be one that no rotation changes; a name that is not published makes no client."""
    with pytest.raises(UsageError, match="takes no password="):
        live_async_redis(secrets, "redis-url", password=random.token_urlsafe(8))
    with pytest.raises(NotFound):
        live_async_redis(secrets, "no-such-url")


def test_no_value_is_in_what_the_client_shows(place: Place, secrets: Secrets, caplog: pytest.LogCaptureFixture) -> None:
    """Neither its text, nor its settings, nor the error of a log-in holds the password."""
    caplog.set_level("DEBUG")

    async def serve() -> None:
        async with live_async_redis(secrets, "redis-url") as client:
            place.server.passwords()
            with pytest.raises(AuthenticationError) as refused:
                await client.ping()
            pool = client.connection_pool
            for shown in (repr(client), repr(pool.connection_kwargs), repr(refused.value), caplog.text):
                assert not stands_in(place.bundles["v1"]["password"], shown)

    asyncio.run(serve())
