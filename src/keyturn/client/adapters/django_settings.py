"""Django's SECRET_KEY and SECRET_KEY_FALLBACKS, as of now.

SECRET_KEY, SECRET_KEY_FALLBACKS = live_secret_key(secrets, "app-key")    # in settings.py

Settings are read once, and these two stay; Django makes a text of them at each use (`force_bytes`), so the
text is of the version that reads give then. It reads the key first and the fallbacks after it, and the version may
change in between: so the fallbacks end with the key itself. Django is not imported here.
"""

from collections.abc import Iterator
from typing import Any, SupportsIndex, overload

from keyturn.client.app_key import AppKey
from keyturn.client.reader import Secrets
from keyturn.core.secret import MASK


def live_secret_key(secrets: Secrets, name: str) -> tuple["LiveKey", "LiveFallbacks"]:
    """The two settings.

    Args:
        secrets: the application's secrets.
        name: a secret with the fields `value` and, if there are any, `fallbacks`.

    Raises:
        NotFound: there is no such secret, or it has no value.
        Corrupt: its fallbacks cannot be read.
    """
    key = AppKey(secrets, name)
    return LiveKey(key), LiveFallbacks(key)


class LiveKey:
    """The key in use, where Django looks for a text. A text that is kept of it is of that moment."""

    def __init__(self, key: AppKey) -> None:
        self._key = key

    def reveal(self) -> str:
        """The text. Raises Unavailable when the source could not be read for longer than `max_stale`."""
        return self._key.now().current.reveal()

    __str__ = reveal
    """A mask here would be signed with."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """As of a text."""
        return bytes(self.reveal().encode(encoding, errors))

    def startswith(self, *arguments: Any) -> bool:  # noqa: ANN401 - as of a text
        """As of a text; `check --deploy` asks."""
        return str.startswith(self.reveal(), *arguments)

    def __len__(self) -> int:
        return len(self.reveal())

    def __iter__(self) -> Iterator[str]:
        return iter(self.reveal())

    def __repr__(self) -> str:
        return f"LiveKey({MASK})"


class LiveFallbacks(list[str]):
    """The accepted keys, where Django wants a list: the youngest first, and the one in use as the last."""

    def __init__(self, key: AppKey) -> None:
        super().__init__()
        self._key = key

    def _now(self) -> list[str]:
        current, *accepted = self._key.now().newest_first()
        return [*accepted, current]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    @overload
    def __getitem__(self, index: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> str | list[str]:
        return self._now()[index]

    def __contains__(self, text: object) -> bool:
        return text in self._now()

    def __repr__(self) -> str:
        return f"LiveFallbacks({MASK})"
