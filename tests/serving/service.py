"""The service, as a team writes it: `uvicorn tests.serving.service:app`, configured by KEYTURN_CLIENT alone.

It knows `keyturn.client` and its adapters; no URL, no password and no key is anywhere else.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from psycopg import Connection
from psycopg_pool import ConnectionPool
from redis import Redis

from keyturn.client import Secrets
from keyturn.client.adapters.fastapi import Serving
from keyturn.client.adapters.jwt import KeySet, Signer, TokenRefused, Verifier
from keyturn.client.adapters.psycopg_pool import live_pool
from keyturn.client.adapters.redis_client import live_redis
from tests.serving.desk import TOKEN_SECONDS, Desk, router

ISSUER, AUDIENCE = "https://clo.example", "clo-api"

serving = Serving()


class Tokens:
    """Signs and verifies with the keys that are in use."""

    def __init__(self, secrets: Secrets) -> None:
        keys = KeySet(secrets, "jwt")
        self.close = keys.close
        self._signer = Signer(keys, issuer=ISSUER, audience=AUDIENCE, longest_life=TOKEN_SECONDS)
        self._verifier = Verifier(keys, issuer=ISSUER, audience=AUDIENCE, longest_life=TOKEN_SECONDS)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token that says this, and when it ends."""
        return self._signer.sign(claims)

    def read(self, token: str) -> Mapping[str, Any] | None:
        """What it says; None if it does not count."""
        try:
            return self._verifier.verify(token)
        except TokenRefused:
            return None


def looks_at_deals(new: Connection[Any]) -> None:
    """What a new version has to be able to do, before the pool goes over to it."""
    new.execute("SELECT 1 FROM deals LIMIT 1")


def to_database(secrets: Secrets) -> ConnectionPool[Connection[Any]]:
    """The pool of a process."""
    return live_pool(secrets, "database-url", min_size=2, max_size=8, check=looks_at_deals)


def to_redis(secrets: Secrets) -> Redis:
    """Where sessions are."""
    return live_redis(secrets, "redis-url", check=lambda new: new.ping(), decode_responses=True)


database = serving.live(to_database, ConnectionPool.close)
sessions = serving.live(to_redis, Redis.close)
tokens = serving.live(Tokens, lambda tokens: tokens.close())


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    """With all of it open, the desk."""
    application.state.desk = Desk((await database()).connection, await sessions(), await tokens())
    yield


app = FastAPI(lifespan=serving.lifespan(lifespan))
app.include_router(router)
app.add_api_route("/ready", serving.ready)
