"""The program `az` of the tests: hands its words and its streams to recording_az.py, and ends as that says."""

import json
import os
import socket
import sys


def main() -> int:
    """One call."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["RECORDING_AZ"])
        asked = {"argv": sys.argv[1:], "state": os.environ["RECORDING_AZ_STATE"]}
        socket.send_fds(connection, [json.dumps(asked).encode()], [1, 2])
        return int(connection.recv(16))


if __name__ == "__main__":
    sys.exit(main())
