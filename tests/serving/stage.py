"""A place with its servers and its users, as long as a `with` block lives."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keyturn.core.secret import SecretValue
from keyturn.testing.postgres_server import PostgresServer
from keyturn.testing.redis_server import RedisServer
from tests.serving.crowd import users
from tests.serving.place import Place


@contextmanager
def stage(folder: Path, count: int, deadline: str) -> Iterator[tuple[Place, list[tuple[str, SecretValue]]]]:
    """PostgreSQL, Redis and an installation in that folder, and that many users."""
    people = users(count)
    with PostgresServer() as postgres, RedisServer() as redis:
        place = Place(folder, postgres, redis, deadline)
        place.prepare(people)
        yield place, people
