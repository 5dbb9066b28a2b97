"""[consumers.NAME] kind = "files": programs that read files and report nothing."""

from typing import Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.shapes import AbsolutePath, Identifier, Line, Several


class Options(ConsumerTable):
    """Files in `bundle_dir`; `reload` (argv) is run after each delivery, `grace` is waited."""

    kind: Literal["files"]
    """Programs that read files and report nothing."""
    bundle_dir: AbsolutePath
    """Written by Keyturn."""
    group: Identifier | None = None
    """Who may read it."""
    reload: Several[Line] = ()
    """Command (argv) after each delivery."""
