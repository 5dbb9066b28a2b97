"""Questions about a value, answered by yes or no: a failed assert prints what its calls take and return."""

import operator
import re
from typing import Protocol

from keyturn.core.secret import SecretValue


class Revealing(Protocol):
    """A secret value, or a handle of the client."""

    def reveal(self) -> str:
        """The text itself."""
        ...


def reads(value: Revealing, text: str) -> bool:
    """Whether it is this text."""
    return SecretValue(value.reveal()) == SecretValue(text)


def matches(value: Revealing, pattern: str) -> bool:
    """Whether all of it has this form."""
    return re.fullmatch(pattern, value.reveal()) is not None


def stands_in(value: Revealing, content: str | bytes) -> bool:
    """Whether it occurs in there as it is."""
    if isinstance(content, bytes):
        return operator.contains(content, value.reveal().encode())
    return operator.contains(content, value.reveal())
