"""Syslog messages, received by a socket that takes RFC 5424 and nothing else."""

import socket
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keyturn.core.errors import Denied, TooLarge, Unavailable
from keyturn.system.syslog import FACILITIES, Address, Origin, message, parse_address, send
from tests.syslog_receiver import Receiver, frames, parse

NOW = datetime(2026, 11, 23, 9, 0, 0, 125_000, tzinfo=UTC)
ORIGIN = Origin("host.example", "keyturn", "77")
PLAIN = message("audit", ORIGIN, NOW, "checkpoint", b"hello world")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/dev/log", Address("unix", "/dev/log")),
        ("udp:log.internal:514", Address("udp", "log.internal", 514)),
        ("tcp:[::1]:601", Address("tcp", "::1", 601)),
    ],
)
def test_addresses_are_read_and_shown_alike(text: str, address: Address) -> None:
    """What is shown is what was written."""
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", "/dev/log", "unix:dev/log", f"unix:/{'x' * 107}", "udp:host", "udp:host:0", "tcp:host:65536", "tls:h:1"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """A path too long for a socket, ports that are none, transports that are not known."""
    with pytest.raises(ValueError, match="write one such as"):
        parse_address(text)


def test_a_message_has_the_form_of_the_rfc() -> None:
    """Priority, version, time with milliseconds, names, no structured data, then the text."""
    assert PLAIN == b"<109>1 2026-11-23T09:00:00.125Z host.example keyturn 77 checkpoint - hello world"


@pytest.mark.parametrize("facility", FACILITIES)
def test_each_facility_is_understood(facility: str) -> None:
    """The receiver reads the code that RFC 5424 gives it, and severity notice."""
    heard = parse(message(facility, ORIGIN, NOW, "checkpoint", b"x"))
    assert (heard.facility, heard.severity) == (FACILITIES[facility], 5)


def test_names_that_do_not_fit_the_header_are_made_to() -> None:
    """Spaces and foreign letters cannot end a field, length cannot pass its limit, nothing is a hyphen."""
    heard = parse(message("auth", Origin("hä st" + "x" * 300, "", "\n"), NOW, "k", b"x"))
    assert heard.host.startswith("h??stx")
    assert (len(heard.host), heard.application, heard.process) == (255, "-", "?")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_message_arrives_over_the_network(transport: str) -> None:
    """By UDP as a datagram, by TCP with its length before it."""
    with Receiver(transport) as receiver:
        send(parse_address(receiver.address), PLAIN, 5)
        send(parse_address(receiver.address), PLAIN, 5)
        assert [one.text for one in receiver.heard(2)] == [b"hello world"] * 2


@pytest.mark.parametrize("stream", [False, True], ids=["datagram", "stream"])
def test_a_message_arrives_at_a_local_socket_of_either_kind(tmp_path: Path, stream: bool) -> None:  # noqa: FBT001 - a parameter
    """Which kind it is shows when it is used."""
    with Receiver(tmp_path / "log", stream=stream) as receiver:
        send(parse_address(receiver.address), PLAIN, 5)
        assert receiver.heard()[0].application == "keyturn"


def test_a_receiver_that_is_down_is_unavailable() -> None:
    """Nobody listens on the port."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(Unavailable):
        send(Address("tcp", "127.0.0.1", port), PLAIN, 5)


def test_a_local_socket_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    """Or whose owner has gone."""
    with pytest.raises(Unavailable):
        send(Address("unix", str(tmp_path / "log")), PLAIN, 5)


def test_a_receiver_that_does_not_end_its_stream_did_not_take_the_message() -> None:
    """It is unavailable when the time is over; the message may come twice, and is not lost."""
    with Receiver("tcp", mute=True) as receiver, pytest.raises(Unavailable, match="time"):
        send(parse_address(receiver.address), PLAIN, 0.1)


def test_a_datagram_that_is_too_large_is_said_to_be() -> None:
    """Nothing is cut."""
    with Receiver("udp") as receiver, pytest.raises(TooLarge, match="no message of that size"):
        send(parse_address(receiver.address), b"x" * 70_000, 5)


def test_a_host_without_a_name_is_unavailable() -> None:
    """What the resolver says is no traceback."""
    with pytest.raises(Unavailable):
        send(Address("udp", "nowhere.invalid", 514), PLAIN, 1)


def test_a_broadcast_address_is_denied() -> None:
    """What the kernel forbids is for a person to mend."""
    with pytest.raises(Denied):
        send(Address("udp", "255.255.255.255", 514), PLAIN, 1)


@pytest.mark.parametrize("content", [b"hello", b"<192>1 - - - - - -", b"<13>2 - - - - - -", b"<13>1 - a b c d e x"])
def test_the_receiver_of_these_tests_is_strict(content: bytes) -> None:
    """What is not of the RFC does not pass."""
    with pytest.raises(ValueError, match="RFC 5424"):
        parse(content)
    with pytest.raises(ValueError, match="octet"):
        frames(b"9 short")


def test_a_receiver_that_drips_bytes_holds_nobody() -> None:
    """One deadline counts for the whole end of a stream, however much comes before it."""
    stop = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def drip() -> None:
            with closing(listening.accept()[0]) as stream:
                while not stop.wait(0.05):
                    try:
                        stream.send(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(Unavailable, match=r"timed out|no answer in time"):
            send(Address("tcp", "127.0.0.1", listening.getsockname()[1]), PLAIN, 0.3)
        stop.set()
        thread.join()
