"""[consumers.NAME] kind = "command": delivery and observation by executables of one's own."""

from collections.abc import Iterator
from typing import Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.problems import Flaw
from keyturn.manifest.shapes import AtLeastOne, Line, PositiveDuration, Several


class Options(ConsumerTable):
    """`deliver` and `observe` are argv that speak keyturn-exec/1; without `observe` its `grace` is waited."""

    kind: Literal["command"]
    """Delivery and observation by your own executables."""
    deliver: AtLeastOne[Line]
    """Command (argv) that delivers; its program by absolute path."""
    observe: Several[Line] = ()
    """Command (argv) that says what each process runs on."""
    timeout: PositiveDuration = 30.0
    """For one call."""

    @property
    def reports(self) -> bool:
        """Whether there is a command that says what instances run on."""
        return bool(self.observe)

    def flaws(self) -> Iterator[Flaw]:
        """A program that the search path would choose."""
        yield from super().flaws()
        for key, argv in (("deliver", self.deliver), ("observe", self.observe)):
            if argv and not argv[0].startswith("/"):
                yield Flaw((key,), "the program is not an absolute path", "start it with /")
