"""An application of gunicorn that opens its secrets when it is loaded, and says which process reads which version."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from keyturn.client import Secrets

secrets = Secrets.open()
url = secrets["database-url"]


def application(_: dict[str, Any], start: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """WSGI: the process, its version, and what it reads."""
    start("200 OK", [("Content-Type", "text/plain")])
    return [answer(url.version, url.reveal())]


def answer(version: str, value: str) -> bytes:
    """The value with what says whose it is."""
    return f"{os.getpid()} {version} {value}".encode()
