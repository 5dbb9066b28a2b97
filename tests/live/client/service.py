"""A FastAPI service as servers with several workers run it, written with the public client only."""

import os
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from psycopg import Connection
from psycopg_pool import ConnectionPool
from sqlalchemy import Engine, text

from keyturn.client import Handle, Secrets
from keyturn.client.adapters.fastapi import Serving
from keyturn.client.adapters.psycopg_pool import live_pool
from keyturn.client.adapters.sqlalchemy_engine import live_engine

Pool = ConnectionPool[Connection[Any]]


def make_pool(secrets: Secrets) -> Pool:
    """A small one."""
    return live_pool(secrets, "database-url", min_size=1, max_size=2)


def make_engine(secrets: Secrets) -> Engine:
    """A small one."""
    return live_engine(secrets, "database-url", pool_size=1, max_overflow=1)


serving = Serving()
url = serving.handle("database-url")
pool = serving.live(make_pool, ConnectionPool.close)
engine = serving.live(make_engine, Engine.dispose)

app = FastAPI(lifespan=serving.lifespan())
app.add_api_route("/ready", serving.ready)


@app.get("/deals")
def deals(pool: Annotated[Pool, Depends(pool)], engine: Annotated[Engine, Depends(engine)]) -> dict[str, Any]:
    """A read through each of them; which process answers, and as whom."""
    with pool.connection() as connection:
        first = connection.execute("SELECT session_user FROM (SELECT count(*) FROM deals) AS read").fetchone()
    with engine.begin() as other:
        other.execute(text("INSERT INTO deals VALUES (1)"))
        second = other.scalar(text("SELECT session_user"))
    return {"pid": os.getpid(), "users": [first[0] if first else None, second]}


@app.get("/fail")
def fail(url: Annotated[Handle, Depends(url)]) -> None:
    """An error whose words hold the credential, as those of libraries may."""
    raise RuntimeError(url.reveal())
