"""The manifest's file to a TOML document: bounded, plain, with a place for every complaint."""

import os
import re
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyturn.manifest.positions import BeyondLimit, Position, Positions
from keyturn.manifest.problems import ManifestError, Problem

MAX_BYTES = 1 << 20
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_WORDS = {"Cannot overwrite a value": "this key is there already, or was a table"}
_WHERE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")


@dataclass(frozen=True, slots=True)
class Source:
    """One TOML document: its file as it was named, its data, the place of each key."""

    file: str
    data: dict[str, Any]
    positions: Positions


def read_source(path: Path) -> Source:
    """The document at `path`.

    Symbolic links are followed (a mounted ConfigMap is one); what counts is the file that was opened.

    Raises:
        ManifestError: no such file, not a regular one, writable by others, too large, not UTF-8, not TOML.
    """
    file = str(path)
    text = _decode(file, _read(file))
    try:
        positions = Positions(text)
    except BeyondLimit as limit:
        raise _error(file, limit.position, str(limit), "a manifest is small and flat") from None
    try:
        return Source(file, tomllib.loads(text), positions)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(file, text, str(error)) from None


def _error(file: str, position: Position, message: str, instead: str) -> ManifestError:
    return ManifestError([Problem(file, *position, message, instead)])


def _read(file: str) -> bytes:
    top = Position(1, 1)
    try:
        # Non-blocking, so that a FIFO under this name cannot hang the command.
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        missing = Problem(file, *top, "there is no manifest here", "write one with: keyturn init")
        raise ManifestError(
            [missing], "keyturn init, or --manifest PATH before the command if it is elsewhere"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        raise _error(file, top, f"cannot be opened: {reason}", "check the path and its permissions") from None
    try:
        _check_file(file, os.fstat(descriptor).st_mode)
        with open(descriptor, "rb", closefd=False) as opened:
            content = opened.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise _error(file, top, f"larger than {MAX_BYTES} bytes", "a manifest holds names, never data")
    return content


def _check_file(file: str, mode: int) -> None:
    top = Position(1, 1)
    if not stat.S_ISREG(mode):
        raise _error(file, top, "not a regular file", "name the keyturn.toml itself")
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _error(file, top, "others may write this file", f"chmod go-w {file}")


def _decode(file: str, content: bytes) -> str:
    if content.startswith(_BOMS):
        raise _error(file, Position(1, 1), "starts with a byte order mark", "save it as UTF-8 without one")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        place = _place(content[: error.start].decode())
        raise _error(file, place, "not UTF-8", "save it as UTF-8") from None
    if "\0" in text:
        raise _error(file, _place(text[: text.index("\0")]), "a NUL character", "remove it")
    return text.replace("\r\n", "\n")


def _place(before: str) -> Position:
    """The place that comes after `before`."""
    return Position(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _syntax_error(file: str, text: str, message: str) -> ManifestError:
    where = _WHERE.search(message)
    place = Position(int(where[1]), int(where[2])) if where and where[1] else _place(text)
    words = _WORDS.get(words := _WHERE.sub("", message), words)
    return _error(file, place, f"not TOML: {words[:1].lower()}{words[1:]}", "see https://toml.io/en/v1.0.0")
