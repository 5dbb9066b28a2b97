"""`Made`: what an application makes of a secret once, and has anew with each version."""

import os
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from keyturn.client.fresh_lock import FreshLock
from keyturn.client.reader import Secrets
from keyturn.client.view import View

T = TypeVar("T")


class Made(Generic[T]):
    """What `make` gives for the version that reads give now: parsed keys, a serializer. A `Holder`.

    A version is made before reads give it, and one that cannot be made is reported as rejected while
    the one before goes on. Thread-safe; in a forked child it goes on as a holder of that process.

    Args:
        secrets: the application's secrets.
        name: the secret, or one of its published names.
        make: called once for each version, by one thread at a time.

    Raises:
        NotFound: there is none of that name.
        Exception: what `make` raised for the version in use.
    """

    def __init__(self, secrets: Secrets, name: str, make: Callable[[View], T]) -> None:
        self._secrets = secrets
        self._make = make
        self._lock = FreshLock()
        self._made: tuple[tuple[View, T], ...] = ()
        self._process = os.getpid()
        view = secrets.hold(name, self)
        self.secret = view.secret
        try:
            self._of(view)
        except BaseException:
            self.close()
            raise

    def now(self) -> T:
        """What was made of the version that reads give.

        Raises:
            Unavailable: the source could not be read for longer than `max_stale`.
        """
        if self._process != os.getpid():
            self._hold_again()
        view = self._secrets.bundle(self.secret)
        for known, made in self._made:
            if known is view:
                return made
        return self._of(view)

    def close(self) -> None:
        """Use nothing any more."""
        self._secrets.release(self.secret, self)

    def try_new(self, view: View) -> None:
        """Make it, aside. Raises what `make` raises."""
        self._of(view)

    def switch(self, view: View) -> None:
        """Nothing: `now` asks which version it is."""

    def settle(self) -> Collection[str]:
        """Nothing is kept open: a call that is under way ends."""
        return ()

    def _of(self, view: View) -> T:
        with self._lock:
            for known, made in self._made:
                if known is view:
                    return made
            made = self._make(view)
            self._made = (*self._made[-1:], (view, made))
            return made

    def _hold_again(self) -> None:
        """In a child: its secrets know nobody who holds them."""
        with self._lock:
            if self._process != os.getpid():
                self._secrets.hold(self.secret, self)
                self._process = os.getpid()
