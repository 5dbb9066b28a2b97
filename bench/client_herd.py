"""A thousand readers at the moment at which what they read is due to be looked at again.

What is counted is requests to the source, and readers that waited for one. Peers are not run: AWS's cache also makes
one call, and every reader waits for it; the SDK makes one call for each reader.
"""

import threading
from pathlib import Path

from bench.measure import Figure, Goal
from keyturn.client import Secrets, View
from keyturn.client.configuration import Configuration
from keyturn.client.sources import Generation
from keyturn.core.secret import Bundle

READERS, ROUNDS = 1000, 20
ONE, NOBODY = Goal(1.0), Goal(0.0)


class Gated:
    """A source whose look takes as long as the bench wants, and that counts them."""

    every = 3600.0

    def __init__(self) -> None:
        self.gate, self.begun, self.looks = threading.Event(), threading.Event(), 0
        self.gate.set()

    def changed(self) -> Generation | None:
        """Another version at each look."""
        self.looks += 1
        self.begun.set()
        self.gate.wait()
        return Generation("bench", {"api-key": View("api-key", f"v{self.looks}", Bundle({"value": "key"}))})

    def nonce(self) -> str:
        """Nobody asks."""
        return ""


def measure(_scratch: Path) -> list[Figure]:
    """Of each expiry: how many looks were made, and how many of the readers did not end while it was under way."""
    source, blocked = Gated(), 0
    with Secrets(Configuration({"kind": "gated"}, None, 86400.0, ("api-key",)), source) as secrets:
        handle, before = secrets["api-key"], source.looks
        for _ in range(ROUNDS):
            source.gate.clear()
            source.begun.clear()
            looking = threading.Thread(target=secrets.refresh)
            looking.start()
            source.begun.wait()
            readers = [threading.Thread(target=handle.reveal) for _ in range(READERS)]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join(10)
            blocked += sum(reader.is_alive() for reader in readers)
            source.gate.set()
            looking.join()
        looks = source.looks - before
    return [
        Figure("looks_per_expiry", looks / ROUNDS, "looks", ROUNDS, 0.0, ONE),
        Figure("readers_that_waited", float(blocked), "readers", ROUNDS * READERS, 0.0, NOBODY),
    ]
