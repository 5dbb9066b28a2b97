"""The same service the way it is mostly done: what it was started with is what it goes on with.

`keyturn run -- uvicorn tests.serving.from_environment:app` puts the values where such a service looks for them.
"""

import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import jwt
import psycopg
from fastapi import FastAPI
from redis import Redis

from tests.serving.desk import TOKEN_SECONDS, Desk, router

ALGORITHM = "ES256"


class Tokens:
    """Signs and verifies with the key that it was started with."""

    def __init__(self) -> None:
        self._private, begin, rest = os.environ["JWT_KEYS"].partition("-----BEGIN PUBLIC KEY-----")
        self._public = begin + rest

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token that says this, and when it ends."""
        return jwt.encode({**claims, "exp": int(time.time()) + TOKEN_SECONDS}, self._private, algorithm=ALGORITHM)

    def read(self, token: str) -> Mapping[str, Any] | None:
        """What it says; None if it does not count."""
        try:
            return dict(jwt.decode(token, self._public, algorithms=[ALGORITHM]))
        except jwt.PyJWTError:
            return None


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    """A connection for each request, as Django's default is."""
    with Redis.from_url(os.environ["REDIS_URL"], decode_responses=True) as sessions:
        application.state.desk = Desk(lambda: psycopg.connect(os.environ["DATABASE_URL"]), sessions, Tokens())
        yield


app = FastAPI(lifespan=lifespan)
app.include_router(router)
