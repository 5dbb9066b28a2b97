"""[secrets.NAME] kind = "command": a rotator of one's own, an executable that speaks keyturn-exec/1."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from keyturn.manifest.problems import Flaw
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import AtLeastOne, FieldName, Line, Name, Named, PositiveDuration, Table


class Target(Table):
    """The command as argv, never a shell line; `options` are handed to it as they are, `admin` by descriptor."""

    argv: AtLeastOne[Line]
    """The command; its program by absolute path."""
    fields: AtLeastOne[FieldName]
    """The fields of the bundle."""
    options: Named[str] = Field(default={}, validate_default=True)
    """Handed to the command as they are."""
    overlap: Literal["two-credentials", "grace-period", "none"] = "none"
    """How many credentials the target accepts at a time."""
    timeout: PositiveDuration = 30.0
    """For one call."""
    admin: Name | None = None
    """A secret of Keyturn's own, handed over by descriptor."""

    def flaws(self) -> Iterator[Flaw]:
        """A program that the search path would choose."""
        if not self.argv[0].startswith("/"):
            yield Flaw(("argv",), "the program is not an absolute path", "start it with /")


class Options(SecretTable):
    """A credential that the command makes and changes."""

    kind: Literal["command"]
    """A rotator of your own."""
    target: Target
    """The command."""

    @property
    def bundle(self) -> tuple[str, ...]:
        """The declared fields."""
        return self.target.fields

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The secret that the command needs, where there is one."""
        return (("admin", self.target.admin),) if self.target.admin else ()
