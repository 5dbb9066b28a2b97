"""`Handle`: one value by its name, always of the version that reads give now.

`reveal()` is the read that an application makes most often. It looks at no clock and at no dictionary: its secrets
put the value there, and take it away before it is too old (`keyturn.client.reader`).
"""

from collections.abc import Callable
from typing import Protocol

from keyturn.client.view import View
from keyturn.core.secret import SecretValue


class Opened(Protocol):
    """What a handle asks: the secrets that it belongs to."""

    def bundle(self, secret: str) -> View:
        """All of one version of a secret."""

    def is_stale(self, secret: str) -> bool:
        """Whether something newer than what reads give may lie in the source."""

    def on_change(self, secret: str, call: Callable[[str], None]) -> None:
        """Have `call(version)` called after each change of a secret."""


class Handle:
    """One value by its name, whatever version it is now. Ask it each time; never keep what it gives."""

    __slots__ = ("_field", "_secrets", "_shown", "name", "secret")

    def __init__(self, secrets: Opened, secret: str, field: str, name: str) -> None:
        self._secrets = secrets
        self.secret = secret
        self._field = field
        self.name = name
        self._shown: SecretValue | None = None

    def reveal(self) -> str:
        """The text. Use the call as a direct argument.

        Raises:
            Unavailable: the source could not be read for longer than `max_stale`.
        """
        shown = self._shown
        if shown is not None:
            return shown._text  # noqa: SLF001 - a call of its `reveal` would cost as much as all the rest
        return self.value.reveal()

    def show(self, view: View | None) -> None:
        """For its secrets: give what this version holds from now on; None: look, before anything is given."""
        self._shown = view[self._field] if view is not None and self._field in view else None

    @property
    def view(self) -> View:
        """All fields and published names of the version that `reveal()` gives. Raises as it does."""
        return self._secrets.bundle(self.secret)

    @property
    def value(self) -> SecretValue:
        """What `reveal()` gives, masked: one that can be handed on. Raises as `reveal` does."""
        return self.view[self._field]

    def of(self, view: View) -> SecretValue:
        """The same value in that version of its secret. Raises NotFound when it is not in there."""
        return view[self._field]

    @property
    def version(self) -> str:
        """The version that `reveal()` gives."""
        return self._secrets.bundle(self.secret).version

    @property
    def stale(self) -> bool:
        """Whether something newer may lie in the source: a look failed, or a version is still on trial."""
        return self._secrets.is_stale(self.secret)

    def on_change(self, call: Callable[[str], None]) -> None:
        """Have `call(version)` called, in a thread of the client, after each change."""
        self._secrets.on_change(self.secret, call)

    def __repr__(self) -> str:
        return f"Handle({self.name})"
