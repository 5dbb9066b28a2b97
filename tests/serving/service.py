"""The service, as a team writes it: `uvicorn tests.serving.service:app`, configured by KEYTURN_CLIENT alone.

It knows `keyturn.client` and its adapters; no URL, no password and no key is anywhere else.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from fastapi import FastAPI
from psycopg import Connection

from keyturn.client import Secrets
from keyturn.client.adapters.psycopg_pool import live_pool
from keyturn.client.adapters.redis_client import live_redis
from tests.serving.desk import Desk, router

ALGORITHM = "ES256"


class Tokens:
    """Signs and verifies with the key that reads give."""

    def __init__(self, secrets: Secrets) -> None:
        self._private, self._public = secrets["jwt.private_key"], secrets["jwt.public_key"]

    def sign(self, claims: dict[str, Any]) -> str:
        """A token that says this."""
        return jwt.encode(claims, self._private.reveal(), algorithm=ALGORITHM)

    def verify(self, token: str) -> dict[str, Any]:
        """What it says."""
        return dict(jwt.decode(token, self._public.reveal(), algorithms=[ALGORITHM]))


def looks_at_deals(new: Connection[Any]) -> None:
    """What a new version has to be able to do, before the pool goes over to it."""
    new.execute("SELECT 1 FROM deals LIMIT 1")


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    """Open what lives on secrets, and close it before them."""
    with Secrets.open() as secrets:
        pool = live_pool(secrets, "database-url", min_size=2, max_size=8, check=looks_at_deals)
        sessions = live_redis(secrets, "redis-url", check=lambda new: new.ping(), decode_responses=True)
        with pool, sessions:
            application.state.desk = Desk(pool.connection, sessions, Tokens(secrets))
            yield


app = FastAPI(lifespan=lifespan)
app.include_router(router)
