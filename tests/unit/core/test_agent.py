"""What agent and client say to each other: whole messages of exactly one shape, or nothing."""

import struct
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.agent import FROM_AGENT, FROM_CLIENT, MAX_FROM_CLIENT, Frames, Hello, Welcome, framed, nonce_of

WELCOME = Welcome("clo-api", "test", "web1", 7, "100", "boot", "pid:[1]", reports=True, now_ms=5)


def frames() -> Frames:
    """What an agent reads a client with."""
    return Frames(FROM_CLIENT, MAX_FROM_CLIENT)


def raw(body: bytes) -> bytes:
    """A frame with that body."""
    return struct.pack(">I", len(body)) + body


@given(st.lists(st.integers(0, 2**40), max_size=5), st.lists(st.integers(0, 300), max_size=20))
def test_messages_are_the_same_however_the_stream_is_cut(numbers: list[int], cuts: list[int]) -> None:
    """A reader gets bytes as the kernel has them."""
    stream = b"".join(framed("ask", number=number) for number in numbers)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader, found = frames(), []
    for begin, end in pairwise(places):
        found += [message.content["number"] for message in reader.feed(stream[begin:end])]
    assert (found, reader.half) == (numbers, False)


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_whatever_comes_is_messages_or_one_kind_of_error(pieces: list[bytes]) -> None:
    """Nothing else leaves the reader, however a stranger cuts what he makes up."""
    reader = frames()
    with suppress(ValueError):
        for piece in (*pieces, *map(raw, pieces)):
            list(reader.feed(piece))


def test_a_length_beyond_the_limit_is_refused_before_its_body_comes() -> None:
    """Nobody has to keep what a stranger announces."""
    with pytest.raises(ValueError, match="at most"):
        list(frames().feed(struct.pack(">I", MAX_FROM_CLIENT + 1)))


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b'"hello"', b"\xff", b"{}", b'{"type": 1}', b'{"type": "secret"}', b'{"type": "ask"}',
    b'{"type": "ask", "number": "1"}', b'{"type": "ask", "number": true}', b'{"type": "ask", "number": 1, "more": 1}',
    b'{"type": "ask", "type": "ask", "number": 1}', b'{"type": "generation", "environment": "x", "secrets": {}}',
    b'{"type": "ask", "number": NaN}', b'{"type": "ask", "number": -1}', b'{"type": "ask", "number": 9007199254740992}',
    b'{"type": "ask", "number": 1' + b"0" * 5000 + b"}", b"[" * 70_000,
])  # fmt: skip
def test_what_is_no_message_of_a_client_is_refused(body: bytes) -> None:
    """Other types, other keys, other shapes, what only an agent says, and what is no JSON."""
    with pytest.raises(ValueError, match=r"."):
        list(frames().feed(raw(body)))


def test_hello_and_welcome_come_back_as_they_went() -> None:
    """Each is read by the other side into what it was made of."""
    hello = Hello("clo-api", 250)
    assert [Hello.of(message) for message in frames().feed(hello.framed())] == [hello]
    assert [Welcome.of(message) for message in Frames(FROM_AGENT, 4096).feed(WELCOME.framed())] == [WELCOME]


@pytest.mark.parametrize("content", [
    {"schema": "keyturn/agent-socket/2", "consumer": None, "every_ms": 1000},
    {"schema": "keyturn/agent-socket/1", "consumer": "../x", "every_ms": 1000},
    {"schema": "keyturn/agent-socket/1", "consumer": None, "every_ms": 99},
    {"schema": "keyturn/agent-socket/1", "consumer": None, "every_ms": 10_001},
])  # fmt: skip
def test_a_hello_of_another_schema_name_or_pace_is_refused(content: dict[str, object]) -> None:
    """The first word decides whether there is a second."""
    (message,) = frames().feed(framed("hello", **content))
    with pytest.raises(ValueError, match=r"schema|name|every_ms"):
        Hello.of(message)


def test_the_first_word_of_an_agent_is_welcome() -> None:
    """Whatever else comes first is refused, as is a nonce that is none."""
    (fresh, challenge) = Frames(FROM_AGENT, 4096).feed(
        framed("fresh", good_at_ms=1, number=0) + framed("challenge", nonce="zz")
    )
    with pytest.raises(ValueError, match="before welcome"):
        Welcome.of(fresh)
    with pytest.raises(ValueError, match="nonce"):
        nonce_of(challenge)
