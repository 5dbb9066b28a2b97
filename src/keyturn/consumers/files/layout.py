"""Plain files as Docker secrets are: one file per value, and one for all of them as variables if that is declared."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from keyturn.core.consumer import Delivery
from keyturn.core.errors import InvalidName, Unsupported
from keyturn.core.generation import Entry, Index
from keyturn.core.secret import SecretValue

Form = Literal["sh", "docker"]
INDEX = ".index.json"
_LINE_ENDS = re.compile(rb"[\r\n]")


def file_name(name: str) -> str:
    """`database-url` as a file: `database_url`."""
    return name.replace("-", "_")


def field_name(secret: str, one: str, fields: tuple[str, ...]) -> str:
    """The file of a field: `database_password`; of a secret whose only field is `value`, the secret's own name."""
    return file_name(secret) if fields == ("value",) else f"{file_name(secret)}_{one}"


@dataclass(frozen=True, slots=True)
class PlainLayout:
    """Files of values alone, without proof keys: nobody who reads them reports.

    Args:
        env_file: the file that holds all of them as variables; None for none.
        form: how it is written.
        variables: the variable of a published name, where it is not its name in capitals.
    """

    env_file: str | None = None
    form: Form = "sh"
    variables: Mapping[str, str] = field(default_factory=dict)
    index: str = INDEX

    def names(self, secret: str, entry: Entry) -> tuple[str, ...]:
        """All files of that secret."""
        return tuple(name for name, _ in self._named(secret, entry.fields, entry.published))

    def values(self, delivery: Delivery) -> Mapping[str, SecretValue]:
        """Fields and views.

        Raises:
            InvalidName: two different values would have one file or one variable.
        """
        fields, published = tuple(delivery.bundle), tuple(delivery.published)
        values = [*(delivery.bundle[one] for one in fields), *(delivery.published[one] for one in published)]
        files: dict[str, SecretValue] = {}
        variables: dict[str, SecretValue] = {}
        named = self._named(delivery.secret, fields, published)
        for (file, variable), value in zip(named, values, strict=True):
            # a view that is a field under its own name is the same file twice
            if files.setdefault(file, value) != value or variables.setdefault(variable, value) != value:
                raise InvalidName(f"two values of {delivery.secret} would be {file} ({variable})", "rename the view")
        return files

    def derived(self, index: Index, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """The file of variables, in the order of their names.

        Raises:
            InvalidName: values of two secrets would have one variable.
            Unsupported: a value has a line break, and this form has none.
        """
        if self.env_file is None:
            return {}
        named: dict[str, str] = {}
        for secret, entry in index.secrets.items():
            for file, variable in self._named(secret, entry.fields, entry.published):
                if files[named.setdefault(variable, file)] != files[file]:
                    raise InvalidName(f"{named[variable]} and {file} would both be {variable}", "rename one of them")
        lines = (self._line(variable, files[file]) for variable, file in sorted(named.items()))
        return {self.env_file: b"".join(lines)}

    def _named(self, secret: str, fields: tuple[str, ...], published: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """File and variable of each value."""
        for one in fields:
            file = field_name(secret, one, fields)
            yield file, file.upper()
        for view in published:
            yield file_name(view), self.variables.get(view, file_name(view).upper())

    def _line(self, variable: str, value: bytes) -> bytes:
        if self.form == "docker":
            if _LINE_ENDS.search(value):
                raise Unsupported(
                    f"the value of {variable} has a line break, which Docker's form of {self.env_file} cannot carry",
                    'read it from its own file, or write env_form = "sh"',
                )
            return variable.encode() + b"=" + value + b"\n"
        # POSIX.1-2017 XCU 2.2.2: between single quotes every character stands for itself
        return variable.encode() + b"='" + value.replace(b"'", rb"'\''") + b"'\n"
