"""One request to a program of this host: told by its status, within one deadline, and nowhere else."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keyturn.core.errors import NotFound, Unavailable
from keyturn.system.loopback import Request, is_loopback

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@contextmanager
def serving(listener: socket.socket, *pieces: bytes, held: bool = False) -> Iterator[list[bytes]]:
    """Answers one request with these pieces, and keeps the connection open if `held`; what was asked."""
    asked: list[bytes] = []
    ending = threading.Event()
    listener.listen()
    listener.settimeout(10)

    def run() -> None:
        with listener.accept()[0] as connected:
            asked.append(connected.recv(4096))
            for piece in pieces:
                connected.sendall(piece)
            if held:
                ending.wait(10)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield asked
    finally:
        ending.set()
        thread.join()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A free port of loopback."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        yield made


def url(listener: socket.socket) -> str:
    """A path there."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}/-/reload?a=b"


def test_a_request_carries_its_path_and_nothing_else(listener: socket.socket) -> None:
    """No body, no name, no header but those that HTTP wants."""
    with serving(listener, OK) as asked:
        assert Request("POST", url(listener)).status(10) == 204
    head, _, body = asked[0].partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert (first, body) == ("POST /-/reload?a=b HTTP/1.1", b"")
    assert [line.partition(":")[0] for line in headers] == ["Host", "Content-Length", "Connection"]


def test_a_unix_socket_takes_the_place_of_the_address(tmp_path: Path) -> None:
    """Nothing is looked up or connected to by the URL then."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        with serving(made, b"HTTP/1.1 2", b"00 OK\r\n\r\n"):
            assert Request("GET", "http://127.0.0.1:1/reload", tmp_path / "s").status(10) == 200
    with pytest.raises(NotFound):
        Request("GET", "http://127.0.0.1:1/reload", tmp_path / "away").status(10)


def test_a_redirect_is_a_status_like_any_other(listener: socket.socket) -> None:
    """Nobody is asked elsewhere."""
    with serving(listener, b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"):
        assert Request("POST", url(listener)).status(10) == 302


@pytest.mark.parametrize("said", [b"", b"+OK\r\n", b"HTTP/1.1 abc\r\n", b"HTTP/2 200\r\n", b"x" * 10_000])
def test_what_is_no_answer_of_http_is_an_error(listener: socket.socket, said: bytes) -> None:
    """With nothing of what it said."""
    with serving(listener, said), pytest.raises(Unavailable, match="no HTTP server"):
        Request("POST", url(listener)).status(10)


def test_no_answer_in_time_and_nobody_there_are_errors(listener: socket.socket) -> None:
    """One deadline over all of it, however slowly the pieces come."""
    with serving(listener, b"HTTP/1.1", held=True), pytest.raises(Unavailable, match=r"within 0\.05 s"):
        Request("POST", url(listener)).status(0.05)
    place = url(listener)
    listener.close()
    with pytest.raises(Unavailable):
        Request("POST", place).status(10)


@pytest.mark.parametrize(("place", "is_one"), [
    ("http://127.0.0.1:9090/-/reload", True), ("http://[::1]:80/", True), ("http://127.8.9.1/", True),
    ("http://localhost/", False), ("http://10.0.0.1/", False), ("https://127.0.0.1/", False),
    ("http://user@127.0.0.1/", False), ("http://127.0.0.1.example.com/", False), ("http://[::ffff:10.0.0.1]/", False),
    ("http://169.254.169.254/", False), ("http://", False), ("http://0.0.0.0/", False),
])  # fmt: skip
def test_only_an_address_of_this_host_is_loopback(place: str, *, is_one: bool) -> None:
    """Written as an address: a name could lead anywhere."""
    assert is_loopback(place) is is_one
