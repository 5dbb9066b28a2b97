"""A FastAPI application with its secrets: opened by its lifespan, given by dependencies, drained at its end."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from uvicorn.config import LOGGING_CONFIG
from uvicorn.logging import AccessFormatter

from keyturn.client import Handle, Secrets, View
from keyturn.client.adapters.fastapi import Serving
from keyturn.client.mask import LogMask
from keyturn.core.errors import KeyturnError, NotFound, UsageError
from keyturn.core.secret import MASK
from tests.unit.client.place import Place, until


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An application with v1 delivered."""
    return Place(tmp_path)


@pytest.fixture
def serving(place: Place) -> Serving:
    """Its secrets, not open yet."""
    return Serving(place.file, mask_logs=False)


class Pool:
    """Something that lives on a secret, and knows whether it is closed."""

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets
        self.version = secrets["database-url"].version
        self.closed = False

    def close(self) -> None:
        """End, while the secrets are still open."""
        assert self.secrets["database-url"].version
        self.closed = True

    async def aclose(self) -> None:
        """The same, as asyncio forms have it."""
        self.close()


async def call(app: Any, path: str) -> tuple[int, Any]:
    """A GET as a server makes it: status and JSON."""
    sent: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request"}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "http_version": "1.1"}
    await app({**scope, "asgi": {"version": "3.0"}, "scheme": "http", "root_path": "", "state": {}}, receive, send)
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent))


def within(app: Any, do: Callable[[], Awaitable[Any]]) -> Any:
    """What it gives while the application is up."""

    async def run() -> Any:
        async with app.router.lifespan_context(app):
            return await do()

    return asyncio.run(run())


def drained(place: Place) -> list[bool]:
    """Of each status file, whether it says that the process uses nothing any more."""
    return [json.loads(path.read_text())["drained"] for path in (place.run / "status").glob("*.json")]


def test_handles_bundles_and_live_things_are_given(place: Place, serving: Serving) -> None:
    """Each as of now: after a rotation the same routes give the new version, from the same live object."""
    url, database, pool = serving.handle("database-url"), serving.bundle("database"), serving.live(Pool, Pool.close)
    app = FastAPI(lifespan=serving.lifespan())

    @app.get("/")
    def versions(
        url: Annotated[Handle, Depends(url)],
        database: Annotated[View, Depends(database)],
        pool: Annotated[Pool, Depends(pool)],
    ) -> list[str]:
        return [url.version, database.version, pool.version]

    async def twice() -> list[Any]:
        before = await call(app, "/")
        place.deliver("v2")
        serving.secrets.refresh()
        return [before, await call(app, "/")]

    assert drained(place) == []
    assert within(app, twice) == [(200, ["v1"] * 3), (200, ["v2", "v2", "v1"])]
    assert drained(place) == [True]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_what_lives_on_the_secrets_ends_before_them_and_the_own_lifespan_before_that(
    place: Place, serving: Serving, *, asynchronous: bool
) -> None:
    """The application's own lifespan has both, gives its state on, and what it opened is closed first."""
    pools: list[Pool] = []

    async def make(secrets: Secrets) -> Pool:
        await asyncio.sleep(0)
        return Pool(secrets)

    given = serving.live(make if asynchronous else Pool, Pool.aclose if asynchronous else Pool.close)

    @asynccontextmanager
    async def own(app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        pools.append(await given())
        yield {"app": app}
        assert not pools[0].closed
        assert drained(place) == [False]

    app = Starlette(lifespan=serving.lifespan(own))

    async def state() -> Any:
        async with app.router.lifespan_context(app) as found:
            return found

    assert asyncio.run(state()) == {"app": app}
    assert (pools[0].closed, drained(place)) == (True, [True])


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda serving: serving.handle("smtp-password"), "no published name 'smtp-password'"),
        (lambda serving: serving.bundle("smtp"), "uses no secret 'smtp'"),
        (lambda serving: serving.live(lambda secrets: secrets["smtp"], id), "no published name 'smtp'"),
    ],
)
def test_a_name_that_is_missing_ends_the_start(
    place: Place, serving: Serving, ask: Callable[[Serving], object], said: str
) -> None:
    """Not the first request that asks for it; and nothing stays open."""
    closed: list[Pool] = []
    serving.live(Pool, closed.append)
    ask(serving)
    app = FastAPI(lifespan=serving.lifespan())

    async def never() -> None:
        raise AssertionError

    with pytest.raises(NotFound, match=said):
        within(app, never)
    assert drained(place) == [True]
    with pytest.raises(UsageError, match="no secrets are open"):
        serving.secrets.refresh()


def test_what_fails_at_the_end_leaves_nothing_open(place: Place, serving: Serving) -> None:
    """An error of the application's own, and one of something that lives on the secrets."""
    pools: list[Pool] = []

    def fails(pool: Pool) -> None:
        pools.append(pool)
        raise OSError("at the end")

    serving.live(Pool, fails)
    last = serving.live(Pool, fails)

    @asynccontextmanager
    async def own(_: FastAPI) -> AsyncIterator[None]:
        yield
        raise ValueError

    app = FastAPI(lifespan=serving.lifespan(own))
    with pytest.raises(OSError, match="at the end"):
        within(app, last)
    assert (len(pools), drained(place)) == (2, [True])


def test_outside_of_the_lifespan_nothing_is_given(serving: Serving) -> None:
    """Not before, not after, and not twice at once."""
    pool, url = serving.live(Pool, Pool.close), serving.handle("database-url")
    app = FastAPI(lifespan=serving.lifespan())

    async def again() -> None:
        with pytest.raises(UsageError, match="open already"):
            async with app.router.lifespan_context(app):
                raise AssertionError
        await pool()

    for _ in range(2):
        for given in (pool, url):
            with pytest.raises(UsageError, match="open here"):
                asyncio.run(given())
        within(app, again)


def test_it_is_ready_while_requests_would_work(tmp_path: Path) -> None:
    """Not before its start; not when the source is gone for longer than `max_stale`; it says nothing else."""
    place = Place(tmp_path, max_stale="200ms")
    serving = Serving(place.file, mask_logs=False)
    app = FastAPI(lifespan=serving.lifespan())
    app.add_api_route("/ready", serving.ready)
    database = serving.bundle("database")

    async def days() -> list[Any]:
        seen = [await call(app, "/ready")]
        (place.run / "bundle").rename(place.run / "elsewhere")
        await asyncio.to_thread(until, lambda: readable(serving.secrets) is False)
        seen.append(await call(app, "/ready"))
        with pytest.raises(KeyturnError, match="no look at the source"):
            await database()
        (place.run / "elsewhere").rename(place.run / "bundle")
        return [*seen, await call(app, "/ready")]

    assert asyncio.run(call(app, "/ready")) == (503, {"ready": False})
    good, bad = (200, {"ready": True}), (503, {"ready": False})
    assert within(app, days) == [good, bad, good]


def readable(secrets: Secrets) -> bool:
    """Whether reads work."""
    try:
        secrets.bundle("database")
    except KeyturnError:
        return False
    return True


class Refusing:
    """A holder that takes the first version only."""

    def try_new(self, view: View) -> None:
        """Turn down the others."""
        if view.version != "v1":
            raise ValueError

    def switch(self, view: View) -> None:
        """Never reached."""
        raise AssertionError(view.version)

    def settle(self) -> set[str]:
        """The first."""
        return {"v1"}


def test_a_rejected_version_leaves_it_ready(place: Place, serving: Serving) -> None:
    """The old one works: a bad rotation must not take the whole fleet out of the balance."""
    app = Starlette(lifespan=serving.lifespan())
    app.add_route("/ready", serving.ready)

    async def rejected() -> Any:
        serving.secrets.hold("database", Refusing())
        place.deliver("v2")
        await asyncio.to_thread(until, lambda: place.instances()[0].rejection)
        assert serving.secrets["database-url"].stale
        return await call(app, "/ready")

    assert within(app, rejected) == (200, {"ready": True})


@pytest.fixture
def access_log() -> Iterator[logging.StreamHandler[io.StringIO]]:
    """What uvicorn writes of each request, with the handler that it gives its logger."""
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(AccessFormatter(LOGGING_CONFIG["formatters"]["access"]["fmt"], use_colors=False))
    logger = logging.getLogger("uvicorn.access")
    logger.addHandler(handler)
    logger.propagate = False
    yield handler
    for one in filter(None, (logging.lastResort, *logger.handlers, *logging.root.handlers)):
        one.filters[:] = [each for each in one.filters if not isinstance(each, LogMask)]
    logger.removeHandler(handler)
    logger.propagate = True


def test_the_logs_of_the_server_are_masked(place: Place, access_log: logging.StreamHandler[io.StringIO]) -> None:
    """From the start on, also those of loggers that hand nothing on; anew after each start, and once."""
    serving = Serving(place.file)
    app = FastAPI(lifespan=serving.lifespan())

    async def log() -> None:
        words = ("127.0.0.1:1", "GET", "/?token=password-v1", "1.1", 200)
        logging.getLogger("uvicorn.access").warning('%s - "%s %s HTTP/%s" %d', *words)

    within(app, log)
    within(app, log)
    line = f'WARNING:  127.0.0.1:1 - "GET /?token={MASK} HTTP/1.1" 200 OK\n'
    assert access_log.stream.getvalue() == line * 2
    assert len(access_log.filters) == 1
