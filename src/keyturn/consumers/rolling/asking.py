"""A program that runs replicas, asked by argv: its words are read strictly, and never repeated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keyturn.core.errors import TooLarge, Unavailable
from keyturn.system.commands import MAX_OUTPUT, run


@dataclass(frozen=True, slots=True)
class Asking:
    """How it is called.

    Args:
        argv: the program and the arguments that come first.
        timeout: seconds for one call.
    """

    argv: tuple[str, ...]
    timeout: float

    def said(self, *arguments: str) -> str:
        """What it printed.

        Raises:
            Unavailable: it did not end well, or not in time; its own words may hold anything and are left out.
            TooLarge: it said more than is read.
            NotFound, Denied: it cannot be started.
        """
        ended = run((*self.argv, *arguments), {}, self.timeout)
        if ended.status != 0:
            raise Unavailable(f"{self._named(arguments)}: {ended.words()}", f"try it by hand: {self._named(arguments)}")
        if len(ended.output) >= MAX_OUTPUT:
            raise TooLarge(f"{self._named(arguments)} said more than {MAX_OUTPUT} bytes")
        return ended.output.decode("utf-8", "replace")

    def _named(self, arguments: Sequence[str]) -> str:
        return " ".join((*self.argv, *arguments[:2]))


def agrees(argv: tuple[str, ...], variables: Mapping[str, str], timeout: float) -> bool:
    """Whether a command of the manifest exits with 0. Raises AdapterError when it cannot be started."""
    return run(argv, variables, timeout).status == 0
