"""The recipe for Celery: a prefork worker whose database and broker credentials change while tasks run."""

import importlib.util
import json
import os
import secrets as random
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from keyturn.core.compose import compose
from keyturn.core.consumer import Delivery, Grade
from keyturn.core.secret import Bundle
from keyturn.testing.postgres_server import PostgresServer
from keyturn.testing.redis_server import USER, RedisServer
from tests.live.client.client_place import Database, Place, until

EXAMPLES = Path(__file__).parents[3] / "examples"
CHILDREN = 2
WORKER_AND_CHILDREN = CHILDREN + 1
REDIS_URL = "redis://{username}:{password}@{host}:{port}/0"


class Deals:
    """A worker of the example, and tasks for it."""

    def __init__(self, place: Place, server: RedisServer) -> None:
        self.place = place
        self.server = server
        self.passwords = [Bundle({"username": USER, "password": random.token_urlsafe(24)})]
        self.fences = count(1)
        self.log = place.home / "worker.log"
        self.worker: subprocess.Popen[bytes] | None = None
        content = json.loads(place.client_file.read_text())
        place.client_file.write_text(json.dumps({**content, "secrets": ["database", "redis"]}))
        server.passwords(self.passwords[0]["password"])
        self.deliver_password()

    def deliver_password(self) -> None:
        """Deliver the newest password of the broker."""
        places = {"host": "127.0.0.1", "port": str(self.server.port)}
        published = {"redis-url": compose(REDIS_URL, self.passwords[-1], places)}
        version = f"r{len(self.passwords)}"
        delivery = Delivery("redis", version, self.passwords[-1], next(self.fences), published)
        self.place.application.deliver(delivery)

    def start(self) -> None:
        """Start the worker as people do."""
        command = [sys.executable, "-m", "celery", "--app", "celery_tasks", "--quiet", "worker", "--pool", "prefork"]
        command += ["--concurrency", str(CHILDREN), "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        with self.log.open("wb") as log:
            self.worker = subprocess.Popen(command, cwd=EXAMPLES, env=self.environment, stdout=log, stderr=log)

    @property
    def environment(self) -> dict[str, str]:
        """That of the worker."""
        return {**os.environ, "KEYTURN_CLIENT": str(self.place.client_file), "PYTHONDONTWRITEBYTECODE": "1"}

    def stop(self) -> None:
        """End the worker as people do."""
        if self.worker is not None:
            self.worker.terminate()
            try:
                assert self.worker.wait(30) == 0
            finally:
                self.worker.kill()

    def settled(self, secret: str, version: str) -> bool:
        """Whether the worker and its children are shown to run on it."""
        bundles = {f"r{number}": bundle for number, bundle in enumerate(self.passwords, 1)}
        seen = self.place.observe() if secret == "database" else self.place.application.observe(secret, bundles)
        return seen.complete and all(i.runs_on(version) and i.grade is Grade.HOLDS for i in seen.instances)


@pytest.fixture
def deals(tmp_path: Path, postgres: PostgresServer) -> Iterator[Deals]:
    """A worker with two children, on v1 of the database and r1 of the broker."""
    place = Place(tmp_path, Database(postgres), expect=WORKER_AND_CHILDREN)
    place.deliver("a", "v1")
    with RedisServer() as server:
        deals = Deals(place, server)
        deals.start()
        try:
            until(lambda: deals.settled("database", "v1"), 60)
            yield deals
        finally:
            deals.stop()


@pytest.fixture
def sign(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Any]]:
    """Sends a task from this process, which is a client of its own, with no instance to report."""
    own = deals.place.home / "sender.json"
    content = json.loads(deals.place.client_file.read_text())
    del content["status_dir"]
    own.write_text(json.dumps(content))
    monkeypatch.setenv("KEYTURN_CLIENT", str(own))
    spec = importlib.util.spec_from_file_location("celery_tasks", EXAMPLES / "celery_tasks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "celery_tasks", module)
    spec.loader.exec_module(module)
    yield module.sign.delay
    module.app.close()
    module.secrets.close()


def unused(place: Place, slot: str) -> bool:
    """Whether the role of that slot has no session."""
    return place.database.sessions(slot) == 0


def rotate(deals: Deals, sign: Callable[[int], Any], slot: str, version: str) -> list[Any]:
    """Tasks before and after; in between the other role comes out of use, and may not log in any more."""
    place, left = deals.place, "a" if slot == "b" else "b"
    results = [sign(number) for number in range(20)]
    place.deliver(slot, version)
    until(lambda: deals.settled("database", version))
    until(lambda: unused(place, left))
    place.database.run(f"ALTER ROLE {place.database.role(left)} NOLOGIN")
    results += [sign(number) for number in range(20)]
    assert results[-1].get(30) == place.database.role(slot)
    place.database.run(f"ALTER ROLE {place.database.role(left)} LOGIN")
    return results


def change(deals: Deals) -> None:
    """The broker takes both passwords; the new one is delivered, and then it alone is taken; connections are cut."""
    deals.passwords.append(Bundle({"username": USER, "password": random.token_urlsafe(24)}))
    deals.server.passwords(*(bundle["password"] for bundle in deals.passwords))
    deals.deliver_password()
    until(lambda: deals.settled("redis", "r2"))
    deals.server.passwords(deals.passwords[-1]["password"])
    deals.server.cut()


def test_no_task_fails_through_rotations_of_database_and_broker(deals: Deals, sign: Callable[[int], Any]) -> None:
    """Three rotations of the database and a change of the broker's password under tasks; no log-in is refused."""
    results = []
    for slot, version in (("b", "v2"), ("a", "v1"), ("b", "v2")):
        results += rotate(deals, sign, slot, version)
    change(deals)
    results += [sign(number) for number in range(20)]
    users = [result.get(30) for result in results]
    assert set(users) == {deals.place.database.role("a"), deals.place.database.role("b")}
    assert len(users) == 140
    assert deals.server.refused() == 0
