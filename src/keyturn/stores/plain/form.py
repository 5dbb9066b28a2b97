"""What a form of visible copies has to be able to do."""

from collections.abc import Collection, Mapping
from typing import Protocol

from keyturn.core.secret import SecretValue

Shown = Mapping[str, SecretValue | None]
"""What stands in each place that has something; None: something that is no value of ours."""


class Form(Protocol):
    """Where the current content of each entry lies in the clear, and how it is written there."""

    @property
    def kind(self) -> str:
        """The store's kind in the manifest."""

    def places(self, name: str, fields: tuple[str, ...]) -> tuple[str, ...]:
        """The file or variable of each field. Raises InvalidName."""

    def prepare(self) -> None:
        """Make what must be there before the first write."""

    def guard(self) -> None:
        """Refuse, by Denied, a place that others can open or write to; one that is not there is no fault."""

    def shown(self, places: Collection[str]) -> Shown:
        """What stands there now. Raises Conflict, Denied, Unavailable, Corrupt."""

    def check(self, values: Mapping[str, SecretValue]) -> None:
        """Refuse what `show` could not write: by Unsupported what would be misread, by Conflict what is in its way."""

    def show(self, values: Mapping[str, SecretValue], gone: Collection[str]) -> None:
        """Write these, and remove those; may be repeated."""
