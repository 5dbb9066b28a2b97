"""What a service is told by systemd, and tells it (sd_notify(3)); without systemd nothing happens."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

READY, STOPPING, WATCHDOG = "READY=1", "STOPPING=1", "WATCHDOG=1"
_LINUX_ABSTRACT = "@"


def reloading() -> str:
    """The word that a reload begins; READY ends it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def notify(words: str, environ: Mapping[str, str] = os.environ) -> None:
    """Say it. A service manager that does not hear stops nothing."""
    place = environ.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", _LINUX_ABSTRACT)):
        return
    address = "\0" + place[1:] if place.startswith(_LINUX_ABSTRACT) else place
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as said:
        said.settimeout(1.0)
        said.sendto(words.encode(), address)


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds within which systemd wants to hear WATCHDOG; None when it does not."""
    for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not for_us or not microseconds.isascii() or not microseconds.isdigit() or not int(microseconds):
        return None
    return int(microseconds) / 1_000_000
