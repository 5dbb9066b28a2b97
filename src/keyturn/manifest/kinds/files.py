"""[consumers.NAME] kind = "files": programs that read files and report nothing."""

from typing import Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.shapes import AbsolutePath, Identifier, Line, Several


class Options(ConsumerTable):
    """Files in `bundle_dir`; `reload` (argv) is run after each delivery, `grace` is waited."""

    kind: Literal["files"]
    bundle_dir: AbsolutePath
    group: Identifier | None = None
    reload: Several[Line] = ()
