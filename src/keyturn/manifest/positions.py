"""Where each key of a TOML text stands: the span-aware pass beside tomllib (docs/adr/0003).

The values come from tomllib alone. This pass only says where they stand, and refuses, before tomllib
spends time on them, texts that are nested or filled beyond any use. Of a text that is not TOML it
locates what comes before the mistake, and leaves it to tomllib to complain.
"""

import re
import tomllib
from bisect import bisect_right
from typing import NamedTuple

from keyturn.manifest.problems import KeyPath

MAX_DEPTH = 32
"""Keys and list indices from the top to a value. tomllib recurses per level of nesting."""

MAX_ENTRIES = 200_000
"""Keys and list elements of one text."""

MAX_SCALAR = 1_000
"""Characters of a number, date or boolean. Python refuses to read integers of more than 4,300 digits."""

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*+")
_SPACE = re.compile(r"[ \t]*+")
_SKIPPED = " \t\n#"
"""What either of the two begins with: most often there is none of it, and nothing to match."""
_KEY = re.compile(r"[A-Za-z0-9_-]++|\"(?:[^\"\\\n]|\\.)*+\"|'[^'\n]*+'")
_TEXT = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]++")


class Position(NamedTuple):
    """A place in a text; both count from 1, columns in characters."""

    line: int
    column: int


class BeyondLimit(ValueError):
    """The text goes beyond a limit of this file, at `position`."""

    def __init__(self, message: str, position: Position) -> None:
        super().__init__(message)
        self.position = position


class _NotToml(Exception):
    """Ends the scan of a text that tomllib will complain about."""


class Positions:
    r"""The places of all keys and list elements of one text.

    Args:
        text: a TOML text with `\n` as its only line end.

    Raises:
        BeyondLimit: deeper than MAX_DEPTH, more than MAX_ENTRIES, or a scalar beyond MAX_SCALAR.
    """

    def __init__(self, text: str) -> None:
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        scan = _Scan(text)
        try:
            scan.document()
        except _NotToml:
            pass
        except _Limit as limit:
            raise BeyondLimit(limit.message, self._position(limit.offset)) from None
        self._found = scan.found

    def _position(self, offset: int) -> Position:
        line = bisect_right(self._lines, offset)
        return Position(line, offset - self._lines[line - 1] + 1)

    def __contains__(self, path: KeyPath) -> bool:
        return path in self._found

    def __getitem__(self, path: KeyPath) -> Position:
        """The place of `path`, or of what is nearest above it; the first character for the whole text."""
        while path and path not in self._found:
            path = path[:-1]
        return self._position(self._found[path]) if path else Position(1, 1)


class _Limit(Exception):
    """Becomes BeyondLimit as soon as its line is known."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class _Scan:
    """One walk through a text. `found` maps each path to the offset of its last key or element."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._elements: dict[KeyPath, int] = {}
        self.found: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip(_BLANK) and self._at < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        if self._text[self._at : self._at + 1] in _SKIPPED:
            match = pattern.match(self._text, self._at)
            self._at = match.end() if match else self._at
        return True

    def _take(self, mark: str) -> bool:
        if self._text.startswith(mark, self._at):
            self._at += len(mark)
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise _NotToml

    def _record(self, path: KeyPath, offset: int) -> None:
        if len(path) > MAX_DEPTH:
            raise _Limit(f"nested more than {MAX_DEPTH} deep", offset)
        if self.found.setdefault(path, offset) == offset and len(self.found) > MAX_ENTRIES:
            raise _Limit(f"more than {MAX_ENTRIES} keys and elements", offset)

    def _keys(self) -> list[tuple[str, int]]:
        keys: list[tuple[str, int]] = []
        while self._skip(_SPACE):
            start = self._at
            match = _KEY.match(self._text, start)
            if not match:
                raise _NotToml
            if len(keys) == MAX_DEPTH:
                raise _Limit(f"nested more than {MAX_DEPTH} deep", start)
            self._at = match.end()
            keys.append((_plain(match[0]), start))
            self._skip(_SPACE)
            if not self._take("."):
                break
        return keys

    def _header(self) -> KeyPath:
        self._expect("[")
        many = self._take("[")
        keys = self._keys()
        self._expect("]]" if many else "]")
        path: KeyPath = ()
        for number, (key, offset) in enumerate(keys, 1):
            path = (*path, key)
            self._record(path, offset)
            if many and number == len(keys):
                self._elements[path] = self._elements.get(path, 0) + 1
            if path in self._elements:
                path = (*path, self._elements[path] - 1)
                self._record(path, offset)
        return path

    def _pair(self, table: KeyPath) -> None:
        path = table
        for key, offset in self._keys():
            path = (*path, key)
            self._record(path, offset)
        self._expect("=")
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        if self._take("["):
            self._list(path)
        elif self._take("{"):
            self._inline(path)
        elif match := _TEXT.match(self._text, self._at):
            self._at = match.end()
        elif self._text.startswith(("'", '"'), self._at):
            raise _NotToml
        elif match := _SCALAR.match(self._text, self._at):
            if len(match[0]) > MAX_SCALAR:
                raise _Limit(f"a number or date of more than {MAX_SCALAR} characters", self._at)
            self._at = match.end()
        else:
            raise _NotToml

    def _list(self, path: KeyPath) -> None:
        index = 0
        while self._skip(_BLANK) and not self._take("]"):
            self._record((*path, index), self._at)
            self._value((*path, index))
            self._skip(_BLANK)
            index += 1
            if not self._take(","):
                self._skip(_BLANK)
                self._expect("]")
                return

    def _inline(self, path: KeyPath) -> None:
        # Line breaks and a last comma came with TOML 1.1; a tomllib of 1.0 says no to them.
        while self._skip(_BLANK) and not self._take("}"):
            self._pair(path)
            self._skip(_BLANK)
            if not self._take(","):
                self._expect("}")
                return


def _plain(key: str) -> str:
    """The key that tomllib reads there."""
    if key[0] not in "\"'":
        return key
    try:
        return str(tomllib.loads(f"k = {key}")["k"])
    except tomllib.TOMLDecodeError:
        raise _NotToml from None
