"""HTTP/1.1 as far as short requests for JSON need it (RFC 9112): what is sent, and a strict reading of the answer.

`http.client` would do as well; importing it loads the whole of `email`, which costs more than the requests themselves.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 4 * 1024 * 1024
_PIECE = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?\Z")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*?)[ \t]*\Z")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\Z")
_SAFE = re.compile(r"[\x20-\x7e]*\Z")
_BARE = frozenset({204, 304})


class Answer(NamedTuple):
    """Status, headers in small letters, and the whole body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Broken(Exception):
    """What came is no answer, or not all of it. It never says what came."""


def question(method: str, path: str, host: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """What is sent.

    Raises:
        Broken: a word has a character that would end its line.
    """
    told = {"Host": host, "Accept-Encoding": "identity", **headers}
    if body is not None:
        told["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in told.items())]
    if " " in path or not all(_SAFE.match(line) for line in lines):
        raise Broken
    return "\r\n".join((*lines, "", "")).encode("ascii") + (body or b"")


class Reader:
    """Reads one answer from a connection.

    Args:
        receive: gives some bytes, at most so many; none when the other side has ended.
        most: the largest body.

    Attributes:
        begun: whether anything came.
        kept: whether the connection can be used for another request, once `answer` has returned.
        large: whether the body is what was too much.
    """

    def __init__(self, receive: Callable[[int], bytes], most: int = MAX_BODY_BYTES) -> None:
        self._receive, self._most = receive, most
        self._buffer = bytearray()
        self.begun = self.kept = self.large = False

    def answer(self) -> Answer:
        """All of it. Raises Broken."""
        version, status, headers = self._head()
        while status < 200:  # noqa: PLR2004 - an interim answer, RFC 9110, section 15.2
            version, status, headers = self._head()
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        self.kept = version == 1 and "close" not in headers.get("connection", "").casefold()
        if coding is not None and (coding.casefold() != "chunked" or length is not None):
            raise Broken
        if status in _BARE:
            content = b""
        elif coding is not None:
            content = self._chunks()
        elif length is not None:
            content = self._exactly(self._length(length))
        else:
            content, self.kept = self._rest(), False
        self.kept = self.kept and not self._buffer  # what nobody asked for is no answer to the next request
        return Answer(status, headers, content)

    def _head(self) -> tuple[int, int, dict[str, str]]:
        first, *lines = self._until(b"\r\n\r\n", MAX_HEAD_BYTES).split(b"\r\n")
        found = _STATUS.match(first)
        if found is None:
            raise Broken
        headers: dict[str, str] = {}
        for line in lines:
            header = _HEADER.match(line)
            name = header[1].decode("ascii").lower() if header else ""
            if header is None or (name in headers and name in {"content-length", "transfer-encoding"}):
                raise Broken
            headers[name] = header[2].decode("latin-1")
        return int(found[1]), int(found[2]), headers

    def _length(self, text: str) -> int:
        digits = text.lstrip("0") or text[:1]
        if not digits.isascii() or not digits.isdigit():
            raise Broken
        return int(digits[:12])

    def _chunks(self) -> bytes:
        """RFC 9112, section 7.1; trailers are read and left out."""
        content = bytearray()
        while True:
            found = _SIZE.match(self._until(b"\r\n", MAX_HEAD_BYTES))
            if found is None:
                raise Broken
            size = int(found[1], 16)
            if size == 0:
                break
            self._check(len(content) + size)
            content += self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise Broken
        for _ in range(100):
            if not self._until(b"\r\n", MAX_HEAD_BYTES):
                return bytes(content)
        raise Broken

    def _rest(self) -> bytes:
        self._check(len(self._buffer))
        while piece := self._receive(_PIECE):
            self._buffer += piece
            self._check(len(self._buffer))
        content, self._buffer = bytes(self._buffer), bytearray()
        return content

    def _exactly(self, size: int) -> bytes:
        self._check(size)
        while len(self._buffer) < size:
            self._more()
        content = bytes(self._buffer[:size])
        del self._buffer[:size]
        return content

    def _until(self, end: bytes, most: int) -> bytes:
        while (at := self._buffer.find(end)) < 0:
            if len(self._buffer) > most:
                raise Broken
            self._more()
        content = bytes(self._buffer[:at])
        del self._buffer[: at + len(end)]
        return content

    def _more(self) -> None:
        piece = self._receive(_PIECE)
        if not piece:
            raise Broken
        self.begun = True
        self._buffer += piece

    def _check(self, size: int) -> None:
        if size > self._most:
            self.large = True
            raise Broken
