"""The routes of the service: log in, look, write. Where its connections and keys come from is not their business."""

import hashlib
import secrets as random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, cast

from fastapi import APIRouter, Cookie, Depends, Header, HTTPException, Request, Response
from psycopg import Connection
from pydantic import BaseModel
from redis import Redis

TOKEN_SECONDS = 4 * 3600
SCRYPT = {"n": 1024, "r": 8, "p": 1}
KNOWN = "SELECT salt, digest FROM people WHERE name = %s"
DEALS = "SELECT count(*) FROM deals WHERE owner = %s"
REPORT = "SELECT count(*), pg_sleep(1) FROM deals"
"""As slow as reports are: somebody is always in the middle of one."""
WRITE = "INSERT INTO deals (owner, title) VALUES (%s, %s)"

router = APIRouter()


class Tokens(Protocol):
    """Makes log-in tokens, and reads them."""

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token that says this, and when it ends."""

    def read(self, token: str) -> Mapping[str, Any] | None:
        """What it says; None if it does not count."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work with."""

    database: Callable[[], AbstractContextManager[Connection[Any]]]
    sessions: Redis
    tokens: Tokens


class LogIn(BaseModel):
    """Who wants to log in."""

    name: str
    password: str


class Deal(BaseModel):
    """What is written."""

    title: str


def desk(request: Request) -> Desk:
    """The desk that the lifespan made."""
    return cast("Desk", request.app.state.desk)


Given = Annotated[Desk, Depends(desk)]


def user(given: Given, authorization: Annotated[str, Header()] = "", session: Annotated[str, Cookie()] = "") -> str:
    """Who asks: the token has to be ours, and its session has to be in Redis."""
    claims = given.tokens.read(authorization.removeprefix("Bearer "))
    if claims is None:
        raise HTTPException(401, "token")
    if claims["sid"] != session or given.sessions.get(f"session:{session}") != claims["sub"]:
        raise HTTPException(401, "session")
    return str(claims["sub"])


def digest(password: str, salt: bytes) -> bytes:
    """What is kept of a user's password."""
    return hashlib.scrypt(password.encode(), salt=salt, n=SCRYPT["n"], r=SCRYPT["r"], p=SCRYPT["p"])


@router.post("/login")
def log_in(form: LogIn, given: Given, response: Response) -> dict[str, str]:
    """A token, and a session as a cookie."""
    with given.database() as connection:
        row = connection.execute(KNOWN, (form.name,)).fetchone()
    if row is None or not random.compare_digest(digest(form.password, row[0]), row[1]):
        raise HTTPException(401, "password")
    session = random.token_urlsafe(16)
    given.sessions.set(f"session:{session}", form.name, ex=TOKEN_SECONDS)
    response.set_cookie("session", session, secure=True, httponly=True)
    return {"token": given.tokens.sign({"sub": form.name, "sid": session})}


@router.get("/me")
def me(given: Given, name: Annotated[str, Depends(user)]) -> dict[str, Any]:
    """The user's name and how many deals are theirs."""
    with given.database() as connection:
        row = connection.execute(DEALS, (name,)).fetchone()
    return {"name": name, "deals": row[0] if row else 0}


@router.post("/deals", status_code=201)
def write(deal: Deal, given: Given, name: Annotated[str, Depends(user)]) -> dict[str, Any]:
    """One more deal, and how many there are now."""
    with given.database() as connection, connection.transaction():
        connection.execute(WRITE, (name, deal.title))
        row = connection.execute(DEALS, (name,)).fetchone()
    return {"deals": row[0] if row else 0}


@router.get("/report")
def report(given: Given, name: Annotated[str, Depends(user)]) -> dict[str, Any]:
    """All deals, for those who have time."""
    with given.database() as connection:
        row = connection.execute(REPORT).fetchone()
    return {"name": name, "deals": row[0] if row else 0}


@router.get("/health")
def health() -> dict[str, str]:
    """It runs."""
    return {"status": "ok"}
