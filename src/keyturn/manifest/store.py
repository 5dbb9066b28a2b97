"""The table of a store, as far as all kinds share it."""

from collections.abc import Iterator
from typing import ClassVar

from keyturn.manifest.problems import Flaw
from keyturn.manifest.shapes import Table


class StoreTable(Table):
    """What every store declares. `dev` allows a kind that is no place for production as primary store."""

    kind: str
    """Which store."""
    dev: bool = False
    """Allows, as primary store, a kind that keeps values in the clear."""

    only_dev: ClassVar[bool] = False
    """Whether this kind keeps values in the clear."""
    copies: ClassVar[frozenset[str]] = frozenset({"secret"})
    """What `store_as` of a published name may be here."""
    derives: ClassVar[frozenset[str]] = frozenset()
    """Which of them this version writes; a store that nobody but Keyturn reads has none."""
    name_limit: ClassVar[int] = 512
    """Characters of a name."""

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """Secrets that Keyturn needs to open this store: the key, and the name."""
        return ()

    @property
    def place(self) -> str:
        """What it is, however it is called: two tables of one place are one store."""
        return self.kind

    def flaws(self) -> Iterator[Flaw]:
        """Values in the clear without the word for it."""
        if self.only_dev and not self.dev:
            yield Flaw(("kind",), "this kind keeps values in the clear", "dev = true, and never in production")
