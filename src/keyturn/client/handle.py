"""`Handle`: one value by its name, always of the version that reads give now."""

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

    __slots__ = ("_field", "_secret", "_secrets", "name")

    def __init__(self, secrets: Opened, secret: str, field: str, name: str) -> None:
        self._secrets = secrets
        self._secret = secret
        self._field = field
        self.name = name

    def reveal(self) -> str:
        """The text. Use the call as a direct argument.

        Raises:
            Unavailable: the source could not be read for longer than `max_stale`.
        """
        return self.value.reveal()

    @property
    def view(self) -> View:
        """All fields and published names of the version that `reveal()` gives. Raises as it does."""
        return self._secrets.bundle(self._secret)

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
        return self._secrets.bundle(self._secret).version

    @property
    def stale(self) -> bool:
        """Whether something newer may lie in the source: a look failed, or a version is still on trial."""
        return self._secrets.is_stale(self._secret)

    def on_change(self, call: Callable[[str], None]) -> None:
        """Have `call(version)` called, in a thread of the client, after each change."""
        self._secrets.on_change(self._secret, call)

    def __repr__(self) -> str:
        return f"Handle({self.name})"
