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
    fields: AtLeastOne[FieldName]
    options: Named[str] = Field(default={}, validate_default=True)
    overlap: Literal["two-credentials", "grace-period", "none"] = "none"
    timeout: PositiveDuration = 30.0
    admin: Name | None = None

    def flaws(self) -> Iterator[Flaw]:
        """A program that the search path would choose."""
        if not self.argv[0].startswith("/"):
            yield Flaw(("argv",), "the program is not an absolute path", "start it with /")


class Options(SecretTable):
    """A credential that the command makes and changes."""

    kind: Literal["command"]
    target: Target

    @property
    def bundle(self) -> tuple[str, ...]:
        """The declared fields."""
        return self.target.fields

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The secret that the command needs, where there is one."""
        return (("admin", self.target.admin),) if self.target.admin else ()
