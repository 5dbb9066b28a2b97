"""Texts that an application keeps, as a settings object does: known as in use until nobody has them any more.

A text that was handed out cannot follow a rotation. So each is on a list with its version, by weak reference, and
this process reports the old version as in use for as long as one of it is alive: Keyturn does not end it, and names
who it waits for.
"""

import os
import threading
import weakref
from collections.abc import Collection

from keyturn.client.reader import Secrets
from keyturn.client.view import View


class Kept:
    """What is kept of one secret, by version. A `Holder` that takes every version, and lets go of none by itself."""

    inherited = True

    def __init__(self) -> None:
        self._texts: dict[int, tuple[weakref.ref[object], str]] = {}

    def keep(self, text: object, version: str) -> None:
        """From here on that version is in use, until the object is gone."""
        key = id(text)
        self._texts[key] = (weakref.ref(text, lambda _: self._texts.pop(key, None)), version)

    def try_new(self, view: View) -> None:
        """Nothing to try: what is kept stays as it is."""

    def switch(self, view: View) -> None:
        """Nothing to do: whoever reads from now on gets this version."""

    def settle(self) -> Collection[str]:
        """The versions that are kept."""
        return {version for _, version in self._texts.copy().values()}


_all: "weakref.WeakKeyDictionary[Secrets, dict[str, Kept]]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def kept(secrets: Secrets, secret: str) -> Kept:
    """The list for that secret.

    Raises:
        NotFound: there is no such secret.
    """
    with _lock:
        lists = _all.setdefault(secrets, {})
        if secret not in lists:
            holder = Kept()
            secrets.hold(secret, holder)
            lists[secret] = holder
        return lists[secret]


def _forked() -> None:
    """In a child: a thread that is not there may have held the lock."""
    global _lock  # noqa: PLW0603 - the one that all use
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forked)
