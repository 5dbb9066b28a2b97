"""Secrets of an application under FastAPI or Starlette: `Serving`, opened by its lifespan, given by `Depends`.

What is known of the servers and guides this file (docs/adr/0038):

- A lifespan is of one worker: gunicorn's master, which imports the application with `--preload`, has none. So what
  is opened here belongs to the process that uses it, and the master is no instance of anything.
- What fails before `yield` ends the start. So every name that was asked for is looked up there.
- A server that was told to end goes out by the signal itself, and runs nothing at its exit: what shall be said at
  the end is said in the lifespan.
"""

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Generic, TypeAlias, TypeVar, cast, overload

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyturn.client import mask
from keyturn.client.handle import Handle
from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core.errors import KeyturnError, UsageError

T = TypeVar("T")
App = TypeVar("App")
Given: TypeAlias = Callable[[], Coroutine[Any, Any, T]]
"""What `Depends` takes."""
Lifespan: TypeAlias = Callable[[App], AbstractAsyncContextManager[Any]]

NOT_READY = 503


class Serving:
    """The secrets of one application, open from its start to its end. Importing the application opens nothing.

    Args:
        path: the configuration, as of `Secrets.open`.
        mask_logs: whether every handler of `logging` that there is at the start masks the values.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, mask_logs: bool = True) -> None:
        self._path = path
        self._mask_logs = mask_logs
        self._mask: mask.LogMask | None = None
        self._secrets: Secrets | None = None
        self._handles: list[str] = []
        self._bundles: list[str] = []
        self._lives: list[_Live[Any]] = []

    @property
    def secrets(self) -> Secrets:
        """What is open.

        Raises:
            UsageError: nothing is, outside of the lifespan.
        """
        if self._secrets is None:
            raise UsageError("no secrets are open here", "FastAPI(lifespan=serving.lifespan()) opens them at the start")
        return self._secrets

    def handle(self, name: str) -> Given[Handle]:
        """A dependency: the handle on that name. If there is none, the application does not start."""
        self._handles.append(name)

        async def handle() -> Handle:
            return self.secrets[name]

        return handle

    def bundle(self, secret: str) -> Given[View]:
        """A dependency: all of one version of that secret. If there is none, the application does not start."""
        self._bundles.append(secret)

        async def bundle() -> View:
            if self.secrets.is_stale(secret):  # the read may have to look, which must not stop the loop
                return await asyncio.to_thread(self.secrets.bundle, secret)
            return self.secrets.bundle(secret)

        return bundle

    @overload
    def live(self, make: Callable[[Secrets], Awaitable[T]], close: Callable[[T], object]) -> Given[T]: ...
    @overload
    def live(self, make: Callable[[Secrets], T], close: Callable[[T], object]) -> Given[T]: ...
    def live(self, make: Callable[[Secrets], Any], close: Callable[[Any], object]) -> Given[Any]:
        """A dependency: what `make(secrets)` gives at the start, such as a live pool; `close` ends it at the end.

        Both may be coroutines. `close` is called in a thread.
        """
        live = _Live(make, close)
        self._lives.append(live)
        return live.given

    def lifespan(self, own: Lifespan[App] | None = None) -> Lifespan[App]:
        """The lifespan: opens the secrets, then what lives on them, then the application's own; ends in reverse.

        Raises (at the start):
            UsageError: the configuration cannot be used, or another lifespan of this object is running.
            AdapterError: a secret or a name is missing, or the source cannot be read.
        """

        @asynccontextmanager
        async def opened(app: App) -> AsyncIterator[Mapping[str, Any] | None]:
            async with AsyncExitStack() as stack:
                await self._open(stack)
                yield await stack.enter_async_context(own(app)) if own else None

        return opened

    async def why_not_ready(self) -> str:
        """Why requests would fail now, empty when they would not. Holds no value.

        An old version in use is no reason: it works. So a version that this process has rejected keeps it ready.
        """
        try:
            for name in self.secrets.names:
                if self.secrets.is_stale(name):
                    await asyncio.to_thread(self.secrets.bundle, name)
        except KeyturnError as error:
            return error.message
        return ""

    async def ready(self, request: Request) -> Response:  # noqa: ARG002 - what a route is given
        """A route for readiness: 200, or 503 when requests would fail. Says nothing else: strangers may ask."""
        why = await self.why_not_ready()
        return JSONResponse({"ready": not why}, NOT_READY if why else 200)

    async def _open(self, stack: AsyncExitStack) -> None:
        if self._secrets is not None:
            raise UsageError("these secrets are open already", "one Serving for each application")
        self._secrets = Secrets.open(self._path)
        stack.push_async_callback(self._close)
        if self._mask_logs:
            self._mask = mask.mask_logs(self._secrets, self._mask)
        for name in self._handles:
            self._secrets[name]
        for secret in self._bundles:
            self._secrets.bundle(secret)
        for live in self._lives:
            stack.push_async_callback(live.end)
            await live.begin(self._secrets)

    async def _close(self) -> None:
        secrets, self._secrets = self.secrets, None
        await asyncio.to_thread(secrets.close)


class _Live(Generic[T]):
    """One thing that lives on the secrets, such as a pool."""

    def __init__(self, make: Callable[[Secrets], Any], close: Callable[[T], object]) -> None:
        self._make = make
        self._close = close
        self._thing: list[T] = []

    async def begin(self, secrets: Secrets) -> None:
        made = self._make(secrets)
        self._thing = [cast("T", await made if inspect.isawaitable(made) else made)]

    async def end(self) -> None:
        while self._thing:
            closed = await asyncio.to_thread(self._close, self._thing.pop())
            if inspect.isawaitable(closed):
                await closed

    async def given(self) -> T:
        if not self._thing:
            raise UsageError("nothing is open here", "FastAPI(lifespan=serving.lifespan()) opens it at the start")
        return self._thing[0]
