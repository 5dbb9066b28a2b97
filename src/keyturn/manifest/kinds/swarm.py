"""[consumers.NAME] kind = "swarm": a Docker Swarm service; its secrets are replaced, never changed."""

from typing import ClassVar, Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.shapes import AbsolutePath, Line


class Options(ConsumerTable):
    """One service of a stack, reached over the engine's socket."""

    kind: Literal["swarm"]
    """A Docker Swarm service."""
    service: Line
    """The service."""
    socket: AbsolutePath | None = None
    """Of the engine."""

    enumerates: ClassVar[bool] = True

    @property
    def reports(self) -> bool:
        """The engine says which task runs with which secret."""
        return True
