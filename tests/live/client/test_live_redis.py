"""The live client of Redis: load through changes of a password, what is refused, what is never gone over to."""

import gc
import secrets as random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from keyturn.client import Secrets
from keyturn.client.adapters.redis_client import live_redis
from keyturn.core.errors import NotFound, UsageError
from keyturn.testing.line import Line
from keyturn.testing.redis_server import RedisServer
from tests.live.client.client_place import until
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


def work(client: Redis, ending: threading.Event, done: list[int], failed: list[BaseException]) -> None:
    """Commands and transactions, one after the other."""
    while not ending.is_set():
        try:
            done.append(int(client.incr("deals")))
            with client.pipeline(transaction=True) as pipeline:
                pipeline.incr("deals")
                done.extend(pipeline.execute())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a request that failed
            failed.append(error)


def change(place: Place, old: str, new: str, done: list[int]) -> None:
    """Both passwords, deliver, settle, the new one alone; then nothing of before is open, and work goes on."""
    place.allow(old, new)
    before = place.server.sessions()
    place.deliver(new)
    until(lambda: place.oldest == new)
    place.allow(new)
    assert not before & place.server.sessions()
    ended = len(done)
    until(lambda: len(done) > ended + 50)


def test_no_command_fails_through_four_changes_of_the_password(place: Place, secrets: Secrets) -> None:
    """Six threads work; after each change no connection of before is open, and no log-in was ever refused."""
    client = live_redis(secrets, "redis-url")
    client.delete("deals")
    refused = place.server.refused()
    ending, done, failed = threading.Event(), list[int](), list[BaseException]()
    threads = [threading.Thread(target=work, args=(client, ending, done, failed)) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: place.oldest == "v1")
        for number in range(1, 5):
            change(place, f"v{number}", f"v{number + 1}", done)
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert place.server.refused() == refused
    assert sorted(done) == list(range(1, len(done) + 1))
    client.close()


def test_what_is_idle_ends_without_a_command(place: Place, secrets: Secrets) -> None:
    """Nobody asks the client for anything, and no connection of the old password is left."""
    client = live_redis(secrets, "redis-url")
    client.ping()
    until(lambda: place.oldest == "v1")
    until(lambda: len(place.server.sessions()) == 1)
    place.allow("v1", "v2")
    place.deliver("v2")
    until(lambda: place.oldest == "v2")
    until(lambda: not place.server.sessions())
    place.allow("v2")
    assert client.ping()
    client.close()


def test_a_command_under_way_ends_as_it_began(place: Place, secrets: Secrets) -> None:
    """A blocked BLPOP keeps the old version in use, gets its element, and its connection is not kept."""
    client = live_redis(secrets, "redis-url", socket_timeout=None)
    client.delete("queue")
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(client.blpop(["queue"], 20)))
    waiting.start()
    until(lambda: place.oldest == "v1" and place.server.sessions())
    before = place.server.sessions()
    place.allow("v1", "v2")
    place.deliver("v2")
    until(lambda: secrets["redis-url"].version == "v2")
    until(lambda: place.application.observe("redis", place.bundles).instances[0].newest == "v2")
    assert place.oldest == "v1"
    client.rpush("queue", "deal")
    waiting.join()
    assert got == [(b"queue", b"deal")]
    until(lambda: place.oldest == "v2")
    assert not before & place.server.sessions()
    client.close()


def test_a_subscription_moves_and_is_subscribed_again(place: Place, secrets: Secrets) -> None:
    """At its next turn it is on a connection of the new version, and gets what is said from then on."""
    client = live_redis(secrets, "redis-url")
    with PubSub(client.connection_pool, ignore_subscribe_messages=True) as heard:
        heard.subscribe("news")
        heard.get_message(timeout=1)
        until(lambda: place.oldest == "v1")
        place.allow("v1", "v2")
        place.deliver("v2")
        until(lambda: secrets["redis-url"].version == "v2")
        assert place.oldest == "v1"
        until(lambda: not heard.get_message(timeout=0.01) and place.oldest == "v2")
        until(lambda: client.publish("news", "signed"))
        until(lambda: (heard.get_message(timeout=0.01) or {}).get("data") == b"signed")
    client.close()


def test_a_password_that_does_not_work_is_rejected_by_one_log_in(place: Place, secrets: Secrets) -> None:
    """The old one stays in use; a trial is one log-in, not eleven; when the server takes it, the client goes over."""
    client = live_redis(secrets, "redis-url", retry=Retry(NoBackoff(), 10))
    until(lambda: place.oldest == "v1")
    refused = place.server.refused()
    place.deliver("v2")
    until(lambda: place.rejection)
    assert place.rejection == ("v2", "the server turned the log-in down")
    assert 1 <= place.server.refused() - refused <= 2
    assert client.ping()
    assert secrets["redis-url"].version == "v1"
    place.allow("v1", "v2")
    until(lambda: place.oldest == "v2")
    client.close()


def test_a_missing_right_is_found_by_the_applications_own_check(place: Place, secrets: Secrets) -> None:
    """The log-in works, the command does not: rejected by the name of the error."""
    client = live_redis(secrets, "redis-url", check=lambda new: new.get("deals"))
    until(lambda: place.oldest == "v1")
    place.allow("v1", "v2")
    place.server.rule("-get")
    place.deliver("v2")
    until(lambda: place.rejection == ("v2", "NoPermissionError"))
    place.server.rule("+get")
    until(lambda: place.oldest == "v2")
    client.close()


def test_a_server_that_does_not_answer_rejects_nothing(place: Place, secrets: Secrets) -> None:
    """An outage during a trial is no verdict on the password; when it is over, the client goes over."""
    with Line(place.server.port) as line:
        place.port = line.port
        place.deliver("v1b")
        place.allow("v1", "v1b", "v2")
        until(lambda: secrets["redis-url"].version == "v1b")
        client = live_redis(secrets, "redis-url")
        until(lambda: place.oldest == "v1b")
        line.down.set()
        place.deliver("v2")
        until(lambda: line.turned_away > 1)
        assert (place.oldest, place.rejection) == ("v1b", None)
        line.down.clear()
        until(lambda: place.oldest == "v2")
        client.close()


def test_a_version_that_names_another_database_is_rejected(place: Place, secrets: Secrets) -> None:
    """Only the credential of a client that is open can change."""
    client = live_redis(secrets, "redis-url")
    until(lambda: place.oldest == "v1")
    place.allow("v1", "v2")
    place.db = "1"
    place.deliver("v2")
    until(lambda: place.rejection == ("v2", "it names another server or database"))
    client.close()


def test_a_client_that_is_gone_does_not_hold_its_process_back(place: Place, secrets: Secrets) -> None:
    """What is delivered afterwards is not tried on it."""
    client = live_redis(secrets, "redis-url")
    client.ping()
    until(lambda: place.oldest == "v1")
    client.close()
    del client
    gc.collect()
    place.deliver("v2")
    until(lambda: place.oldest == "v2")


def test_a_credential_of_ones_own_is_refused(secrets: Secrets) -> None:
    """A `password` would be one that no rotation changes; a name that is not published makes no client."""
    with pytest.raises(UsageError, match="takes no password="):
        live_redis(secrets, "redis-url", password=random.token_urlsafe(8))
    with pytest.raises(NotFound):
        live_redis(secrets, "no-such-url")


def test_no_value_is_in_what_the_client_shows(place: Place, secrets: Secrets, caplog: pytest.LogCaptureFixture) -> None:
    """Neither its text, nor its settings, nor the error of a log-in holds the password."""
    caplog.set_level("DEBUG")
    client = live_redis(secrets, "redis-url", retry_on_error=[])
    place.server.passwords()
    with pytest.raises(AuthenticationError) as refused:
        client.ping()
    pool = client.connection_pool
    for shown in (repr(client), repr(pool.connection_kwargs), repr(refused.value), caplog.text):
        assert not stands_in(place.bundles["v1"]["password"], shown)
    client.close()
