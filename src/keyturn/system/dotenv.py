"""The text of a `.env` file, line by line: what is not changed is kept byte for byte.

Three kinds of program read such files, and they do not agree: a POSIX shell (`set -a; . ./file`), python-dotenv, and
Docker Compose (compose-go, dotenv/parser.go). What each makes of a line was read in its source. A line that they may
read differently says so (`doubt`); one that has no sure value at all has none (`flaw`). What is written here
is read alike by all three.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from keyturn.core.secret import SecretValue

Quoting = Literal["", "'", '"']

SHELL = "a shell reads it differently"
COMPOSE = "some versions of Docker Compose cut it at the #"
TABBED = "Docker Compose takes a comment behind a tab for a part of it"
UNCLOSED = "a quote that is not closed"
BACKSLASH = "a backslash that is not read alike"
NO_ASSIGNMENT = "not KEY=value"
MARKED = "a byte order mark before it"
BARE_PEM = "PEM text without quotes"
_HEAD = re.compile(r"(?P<lead>[ \t]*(?P<export>export[ \t]+)?)(?P<key>[A-Za-z_][A-Za-z0-9_]*)=")
_LOOSE = re.compile(
    r"(?P<mark>\ufeff?)\s*(?:export\s+)?(?P<quote>['\"]?)(?P<key>[A-Za-z_][A-Za-z0-9_]*)(?P=quote)\s*[=:]"
)
"""What some program takes for an assignment, though not all do: `KEY = value`, `KEY: value`, `'KEY'=value`."""

_EMPTY = re.compile(r"[ \t]*(?:#[^\r\n]*)?(?:\r?\n)?\Z")
_TAIL = re.compile(r"(?P<comment>[ \t]+#[^\r\n]*|[ \t]*)(?P<end>\r?\n|\Z)")
_CLOSED = {"'": re.compile(r"'([^']*)'"), '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)}
_BEHIND_A_TAB = re.compile(r"[ \t]*\t#")
_PEM_BEGINS, _PEM_ENDS = "-----BEGIN ", "-----END "
_LONGEST_PEM = 64 * 1024
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"\\": "\\", '"': '"', "n": "\n"}
_FOR_THE_SHELL = re.compile(r"[\s&;|<>()`'\"]|\A~|:~")
_PLAIN = re.compile(r"[A-Za-z0-9_.,:/@%+=-]*\Z")
_NO_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line, or several where a quoted value goes over several.

    Attributes:
        number: of its first line in the text, from 1.
        text: as it stands there, line break included. `"".join(line.text for line in parse(text)) == text`.
        key: what it assigns to; None for a blank line, a comment, and what is not an assignment.
        value: what it assigns; None where that is not sure.
        quoting: the quotes that it uses.
        flaw: why it has no sure value; empty for blank lines, comments and good lines.
        doubt: who reads the value differently; empty for nobody.
        span: where the value with its quotes stands in `text`.
    """

    number: int
    text: str = field(repr=False)
    key: str | None = None
    value: SecretValue | None = None
    quoting: Quoting = ""
    flaw: str = ""
    doubt: str = ""
    span: tuple[int, int] = (0, 0)

    @property
    def comment(self) -> str:
        """The comment at its end, or the line itself if it is one; without blanks around it."""
        rest = self.text[self.span[1] :].strip() if self.key and not self.flaw else self.text.strip()
        return rest if rest.startswith("#") else ""

    @property
    def export(self) -> bool:
        """Whether it says `export`."""
        return self.key is not None and self.text.lstrip(" \t").startswith(("export ", "export\t"))


def parse(text: str) -> tuple[Line, ...]:
    """The lines of `text`. Every text has some: what cannot be read is a line with a flaw."""
    return tuple(_lines(text))


def render(lines: Sequence[Line]) -> str:
    """The text of these lines."""
    return "".join(line.text for line in lines)


def twice(lines: Sequence[Line]) -> dict[str, tuple[int, ...]]:
    """The keys that are assigned more than once, with the numbers of those lines."""
    found: dict[str, list[int]] = {}
    for line in lines:
        if line.key is not None:
            found.setdefault(line.key, []).append(line.number)
    return {key: tuple(numbers) for key, numbers in found.items() if len(numbers) > 1}


def writable(value: SecretValue) -> bool:
    """Whether there is a way to write it that everybody reads alike."""
    return _quoting(value.reveal(), "'") is not None


def assigned(lines: Sequence[Line], key: str, value: SecretValue) -> tuple[Line, ...]:
    """The lines with `key` set to `value`: in its own line, whose rest is kept, or in a new one at the end.

    Raises:
        ValueError: there is no way to write the value that everybody reads alike, or the key has
            several lines, or its line or the end of the text cannot be read. The message holds no value.
    """
    places = [at for at, line in enumerate(lines) if line.key == key]
    if len(places) > 1:
        raise ValueError(f"{key} is assigned {len(places)} times")
    if not places:
        return _appended(tuple(lines), _text(f"{key}=", value, "", "\n"))
    at = places[0]
    line = lines[at]
    if line.flaw:
        raise ValueError(f"line {line.number}: {line.flaw}")
    head, rest = line.text[: line.span[0]].rstrip(" \t"), line.text[line.span[1] :].replace("\r\n", "\n")
    return _replaced(tuple(lines), at, _text(head, value, line.quoting, rest))


def without(lines: Sequence[Line], key: str) -> tuple[Line, ...]:
    """The lines but those that assign to `key`."""
    return tuple(line for line in lines if line.key != key)


def _appended(lines: tuple[Line, ...], text: str) -> tuple[Line, ...]:
    """With one more line behind them. Raises ValueError."""
    if not lines:
        return parse(text)
    last = lines[-1]
    if last.flaw == UNCLOSED:
        raise ValueError(f"line {last.number}: {UNCLOSED}")
    if not last.text.endswith("\n"):
        lines = _replaced(lines, len(lines) - 1, f"{last.text}\n")
    return (*lines, *_lines(text, lines[-1].number + lines[-1].text.count("\n")))


def _replaced(lines: tuple[Line, ...], at: int, text: str) -> tuple[Line, ...]:
    """With another text for one of them. What is read of a line rests on nothing before it."""
    moved = text.count("\n") - lines[at].text.count("\n")
    behind = lines[at + 1 :]
    if moved:
        behind = tuple(replace(line, number=line.number + moved) for line in behind)
    return (*lines[:at], *_lines(text, lines[at].number), *behind)


def _text(head: str, value: SecretValue, prefer: Quoting, rest: str) -> str:
    quoting = _quoting(value.reveal(), "'" if _BEHIND_A_TAB.match(rest) else prefer)
    if quoting is None:
        raise ValueError("no quoting that a shell, Docker Compose and python-dotenv read alike")
    return "".join([head, quoting, value.reveal(), quoting, rest])  # noqa: FLY002 - reveal() stands as an argument


def _quoting(text: str, prefer: Quoting) -> Quoting | None:
    """The quotes in which `text` means itself for everybody: the preferred ones if it may be."""
    if _NO_LINE.search(text):
        return None
    fits: dict[Quoting, bool] = {
        "": bool(text) and _PLAIN.match(text) is not None,
        "'": "'" not in text and "\\\\" not in text and not text.endswith("\\"),
        '"': not re.search(r'["\\$`]', text),
    }
    order: tuple[Quoting, ...] = (prefer, "'", '"')
    return next((quoting for quoting in order if fits[quoting]), None)


def _lines(text: str, number: int = 1) -> Iterator[Line]:
    at = 0
    while at < len(text):
        line = _line(text, at, number)
        yield line
        at += len(line.text)
        number += line.text.count("\n")


def _line(text: str, at: int, number: int) -> Line:
    newline = text.find("\n", at)
    until = len(text) if newline < 0 else newline + 1
    whole = text[at:until]
    if _EMPTY.match(whole):
        return Line(number, whole)
    head = _HEAD.match(text, at, until)
    if head is None and whole.startswith(_PEM_BEGINS):
        return Line(number, text[at : _end_of_pem(text, at, until)], flaw=BARE_PEM)
    if head is None:
        return _loose(number, whole)
    key, start = head["key"], head.end()
    blanks = len(text[start:until]) - len(text[start:until].lstrip(" \t"))
    quote = text[start + blanks : start + blanks + 1]
    if quote in {"'", '"'}:
        return _quoted(text, (at, start + blanks), Line(number, whole, key, doubt=SHELL if blanks else ""))
    if text.startswith(_PEM_BEGINS, start + blanks):
        return Line(number, text[at : _end_of_pem(text, at, until)], key, flaw=BARE_PEM)
    return _unquoted(whole, start - at, Line(number, whole, key, doubt=SHELL if blanks else ""))


def _end_of_pem(text: str, at: int, until: int) -> int:
    """Where the line of its end marker ends: a line of base64 may look like `KEY=`, and a key is shown."""
    marker = text.find(_PEM_ENDS, at, at + _LONGEST_PEM)
    newline = text.find("\n", marker)
    return until if marker < 0 else len(text) if newline < 0 else newline + 1


def _loose(number: int, whole: str) -> Line:
    """What is no assignment to everybody; with a key where it is one to somebody."""
    head = _LOOSE.match(whole)
    if head is None:
        return Line(number, whole, flaw=NO_ASSIGNMENT)
    return Line(number, whole, head["key"], flaw=MARKED if head["mark"] else NO_ASSIGNMENT)


def _quoted(text: str, begin: tuple[int, int], line: Line) -> Line:
    at, start = begin
    quote: Quoting = "'" if text[start] == "'" else '"'
    closed = _CLOSED[quote].match(text, start)
    # to some programs a backslash before the quote means that it goes on
    if closed is None or (quote == "'" and closed[1].endswith("\\")):
        return Line(line.number, text[at:], line.key, quoting=quote, flaw=UNCLOSED)
    tail = _TAIL.match(text, closed.end())
    span = (start - at, closed.end() - at)
    if tail is None:
        newline = text.find("\n", closed.end())
        whole = text[at : len(text) if newline < 0 else newline + 1]
        return Line(line.number, whole, line.key, quoting=quote, flaw="more after the closing quote", span=span)
    whole = text[at : tail.end()]
    flaw = _flaw_in_quotes(closed[1], quote)
    if flaw:
        return Line(line.number, whole, line.key, quoting=quote, flaw=flaw, span=span)
    doubt = line.doubt or (SHELL if tail["end"] == "\r\n" else "")
    if quote == "'":
        return Line(line.number, whole, line.key, SecretValue(closed[1]), quote, doubt=doubt, span=span)
    value = SecretValue(_ESCAPE.sub(lambda match: _ESCAPES[match[1]], closed[1]))
    if "`" in closed[1] or "n" in _ESCAPE.findall(closed[1]):
        doubt = SHELL
    return Line(line.number, whole, line.key, value, quote, doubt=doubt, span=span)


def _flaw_in_quotes(content: str, quote: Quoting) -> str:
    """Why what stands between these quotes has no sure value."""
    if "\r" in content:
        return "a carriage return"
    if quote == '"':
        if "$" in content:
            return "a $ that may be replaced"
        # Docker Compose has versions that strip every quote at either end
        unsure = set(_ESCAPE.findall(content)) - _ESCAPES.keys() or content.endswith(("\\", '\\"'))
        return BACKSLASH if unsure or content.startswith('\\"') else ""
    return BACKSLASH if "\\\\" in content else ""


def _unquoted(whole: str, start: int, line: Line) -> Line:
    body = whole[start:].removesuffix("\n").removesuffix("\r")
    if body.lstrip(" \t").startswith("#") and body[:1] in " \t":
        return Line(line.number, whole, line.key, flaw="a comment or a value")
    blanks = len(body) - len(body.lstrip(" \t"))
    value, rest = _parted(body[blanks:])
    span = (start + blanks, start + blanks + len(value))
    why = _off(value)
    if why:
        return Line(line.number, whole, line.key, flaw=why, span=span)
    doubt = line.doubt if value else ""
    if _FOR_THE_SHELL.search(value) or whole.endswith("\r\n"):
        doubt = SHELL
    elif "#" in value:
        doubt = COMPOSE
    elif _BEHIND_A_TAB.match(rest):
        doubt = TABBED
    return Line(line.number, whole, line.key, SecretValue(value), doubt=doubt, span=span)


def _parted(body: str) -> tuple[str, str]:
    """The value without quotes, and what stands behind it: blanks and perhaps a comment."""
    at = body.find("#", 1)
    while at > 0 and body[at - 1] not in " \t":
        at = body.find("#", at + 1)
    value = (body[:at] if at > 0 else body).rstrip(" \t")
    return value, body[len(value) :]


def _off(value: str) -> str:
    if "$" in value:
        return "a $ that may be replaced"
    if "\\" in value:
        return BACKSLASH
    if _NO_LINE.search(value) or any(one.isspace() and one not in " \t" for one in value):
        return "a control character or an unusual blank"
    return ""
