"""What a vault holds of one name, and what can be said of it without asking again. No I/O, no SDK."""

from typing import NamedTuple

from keyturn.core.errors import Conflict, Corrupt, Disabled, NotFound
from keyturn.stores.azure_key_vault.entries import Copy


class Held(NamedTuple):
    """What the vault holds of one name: the copies, and which entries of the name itself there are."""

    copies: tuple[Copy, ...]
    main: frozenset[str]

    def of(self, version: str) -> tuple[Copy, ...]:
        """The copies of one version."""
        return tuple(copy for copy in self.copies if copy.version == version)

    def knows(self, name: str, attempt: str, mark: str) -> bool:
        """Whether the attempt is there. Raises Conflict where it holds another content."""
        known = self.of(attempt)
        if any(copy.mark != mark for copy in known):
            raise Conflict(f"attempt {attempt} of {name!r} holds another content")
        return bool(known)

    def usable(self, name: str, version: str) -> Copy:
        """One of the copies of that version, to read from. Raises NotFound, Disabled, Corrupt."""
        copies = self.of(version)
        if not copies:
            raise not_found(name, version)
        if any(not copy.entry.enabled for copy in copies):
            raise Disabled(
                f"version {version} of {name!r} is disabled",
                "choose another version, or enable its copies in the vault",
            )
        if len({copy.mark for copy in copies}) > 1:
            raise Corrupt(f"version {version} of {name!r} is there with two contents", f"keyturn history {name}")
        return copies[0]


def not_found(name: str, version: str) -> NotFound:
    """The error for a version that is not there."""
    return NotFound(f"{name!r} has no version {version!r:.80}")
