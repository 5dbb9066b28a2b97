"""How many questions a store was asked over a network."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Asking(Protocol):
    """A store that counts its requests, those for tokens left out."""

    @property
    def asked(self) -> int:
        """How many have left so far, with those that are repeated or only fetch a challenge."""
