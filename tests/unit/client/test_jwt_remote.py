"""The key set of another service: fetched when it is needed, never more often than allowed, never used for too long."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from itertools import count, pairwise
from pathlib import Path

import pytest

from keyturn.client.adapters.jwt import Bounds, KeyUnknown, RemoteKeys, Signer, Verifier
from keyturn.client.adapters.jwt.key_set import KeySet
from keyturn.core.errors import Corrupt, Unavailable, UsageError
from keyturn.system.jwk import base64url
from keyturn.testing.certificates import Authority
from keyturn.testing.key_set_server import Exchange, KeySetServer, Published, trusting
from tests.unit.client.key_place import KeyPlace, Pair, Shared, key_set
from tests.unit.client.place import until

BOUNDS = Bounds(ttl=300, interval=30, outage=3600, timeout=30)
FORMER, NEW = Pair("ES256"), Pair("EdDSA")


class Hand:
    """A clock in the hand of a test."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.at


@pytest.fixture
def clock() -> Hand:
    """It stands still."""
    return Hand()


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Of the server's certificate."""
    return Authority()


@pytest.fixture
def server(tmp_path: Path, authority: Authority) -> Iterator[KeySetServer]:
    """Publishes the former key."""
    with KeySetServer(tmp_path, authority) as server:
        server.document = key_set(FORMER)
        yield server


@pytest.fixture
def keys(server: KeySetServer, authority: Authority, clock: Hand) -> RemoteKeys:
    """What another service knows of it."""
    return RemoteKeys(server.url, BOUNDS, context=trusting(authority), clock=clock)


def known(keys: RemoteKeys, *pairs: Pair) -> list[bool]:
    """Which of these are accepted."""
    return [keys.find(pair.kid) is not None for pair in pairs]


def test_a_token_of_another_service_is_checked_by_what_it_publishes(
    tmp_path: Path, keys: RemoteKeys, server: KeySetServer
) -> None:
    """By `jwks()` of the one and `RemoteKeys` of the other, with one fetch for many tokens."""
    us = {"issuer": "https://clo.example", "audience": "clo-api", "longest_life": 900}
    with KeyPlace(tmp_path, "jwt", FORMER.signs(NEW)).open() as secrets:
        signing = KeySet(secrets, "jwt")
        server.document = signing.jwks()
        signer, verifier = Signer(signing, **us), Verifier(keys, **us)  # type: ignore[arg-type]  # one dict for both
        for _ in range(20):
            assert verifier.verify(signer.sign({"sub": "user-1"}))["sub"] == "user-1"
    assert server.requests == ["/jwks.json"]


def test_a_flood_of_unknown_ids_fetches_once_in_an_interval(
    keys: RemoteKeys, server: KeySetServer, clock: Hand
) -> None:
    """Whoever can send tokens must not be able to make this service knock at another."""
    known(keys, FORMER)
    for second in range(100):
        clock.at += 1
        assert [keys.find(f"random-{second}-{number}") for number in range(50)] == [None] * 50
    assert len(server.requests) == 1 + 100 // 30


def test_an_unknown_id_is_looked_for_once_and_found(keys: RemoteKeys, server: KeySetServer, clock: Hand) -> None:
    """A key that was published after the last fetch; within the interval it stays unknown."""
    assert known(keys, FORMER) == [True]
    server.document = key_set(FORMER, NEW)
    assert known(keys, NEW) == [False]
    clock.at += 30
    assert known(keys, NEW, FORMER) == [True, True]
    assert len(server.requests) == 2


def test_threads_that_meet_an_unknown_id_share_one_fetch(keys: RemoteKeys, server: KeySetServer, clock: Hand) -> None:
    """All of them wait for it, and all find the key."""
    known(keys, FORMER)
    server.document = key_set(FORMER, NEW)
    clock.at += 30
    server.answering.clear()
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.extend(known(keys, NEW))) for _ in range(12)]
    for thread in threads:
        thread.start()
    until(lambda: len(server.requests) == 2)
    server.answering.set()
    for thread in threads:
        thread.join()
    assert found == [True] * 12
    assert len(server.requests) == 2


def test_a_key_that_was_taken_down_is_gone_after_the_ttl(keys: RemoteKeys, server: KeySetServer, clock: Hand) -> None:
    """The first token after it waits for the new document, and is refused by it."""
    assert known(keys, FORMER) == [True]
    server.document = key_set(NEW)
    clock.at += 301
    assert known(keys, FORMER, NEW) == [False, True]


def test_a_document_is_renewed_ahead_while_it_is_used(keys: RemoteKeys, server: KeySetServer, clock: Hand) -> None:
    """Nobody waits for that: the answer comes from what is known, while the address has not answered yet."""
    known(keys, FORMER)
    server.document = key_set(NEW)
    server.answering.clear()
    clock.at += 240
    assert known(keys, FORMER) == [True]
    until(lambda: len(server.requests) == 2)
    assert known(keys, FORMER) == [True]
    server.answering.set()
    until(lambda: known(keys, FORMER, NEW) == [False, True])
    assert len(server.requests) == 2


def test_in_an_outage_the_last_document_is_used_up_to_its_bound(
    keys: RemoteKeys, server: KeySetServer, clock: Hand
) -> None:
    """And not a second longer: a key may have been taken down long ago."""
    assert known(keys, FORMER) == [True]
    server.status = 503
    clock.at += 3600
    assert known(keys, FORMER) == [True]
    clock.at += 1
    with pytest.raises(Unavailable, match="answered 503"):
        keys.find(FORMER.kid)
    server.status = 200
    clock.at += 30
    assert known(keys, FORMER) == [True]


def test_an_address_that_is_down_is_asked_less_and_less(keys: RemoteKeys, server: KeySetServer, clock: Hand) -> None:
    """After 1, 2, 4, … seconds, then once in an interval; a thousand requests a second make no difference."""
    known(keys, FORMER)
    server.status = 503
    clock.at += 301
    moments: list[float] = []
    for _ in range(120):
        for _ in range(5):
            known(keys, FORMER)
            settled(keys, server)
        moments += [clock.at] * (len(server.requests) - 1 - len(moments))
        clock.at += 1
    assert [later - sooner for sooner, later in pairwise(moments)] == [2, 4, 8, 16, 30, 30]


def settled(keys: RemoteKeys, server: KeySetServer) -> None:
    """Wait for the fetch under way, if there is one."""
    assert server.answering.is_set()
    flight = keys._flight
    assert flight is not None
    flight.join()


def test_without_a_first_document_nothing_is_accepted(keys: RemoteKeys, server: KeySetServer, clock: Hand) -> None:
    """It is said as a fault of the keys, never as a refusal of the token; a later answer mends it."""
    server.status = 500
    with pytest.raises(Unavailable, match="answered 500"):
        keys.find(FORMER.kid)
    with pytest.raises(Unavailable, match="answered 500"):
        keys.refresh()
    server.status = 200
    clock.at += 30
    assert known(keys, FORMER) == [True]


def test_nobody_waits_longer_than_the_time_out(server: KeySetServer, authority: Authority, clock: Hand) -> None:
    """For an address that answers letter by letter, and is not asked a second time within the pause."""
    bounds = Bounds(ttl=300, interval=30, outage=3600, timeout=0.2)
    keys = RemoteKeys(server.url, bounds, context=trusting(authority), clock=clock)
    server.dripping = True
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"did not answer in 0\.2 s"):
            keys.find(FORMER.kid)
        clock.at += 0.4
    assert len(server.requests) == 1
    server.dripping = False


def test_nobody_waits_while_the_address_is_down_and_a_document_is_there(
    keys: RemoteKeys, server: KeySetServer, clock: Hand
) -> None:
    """The first failure tells all others: they take what there is, while it is asked again."""
    known(keys, FORMER)
    server.status = 503
    clock.at += 301
    known(keys, FORMER)
    server.answering.clear()
    clock.at += 60
    found: list[bool] = []
    asking = threading.Thread(target=lambda: found.extend([*known(keys, FORMER), keys.find("random") is not None]))
    asking.start()
    until(lambda: found == [True, False])
    asking.join()
    until(lambda: len(server.requests) == 3)


@pytest.mark.parametrize(
    "document",
    ["", "none", "[]", '{"keys": {}}', "[" * 100_000, '{"keys": [' + '"x",' * 70_000 + '"x"]}'],
)
def test_what_is_no_key_set_changes_nothing(keys: RemoteKeys, server: KeySetServer, document: str) -> None:
    """A page of a proxy, say, or what is too long to be one."""
    known(keys, FORMER)
    server.document = document
    with pytest.raises(Corrupt):
        keys.refresh()
    assert known(keys, FORMER) == [True]


def test_two_keys_with_one_id_are_no_set(keys: RemoteKeys, server: KeySetServer) -> None:
    """Nobody knows which of them a token means."""
    server.document = json.dumps({"keys": [FORMER.jwk, {**NEW.jwk, "kid": FORMER.kid}]})
    with pytest.raises(Corrupt, match="two keys have one id"):
        keys.refresh()


def test_an_empty_set_accepts_nothing(keys: RemoteKeys, server: KeySetServer) -> None:
    """All keys were taken down, and that is what it says."""
    known(keys, FORMER)
    server.document = '{"keys":[]}'
    keys.refresh()
    assert known(keys, FORMER) == [False]


def test_shared_keys_and_keys_for_other_things_are_not_looked_at(keys: RemoteKeys, server: KeySetServer) -> None:
    """A shared key that everybody can read is nobody's signature."""
    shared = Shared("a shared key of 32 bytes, or more", "s1")
    others = [shared.jwk, {**NEW.jwk, "use": "enc"}, {"kty": "new"}, "key"]
    server.document = json.dumps({"keys": [*others, FORMER.jwk]})
    assert known(keys, FORMER, NEW) == [True, False]
    assert keys.find("s1") is None


def test_a_key_is_read_once_for_as_long_as_it_stands_there(keys: RemoteKeys, server: KeySetServer) -> None:
    """Another key under the same id is read anew."""
    before = keys.find(FORMER.kid)
    server.document = key_set(NEW, FORMER)
    keys.refresh()
    assert keys.find(FORMER.kid) is before
    server.document = json.dumps({"keys": [{**NEW.jwk, "kid": FORMER.kid}]})
    keys.refresh()
    after = keys.find(FORMER.kid)
    assert after is not None
    assert after.algorithm == "EdDSA"


def test_an_answer_without_end_is_ended(server: KeySetServer, authority: Authority, clock: Hand) -> None:
    """One that comes letter by letter: it is over after the time-out, and the address is asked again."""
    bounds = Bounds(ttl=300, interval=30, outage=3600, timeout=0.2)
    keys = RemoteKeys(server.url, bounds, context=trusting(authority), clock=clock)
    server.dripping = True

    def asked_again() -> bool:
        clock.at += 60
        with pytest.raises(Unavailable):
            keys.find(FORMER.kid)
        return len(server.requests) > 1

    until(asked_again)


def test_a_redirection_is_not_followed(keys: RemoteKeys, server: KeySetServer) -> None:
    """It could lead anywhere, into the network of this service as well."""
    server.status, server.location = 302, "/elsewhere"
    with pytest.raises(Unavailable, match="answered 302"):
        keys.find(FORMER.kid)
    assert server.requests == ["/jwks.json"]


def test_an_unknown_authority_is_not_believed(server: KeySetServer, clock: Hand) -> None:
    """Keys from whoever stands in the way would accept that one's tokens."""
    keys = RemoteKeys(server.url, BOUNDS, context=trusting(Authority()), clock=clock)
    with pytest.raises(Unavailable, match="SSLCertVerificationError"):
        keys.find(FORMER.kid)
    assert server.requests == []


def test_plain_http_will_do_on_loopback(clock: Hand) -> None:
    """A process beside this one, which nobody stands between."""
    service = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
    service.owner = Published(key_set(FORMER))  # type: ignore[attr-defined]  # where the exchange looks for it
    serving = threading.Thread(target=service.serve_forever, args=(0.02,))
    serving.start()
    try:
        keys = RemoteKeys(f"http://127.0.0.1:{service.server_address[1]}/jwks.json?of=clo", BOUNDS, clock=clock)
        assert known(keys, FORMER, NEW) == [True, False]
        assert service.owner.requests == ["/jwks.json?of=clo"]  # type: ignore[attr-defined]  # as above
    finally:
        service.shutdown()
        service.server_close()
        serving.join()


@pytest.mark.parametrize(
    "url",
    [
        "http://clo.example/jwks.json",
        "https://user@clo.example/jwks.json",
        "https:///jwks.json",
        "https://clo.example/jwks.json#keys",
        "https://clo.example:port/jwks.json",
        "file:///etc/jwks.json",
        "clo.example/jwks.json",
    ],
)
def test_an_address_that_anybody_could_answer_for_is_refused(url: str) -> None:
    """Before anything is asked."""
    with pytest.raises(UsageError):
        RemoteKeys(url)


@pytest.mark.parametrize(
    "bounds", [{"interval": 0}, {"interval": 400}, {"ttl": 4000}, {"timeout": 0}, {"interval": float("nan")}]
)
def test_bounds_that_contradict_each_other_are_refused(bounds: dict[str, float]) -> None:
    """A time without end among them."""
    with pytest.raises(UsageError):
        Bounds(**bounds)


def test_a_forked_child_fetches_by_itself(keys: RemoteKeys, server: KeySetServer, clock: Hand) -> None:
    """Whatever its parent was doing: the fetch that was under way is not the child's."""
    known(keys, FORMER)
    server.document = key_set(FORMER, NEW)
    clock.at += 30
    server.answering.clear()
    waiting = threading.Thread(target=known, args=(keys, NEW))
    waiting.start()
    until(lambda: len(server.requests) == 2)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            clock.at += 30
            os.write(writing, b"found" if known(keys, NEW) == [True] else b"unknown")
        finally:
            os._exit(0)
    os.close(writing)
    until(lambda: len(server.requests) == 3)
    server.answering.set()
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "found"
    os.waitpid(child, 0)
    waiting.join()


def test_a_token_with_an_unknown_id_is_refused_while_the_address_is_down(
    keys: RemoteKeys, server: KeySetServer, clock: Hand
) -> None:
    """An id that nobody knows is no reason to answer that the service has a fault."""
    us = {"issuer": "https://clo.example", "audience": "clo-api", "longest_life": 900}
    known(keys, FORMER)
    server.status = 503
    numbers = count()
    clock.at += 31
    for _ in range(3):
        with pytest.raises(KeyUnknown):
            Verifier(keys, **us).verify(unknown(next(numbers)))  # type: ignore[arg-type]  # one dict for all
    assert len(server.requests) == 2


def unknown(number: int) -> str:
    """A token of a key that is published nowhere."""
    return f"{base64url(json.dumps({'alg': 'ES256', 'kid': f'random-{number}'}).encode())}.e30.AAAA"
