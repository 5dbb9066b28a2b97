"""[secrets.NAME] kind = "manual": a person changes it, Keyturn keeps, delivers and reminds."""

from collections.abc import Iterator
from typing import Literal

from keyturn.manifest.problems import Flaw
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import AtLeastOne, FieldName, Line, Several


class Options(SecretTable):
    """A credential of any form. `instructions` tell the person, line by line, what to do when it is due."""

    kind: Literal["manual"]
    """Anything that a person changes."""
    fields: AtLeastOne[FieldName] = ("value",)
    """The fields of the bundle."""
    instructions: Several[Line] = ()
    """What the person has to do when it is due, line by line."""

    @property
    def bundle(self) -> tuple[str, ...]:
        """The declared fields."""
        return self.fields

    def flaws(self) -> Iterator[Flaw]:
        """A field named twice."""
        if len(set(self.fields)) != len(self.fields):
            yield Flaw(("fields",), "a field is named twice", "name each once")
