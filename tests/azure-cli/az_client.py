"""The program `az` of the tests: hands its words and its streams to recording_az.py, and ends as that says.

It is started hundreds of times, so it imports what is built in only, beneath `socket` and `os`.
"""

import sys
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, socket
from posix import environ

STREAMS = b"".join(number.to_bytes(4, sys.byteorder) for number in (1, 2))


def main() -> int:
    """One call."""
    words = b"\0".join([environ[b"RECORDING_AZ_STATE"], *map(str.encode, sys.argv[1:])])
    connection = socket(AF_UNIX, SOCK_STREAM, 0)
    connection.connect(environ[b"RECORDING_AZ"])
    connection.sendmsg([words], [(SOL_SOCKET, SCM_RIGHTS, STREAMS)])
    return int(connection.recv(16))


if __name__ == "__main__":
    sys.exit(main())
