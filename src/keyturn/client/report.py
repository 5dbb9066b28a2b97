"""The status file of this process (docs/formats/status.md)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from keyturn.client.adoption import Standing
from keyturn.client.view import View
from keyturn.core.clock import rfc3339
from keyturn.core.proof import DRAINED, IN_USE, LOADED, Acknowledgement
from keyturn.core.status import Proof, SecretStatus, Status
from keyturn.system.files import Directory
from keyturn.system.processes import this_process

INTERVAL = 2.0
_MODE = 0o640


class Report:
    """Writes what this process says of itself.

    Args:
        directory: the status directory.
        environment: the environment that the bundle names.
    """

    interval = INTERVAL

    def __init__(self, directory: Path, environment: str) -> None:
        self._directory = directory
        self._process = this_process()
        self._environment = environment

    def write(self, standings: Mapping[str, Standing], nonce: str, *, drained: bool = False) -> None:
        """Write the status, with a proof for each version if there is a nonce to prove under.

        Raises:
            NotFound, Denied, Unavailable: it was not written.
        """
        process = self._process
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
            secrets={secret: self._secret(standing, nonce) for secret, standing in standings.items()},
        )
        with Directory(self._directory, follow=True) as directory:
            directory.write(f"{process.id}.json", status.dump(), mode=_MODE, durable=False)

    def _secret(self, standing: Standing, nonce: str) -> SecretStatus:
        loaded = [(standing.loaded, LOADED)] if standing.loaded else []
        states = [*loaded, *((v, IN_USE) for v in standing.used), *((v, DRAINED) for v in standing.drained)]
        proofs = tuple(self._proof(view, state, nonce) for view, state in states) if nonce else ()
        oldest = standing.oldest.version if standing.oldest else None
        return SecretStatus(standing.newest.version, oldest, standing.rejection, proofs)

    def _proof(self, view: View, state: str, nonce: str) -> Proof:
        words = Acknowledgement(self._environment, view.secret, view.version, self._process.id, nonce, state)
        return Proof(view.version, state, nonce, words.proof(view.bundle.proof_key))
