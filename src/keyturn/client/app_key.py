"""An application's own key with its fallbacks, as of now: `AppKey(secrets, "app-key").now()`."""

from dataclasses import dataclass

from keyturn.client.made import Made
from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core import fallbacks
from keyturn.core.errors import Corrupt, NotFound
from keyturn.core.secret import SecretValue


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one version: `current` makes, all are accepted. `fallbacks` has the youngest first."""

    version: str
    current: SecretValue
    fallbacks: tuple[SecretValue, ...]

    def oldest_first(self) -> list[str]:
        """The texts as itsdangerous takes them: it makes with the last one."""
        return list(key.reveal() for key in (*reversed(self.fallbacks), self.current))  # noqa: C400 - a reveal is handed on

    def newest_first(self) -> list[str]:
        """The texts as MultiFernet takes them: it makes with the first one."""
        return list(key.reveal() for key in (self.current, *self.fallbacks))  # noqa: C400 - a reveal is handed on


class AppKey:
    """The keys as of now, always all of one version. Thread-safe and fork-safe.

    Args:
        secrets: the application's secrets.
        name: a secret with the fields `value` and, if there are any, `fallbacks`.

    Raises:
        NotFound: there is no such secret, or it has no value.
        Corrupt: its fallbacks cannot be read.
    """

    def __init__(self, secrets: Secrets, name: str) -> None:
        self._keys = Made(secrets, name, keys_of)

    def now(self) -> Keys:
        """The keys. Ask for each use, and keep no text.

        Raises:
            Unavailable: the source could not be read for longer than `max_stale`.
        """
        return self._keys.now()

    def close(self) -> None:
        """Use nothing any more."""
        self._keys.close()


def keys_of(view: View) -> Keys:
    """The keys that a version has.

    Raises:
        NotFound: there is no value, or an empty one.
        Corrupt: the fallbacks cannot be read.
    """
    current = view.bundle.get("value")
    if not current:
        raise NotFound(f"{view.secret} has no value to make with", "docs/formats/key-set.md shows the fields")
    older = view.bundle.get("fallbacks")
    try:
        accepted = fallbacks.parsed(older.reveal()) if older else ()
    except ValueError as error:
        raise Corrupt(f"the fallbacks of {view.secret} are {error}", "docs/formats/key-set.md shows them") from None
    return Keys(view.version, current, tuple(key for key in accepted if key != current))
