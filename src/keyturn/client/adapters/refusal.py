"""Why a PostgreSQL server turned a log-in down, for the adapters that log in by libpq."""

from collections.abc import Mapping
from typing import Any

from psycopg.conninfo import make_conninfo

from keyturn.core.errors import Denied, Unavailable
from keyturn.system.postgres import log_in_state

TRY_SECONDS = 10
"""How long the log-in of a trial may take."""
_COMES_BACK = ("08", "57P")
_NOT_LIBPQ = {"autocommit", "prepare_threshold", "context", "row_factory", "cursor_factory"}


def comes_back(state: str | None) -> bool:
    """Whether an error with this SQLSTATE says that the server is away, and nothing of the credential."""
    return state is None or state.startswith(_COMES_BACK)


def refusal(conninfo: str, parameters: Mapping[str, Any]) -> Denied | Unavailable:
    """What the server said. libpq keeps no SQLSTATE of a log-in that failed: it is asked once more."""
    options = {name: value for name, value in parameters.items() if name not in _NOT_LIBPQ}
    return verdict(log_in_state(make_conninfo(conninfo, **options), TRY_SECONDS))


def verdict(state: str | None) -> Denied | Unavailable:
    """What a SQLSTATE of a log-in that failed says; None when there was no answer."""
    if state is None or comes_back(state):
        return Unavailable("the server gave no answer to the log-in")
    return Denied(f"the server turned the log-in down ({state})")
