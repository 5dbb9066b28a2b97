"""What is wrong with a manifest: all of it in one run, each with its place and what to write instead."""

from collections.abc import Iterable
from dataclasses import dataclass

from keyturn.core.errors import UsageError

KeyPath = tuple[str | int, ...]
"""Where something stands in the manifest: keys, and indices of lists."""

MAX_LINES = 100
"""Problems that one message shows."""
MAX_WORDS = 300
"""Characters of one message."""


class Off(ValueError):
    """A value that its key cannot hold; raised by the shapes, never seen outside this room.

    Args:
        message: what is wrong, without the value.
        instead: what to write instead.
    """

    def __init__(self, message: str, instead: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.instead = instead


@dataclass(frozen=True, slots=True)
class Flaw:
    """A problem before its place in the file is known. `path` leads to the key that is off."""

    path: KeyPath
    message: str
    instead: str = ""

    def under(self, prefix: KeyPath) -> "Flaw":
        """The same flaw of a table that stands at `prefix`."""
        return Flaw((*prefix, *self.path), self.message, self.instead)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to mend. Lines and columns count from 1, columns in characters."""

    file: str
    line: int
    column: int
    message: str
    instead: str = ""

    def __str__(self) -> str:
        hint = f" ({_printable(self.instead)})" if self.instead else ""
        return f"{self.file}:{self.line}:{self.column}: {_printable(self.message)}{hint}"


def _printable(text: str) -> str:
    """`text` in one line, bounded: keys of a file may hold anything, escape sequences of a terminal too."""
    text = text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]}…"
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class ManifestError(UsageError):
    """The manifest cannot be used. Its message has one line per problem, in the order of the file.

    Args:
        problems: at least one. All of them are kept, the first MAX_LINES are shown.
        remedy: what now, if it is not to mend them.
    """

    code = "manifest"
    default_remedy = "mend these lines, then: keyturn plan"

    def __init__(self, problems: Iterable[Problem], remedy: str = "") -> None:
        self.problems = tuple(sorted(set(problems)))
        lines = [str(problem) for problem in self.problems[:MAX_LINES]]
        if len(self.problems) > MAX_LINES:
            lines.append(f"and {len(self.problems) - MAX_LINES} more problems")
        super().__init__("\n".join(lines), remedy)
