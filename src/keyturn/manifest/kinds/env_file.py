"""[stores.NAME] kind = "env-file": a `.env` file, comments and foreign keys kept."""

from typing import ClassVar, Literal

from keyturn.manifest.shapes import AbsolutePath
from keyturn.manifest.store import StoreTable


class Options(StoreTable):
    """A file, 0600."""

    kind: Literal["env-file"]
    """A `.env` file."""
    path: AbsolutePath
    """The file."""

    only_dev: ClassVar[bool] = True
    name_limit: ClassVar[int] = 127

    @property
    def place(self) -> str:
        """The file, without links on the way to it."""
        return f"{self.kind}:{self.path.resolve()}"
