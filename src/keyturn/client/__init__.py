"""What applications import. Standard library only on its import path.

from keyturn.client import Secrets

secrets = Secrets.open()
url = secrets["database-url"]      # a handle: ask it each time you connect
connect(url.reveal())
"""

from typing import TYPE_CHECKING, Any

from keyturn.client.adoption import Holder
from keyturn.client.handle import Handle
from keyturn.client.reader import Secrets
from keyturn.client.view import View

if TYPE_CHECKING:
    from keyturn.client.run import Run

__all__ = ["Handle", "Holder", "Run", "Secrets", "View"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    """`Run` is for jobs, and imported by them."""
    if name == "Run":
        from keyturn.client.run import Run

        return Run
    raise AttributeError(name)
