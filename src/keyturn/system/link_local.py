"""One request to a service of this very host or link, which speaks plain HTTP: no proxy, no redirect."""

import http.client
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from keyturn.core.errors import Unavailable
from keyturn.system.https import Answer

MAX_ANSWER_BYTES = 64 * 1024


def ask(url: str, headers: Mapping[str, str], until: float) -> Answer:
    """The answer to a GET, whatever its status is.

    Raises:
        Unavailable: there is none by `until` (`time.monotonic()`).
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port or 80, timeout=max(0.001, until - time.monotonic())
    )
    failure = Unavailable(f"{parts.scheme}://{parts.netloc} does not answer", "does this host have that identity?")
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=dict(headers))
        response = connection.getresponse()
        content = response.read(MAX_ANSWER_BYTES)
        return Answer(response.status, {name.lower(): text for name, text in response.getheaders()}, content)
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    raise failure
