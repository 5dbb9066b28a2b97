"""The read that an application makes most often, while versions change under it.

Peers: `SecretStr.get_secret_value()` of pydantic-settings, the quickest that is in common use, which never refreshes;
and AWS's own cache with a client that answers from memory.
"""

import os
import tempfile
import timeit
from collections.abc import Mapping
from pathlib import Path

from aws_secretsmanager_caching import SecretCache  # type: ignore[import-untyped]  # it has no types
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from bench.delivering import NAME, configuration, delivering
from bench.measure import Figure, Goal, Timed, in_turn, ratio
from keyturn.client import Secrets

GOAL_PYDANTIC, GOAL_AWS = Goal(1.0), Goal(100.0, at_least=True)
ROUNDS = 25
READS, AWS_READS = 200_000, 2_000
PAUSE = 0.1


class Settings(BaseSettings):
    """As an application has it today."""

    database_url: SecretStr = SecretStr("")


class FromMemory:
    """What `SecretCache` asks, answered at once and by as little as it needs."""

    def describe_secret(self, **_: str) -> Mapping[str, object]:
        """One version."""
        return {"VersionIdsToStages": {"v1": ["AWSCURRENT"]}}

    def value(self, **_: str) -> Mapping[str, object]:
        """Its value."""
        return {"SecretString": "postgresql://v1"}

    get_secret_value = value


def measure(scratch: Path) -> list[Figure]:
    """A handle that is kept, one that is asked for at each use, a whole bundle; and the peers."""
    os.environ["DATABASE_URL"] = "postgresql://v1"
    cache = SecretCache(client=FromMemory())
    with tempfile.TemporaryDirectory(dir=scratch) as home, delivering(Path(home), PAUSE):  # noqa: SIM117 - one must begin first
        with Secrets.open(configuration(Path(home))) as secrets:
            names = {"url": secrets[NAME], "secrets": secrets, "settings": Settings(), "cache": cache}
            first = secrets.bundle("database").version
            times = in_turn(
                {
                    "handle": _loop("url.reveal()", names, READS),
                    "by_name": _loop(f"secrets[{NAME!r}].reveal()", names, READS),
                    "bundle": _loop("secrets.bundle('database')", names, READS),
                    "pydantic": _loop("settings.database_url.get_secret_value()", names, READS),
                    "aws": _loop("cache.get_secret_string('database-url')", names, AWS_READS),
                },
                ROUNDS,
            )
            if secrets.bundle("database").version == first:
                raise RuntimeError("nothing changed while it was measured")
    return [
        ratio("handle_read_over_pydantic", times["handle"], times["pydantic"], GOAL_PYDANTIC),
        ratio("read_by_name_over_pydantic", times["by_name"], times["pydantic"]),
        ratio("bundle_read_over_pydantic", times["bundle"], times["pydantic"]),
        ratio("aws_cache_read_over_handle", times["aws"], times["handle"], GOAL_AWS),
    ]


def _loop(statement: str, names: Mapping[str, object], reads: int) -> Timed:
    """The seconds of one read."""
    timer = timeit.Timer(statement, globals=dict(names))
    return lambda: timer.timeit(reads) / reads
