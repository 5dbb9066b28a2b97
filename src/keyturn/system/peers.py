"""Who is at the other end of a unix socket, by the kernel's word (unix(7), socket(7))."""

import array
import os
import select
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

from keyturn.core.errors import Denied
from keyturn.system.processes import start_of

SO_PEERGROUPS = 59
SO_PEERPIDFD = 77
_CREDENTIALS = struct.Struct("iII")
_MAX_OPTION = 1024


@dataclass(frozen=True, slots=True)
class Peer:
    """What the kernel noted when the other end connected, or began to listen.

    Attributes:
        pid: process id as this process's namespace counts; 0 when it cannot be seen from here.
        uid: effective user.
        groups: effective group and supplementary groups. Of a peer with more than 256 only the first.
    """

    pid: int
    uid: int
    groups: frozenset[int]


def peer_of(connected: socket.socket) -> Peer:
    """The process at the other end, as it was when it connected."""
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    groups = array.array("I")
    with suppress(OSError):
        groups.frombytes(connected.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _MAX_OPTION))
    return Peer(pid, uid, frozenset({gid, *groups}))


def start_of_peer(connected: socket.socket, pid: int) -> str:
    """When the process at the other end started, in ticks since boot.

    Where the kernel can hold on to that process (SO_PEERPIDFD, Linux 6.5) it is shown to be still the one that
    connected, and not another one that got its number.

    Raises:
        Denied: it cannot be seen from here, or it is gone.
    """
    if pid < 1:
        raise Denied("this process is in another pid namespace", "run the agent in the host's (Docker: pid: host)")
    start = start_of(pid)
    if start is None or _is_gone(connected):
        raise Denied(f"process {pid} cannot be seen", "the agent must see /proc of its clients (hidepid)")
    return start


def _is_gone(connected: socket.socket) -> bool:
    try:
        fd = connected.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
    except OSError:
        return False
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(0))
    finally:
        os.close(fd)
