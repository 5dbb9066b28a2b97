"""What this process says of itself (docs/formats/status.md), and where it says it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from keyturn.client.adoption import Standing
from keyturn.client.view import View
from keyturn.core.clock import rfc3339
from keyturn.core.errors import Denied, NotFound
from keyturn.core.proof import DRAINED, IN_USE, LOADED, Acknowledgement
from keyturn.core.status import Proof, SecretStatus, Status
from keyturn.system.files import Directory
from keyturn.system.processes import Identity, this_process

INTERVAL = 2.0
_MODE = 0o640
REMEDY = "status_dir is a directory that is there and that this process may write to: docs/formats/status.md"


class Place(Protocol):
    """Where this process reports."""

    def process(self) -> Identity:
        """As whom. Raises `AdapterError`."""

    def put(self, status: Status) -> None:
        """Report. Raises `AdapterError`."""


class StatusDirectory:
    """A directory that Keyturn reads. One process has one file in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process = this_process()

    def process(self) -> Identity:
        """This process."""
        return self._process

    def put(self, status: Status) -> None:
        """Write the file. Raises NotFound, Denied, Unavailable when it was not written."""
        try:
            with Directory(self._path, follow=True) as directory:
                directory.write(f"{status.instance}.json", status.dump(), mode=_MODE, durable=False)
        except (NotFound, Denied) as error:
            raise type(error)(error.message, REMEDY) from None


class Report:
    """Says what this process uses.

    Args:
        place: where.
        environment: the environment that the bundle names.
    """

    interval = INTERVAL

    def __init__(self, place: Place, environment: str) -> None:
        self._place = place
        self._environment = environment

    def write(self, standings: Mapping[str, Standing], nonce: str, *, drained: bool = False) -> None:
        """Say it, with a proof for each version if there is a nonce to prove under.

        Raises:
            NotFound, Denied, Unavailable: it was not said.
        """
        process = self._place.process()
        status = Status(
            instance=process.id,
            host=process.host,
            pid=process.pid,
            start=process.start,
            boot=process.boot,
            namespace=process.namespace,
            heartbeat=rfc3339(datetime.now(UTC)),
            interval_ms=int(INTERVAL * 1000),
            drained=drained,
            secrets={secret: self._secret(standing, nonce, process.id) for secret, standing in standings.items()},
        )
        self._place.put(status)

    def _secret(self, standing: Standing, nonce: str, instance: str) -> SecretStatus:
        loaded = [(standing.loaded, LOADED)] if standing.loaded else []
        states = [*loaded, *((v, IN_USE) for v in standing.used), *((v, DRAINED) for v in standing.drained)]
        proofs = tuple(self._proof(view, state, nonce, instance) for view, state in states) if nonce else ()
        oldest = standing.oldest.version if standing.oldest else None
        return SecretStatus(standing.newest.version, oldest, standing.rejection, proofs)

    def _proof(self, view: View, state: str, nonce: str, instance: str) -> Proof:
        words = Acknowledgement(self._environment, view.secret, view.version, instance, nonce, state)
        return Proof(view.version, state, nonce, words.proof(view.bundle.proof_key))
