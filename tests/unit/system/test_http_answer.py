"""Answers over HTTP/1.1: read strictly, whatever pieces they come in, and never told."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.system.http_answer import Broken, Reader, question


def pieces(content: bytes, size: int = 1) -> Callable[[int], bytes]:
    """A connection that gives that, piece by piece, and then ends."""
    parts: Iterator[bytes] = (content[at : at + size] for at in range(0, len(content), size))
    return lambda _: next(parts, b"")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(("told", "status", "content", "kept"), [
    (HEAD + b"Content-Length: 2\r\n\r\n{}", 200, b"{}", True),
    (HEAD + b"content-length: 0\r\n\r\n", 200, b"", True),
    (HEAD + b"Content-Length: 00000000000002\r\n\r\n{}", 200, b"{}", True),
    (HEAD + b"Connection: Close\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
    (HEAD + b"\r\n{}", 200, b"{}", False),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nTrailer: x\r\n\r\n", 200, b"{}", True),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    (b"HTTP/1.1 429 \r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n", 429, b"", True),
    (b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, b"", False),
])  # fmt: skip
def test_an_answer_is_read_in_whatever_pieces_it_comes(
    told: bytes,
    status: int,
    content: bytes,
    kept: bool,  # noqa: FBT001 - a column of the table
    size: int,
) -> None:
    """With its status, its body, and whether the connection can be used again."""
    reader = Reader(pieces(told, size))
    answer = reader.answer()
    assert (answer.status, answer.content, reader.kept) == (status, content, kept)


@pytest.mark.parametrize("told", [
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
    HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: x\r\n" * 101 + b"\r\n",
    HEAD + b"Content-Length: +2\r\n\r\n{}",
    HEAD + b"Content-Length: \r\n\r\n{}",
    HEAD + b"Content-Length: 0-0\r\n\r\n{}",
    HEAD + b"Content-Length: 0x2\r\n\r\n{}",
    HEAD + b" folded: x\r\n\r\n",
    HEAD + b"Space : x\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"SSH-2.0-OpenSSH\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 70_000,
])  # fmt: skip
def test_what_is_no_answer_or_not_all_of_it_is_refused(told: bytes) -> None:
    """Also where two lengths are said, which two readers could take differently."""
    with pytest.raises(Broken) as caught:
        Reader(pieces(told, 1000)).answer()
    assert str(caught.value) == ""


@pytest.mark.parametrize("told", [
    HEAD + b"Content-Length: 11\r\n\r\n", HEAD + b"\r\n" + b"x" * 11,
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nb\r\n", HEAD + b"Content-Length: 999999999999999999\r\n\r\n",
])  # fmt: skip
def test_a_body_that_is_too_large_is_refused_before_it_is_read(told: bytes) -> None:
    """By what it says of itself, or by what came."""
    reader = Reader(pieces(told, 1000), most=10)
    with pytest.raises(Broken):
        reader.answer()
    assert reader.large


def test_what_comes_behind_an_answer_ends_the_connection() -> None:
    """It would be taken for the answer to the next request."""
    reader = Reader(pieces(HEAD + b"Content-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n", 1000))
    assert reader.answer().content == b"{}"
    assert not reader.kept


@given(st.binary(max_size=300), st.integers(1, 50))
def test_nothing_but_an_answer_or_a_refusal_comes_of_any_bytes(content: bytes, size: int) -> None:
    """Whoever listens there."""
    for told in (content, HEAD + content, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + content):
        try:
            answer = Reader(pieces(told, size)).answer()
        except Broken:
            continue
        assert 200 <= answer.status <= 599


def test_a_question_is_what_is_sent() -> None:
    """A body says its length."""
    assert question("GET", "/secrets?a=b", "host:1", {"A": "b"}, None) == (
        b"GET /secrets?a=b HTTP/1.1\r\nHost: host:1\r\nAccept-Encoding: identity\r\nA: b\r\n\r\n"
    )
    assert question("POST", "/", "host", {}, b"x=y").endswith(b"Content-Length: 3\r\n\r\nx=y")


@pytest.mark.parametrize(("path", "header"), [("/a b", "x"), ("/a\r\nB: c", "x"), ("/", "x\r\nB: c"), ("/", "é")])
def test_a_word_that_would_end_its_line_is_not_sent(path: str, header: str) -> None:
    """Whoever gives out tokens writes no headers of ours."""
    with pytest.raises(Broken):
        question("GET", path, "host", {"A": header}, None)
