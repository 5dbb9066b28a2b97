"""The variables of a `.env` file; whatever else stands in it stays as it is."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from keyturn.core.errors import Conflict, Corrupt, NotFound, Unsupported
from keyturn.core.secret import SecretValue
from keyturn.stores.plain import names
from keyturn.stores.plain.access import stands
from keyturn.stores.plain.form import Shown
from keyturn.system import dotenv
from keyturn.system.files import OPEN_TO_OTHERS, WRITABLE_BY_OTHERS, Directory

MAX_TEXT_BYTES = 8 * 1024 * 1024


class EnvFile:
    """A `.env` file, 0600, in a directory that nobody else may write to.

    Args:
        path: the file; its directory is there already.
    """

    kind: Final = "env-file"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[bytes, tuple[dotenv.Line, ...]] = (b"", ())

    def places(self, name: str, fields: tuple[str, ...]) -> tuple[str, ...]:
        """The variable of each field. Raises InvalidName."""
        return names.variables(name, fields)

    def prepare(self) -> None:
        """The file is made when something is written to it."""

    def guard(self) -> None:
        """Refuse, by Denied, a file that is open to others, somebody else's, a link, or has a second name."""
        with suppress(NotFound), self._directory() as directory:
            stands(directory, self._path.name, None)

    def shown(self, places: Collection[str]) -> Shown:
        """What is assigned to those variables.

        Raises:
            Conflict: one of them is assigned twice; names the lines.
            Denied: the file is open to others, somebody else's, a link, or has a second name.
            Corrupt: it is not text.
        """
        lines = self._lines()
        self._refuse_twice(lines, places)
        return {line.key: line.value for line in lines if line.key is not None and line.key in places}

    def check(self, values: Mapping[str, SecretValue]) -> None:
        """Refuse what cannot be written.

        Raises:
            Unsupported: a value that not every reader of such files would read alike.
            Conflict: the file ends within a quote.
        """
        for key, value in values.items():
            if not dotenv.writable(value):
                raise Unsupported(
                    f"{key}: a shell, Docker Compose and python-dotenv would not all read its value alike",
                    "keep it in files or in the local vault",
                )
        self._with(self._lines(), values)

    def show(self, values: Mapping[str, SecretValue], gone: Collection[str]) -> None:
        """Change these lines, and remove those, as one atomic change of the file."""
        if not values and not gone:
            return
        lines = self._with(self._lines(), values)
        for key in gone:
            lines = dotenv.without(lines, key)
        with self._directory() as directory:
            directory.write(self._path.name, dotenv.render(lines).encode())

    def _with(self, lines: tuple[dotenv.Line, ...], values: Mapping[str, SecretValue]) -> tuple[dotenv.Line, ...]:
        for key, value in values.items():
            try:
                lines = dotenv.assigned(lines, key, value)
            except ValueError as error:
                raise Conflict(f"{self._path}: {error}", "mend that line") from None
        return lines

    def _directory(self) -> Directory:
        return Directory(self._path.parent, follow=True, private=WRITABLE_BY_OTHERS)

    def _lines(self) -> tuple[dotenv.Line, ...]:
        """The file as it is now; the same bytes are not read twice, since one call looks several times."""
        content = b""
        with suppress(NotFound), self._directory() as directory:
            if stands(directory, self._path.name, None):
                content = directory.read(self._path.name, MAX_TEXT_BYTES, private=OPEN_TO_OTHERS)
        known, lines = self._read
        if content != known:
            lines = self._parsed(content)
            self._read = content, lines
        return lines

    def _parsed(self, content: bytes) -> tuple[dotenv.Line, ...]:
        try:
            return dotenv.parse(content.decode())
        except UnicodeDecodeError:
            raise Corrupt(f"{self._path} is not UTF-8 text", "restore it from a backup") from None

    def _refuse_twice(self, lines: tuple[dotenv.Line, ...], places: Collection[str]) -> None:
        twice = {key: numbers for key, numbers in dotenv.twice(lines).items() if key in places}
        for key, numbers in twice.items():
            where = " and ".join(map(str, numbers))
            raise Conflict(f"{self._path}: {key} is assigned in lines {where}", "leave one of them")
