"""A configuration of nginx, read for how long it leaves a peer alone that has failed; `include` is followed.

The grammar is that of nginx's own guide: words end with a blank, `;`, `{` or `}`; quotes hold blanks, `#` begins a
comment. Only what stands in `upstream` and `proxy_pass` is looked at.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keyturn.core.errors import Corrupt, TooLarge
from keyturn.system.files import read_text

MAX_BYTES = 1024 * 1024
MAX_FILES = 200
FAIL_TIMEOUT = 10.0
"""Seconds: nginx's default (ngx_http_upstream_module, `fail_timeout`)."""
_WORDS = re.compile(
    r"""\s+|#[^\n]*|(?P<word>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s;{}"'#][^\s;{}]*)|(?P<mark>[;{}])"""
)
_MARKS = frozenset(";{}")
_TIME = re.compile(r"(\d+)(ms|s|m|h|d)?\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PASSES = re.compile(r"https?://(?P<host>[A-Za-z][A-Za-z0-9_.-]*)(?::\d+)?(?:/.*)?\Z")


@dataclass(frozen=True, slots=True)
class Upstream:
    """A group of peers: for how many seconds the most patient of them is left alone once it has failed.

    `declared` says that there is an `upstream` of that name; else it is a host name in a `proxy_pass`, whose addresses
    are peers with nginx's defaults.
    """

    name: str
    fail_timeout: float
    declared: bool


def read_nginx(path: Path) -> tuple[Upstream, ...]:
    """The groups of more than one peer whose failures nginx counts, in the order of the file.

    Raises:
        NotFound, Denied, Unavailable, TooLarge: a file cannot be read, or there are too many.
        Corrupt: a word or a block has no end.
    """
    declared: dict[str, list[float]] = {}
    passed: dict[str, None] = {"localhost": None}
    for block, words in _statements(path, path.parent, [0]):
        if words[0] == "server" and block[:1] == ("upstream",):
            declared.setdefault(block[-1], []).append(_left_alone(words))
        elif words[0] == "proxy_pass" and (found := _PASSES.match(words[-1])):
            passed[found["host"]] = None
    counted = ((name, max(times)) for name, times in declared.items() if len(times) > 1 and max(times))
    hosts = [name for name in passed if name not in {*declared, "localhost"}]
    return (
        *(Upstream(name, left, declared=True) for name, left in counted),
        *(Upstream(name, FAIL_TIMEOUT, declared=False) for name in hosts),
    )


def _left_alone(words: list[str]) -> float:
    """Seconds; 0 where its failures are not counted."""
    said = dict(word.split("=", 1) for word in words[2:] if "=" in word)
    if said.get("max_fails") == "0":
        return 0.0
    match = _TIME.match(said.get("fail_timeout", f"{FAIL_TIMEOUT:.0f}s"))
    return int(match[1]) * _UNITS[match[2] or "s"] if match else FAIL_TIMEOUT


def _statements(path: Path, home: Path, seen: list[int]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Each statement, with the words that begin the block that it stands in."""
    seen[0] += 1
    if seen[0] > MAX_FILES:
        raise TooLarge(f"{path}: more than {MAX_FILES} files are included")
    blocks: list[tuple[str, ...]] = []
    words: list[str] = []
    for piece in _pieces(read_text(path, MAX_BYTES), path):
        if piece not in _MARKS:
            words.append(piece.strip("\"'"))
            continue
        if piece == "{":
            blocks.append(tuple(words))
        elif piece == "}":
            if not blocks:
                raise Corrupt(f"{path}: a block ends that did not begin", "nginx -t")
            blocks.pop()
        elif words[:1] == ["include"]:
            yield from _included(words, home, seen)
        elif words:
            yield blocks[-1] if blocks else (), words
        words = []
    if blocks or words:
        raise Corrupt(f"{path}: it ends in the middle of a block", "nginx -t")


def _included(words: list[str], home: Path, seen: list[int]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    for pattern in words[1:]:
        found = Path("/").glob(pattern.lstrip("/")) if pattern.startswith("/") else home.glob(pattern)
        for path in sorted(found):
            yield from _statements(path, home, seen)


def _pieces(text: str, path: Path) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _WORDS.match(text, at)
        if match is None or match.end() == at:
            raise Corrupt(f"{path}: line {text.count(chr(10), 0, at) + 1} has a word without an end", "nginx -t")
        at = match.end()
        if found := match["word"] or match["mark"]:
            yield found
