"""[stores.NAME] kind = "files": a directory with one file per entry, as Docker and Kubernetes mount them."""

from typing import ClassVar, Literal

from keyturn.manifest.shapes import AbsolutePath, Identifier
from keyturn.manifest.store import StoreTable


class Options(StoreTable):
    """A directory, 0700, or 0750 for a declared `group`."""

    kind: Literal["files"]
    """A directory with one file per entry."""
    path: AbsolutePath
    """The directory."""
    group: Identifier | None = None
    """Who may read it: 0750 and 0640 instead of 0700 and 0600."""

    only_dev: ClassVar[bool] = True
    name_limit: ClassVar[int] = 200

    @property
    def place(self) -> str:
        """The directory, without links on the way to it."""
        return f"{self.kind}:{self.path.resolve()}"
