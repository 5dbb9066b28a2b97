"""What PostgreSQL's SQLSTATEs are called."""

import psycopg
import pytest

from keyturn.core.errors import AdapterError, Conflict, Denied, NotFound, OutcomeUnknown, Unavailable, Unsupported
from keyturn.system.postgres import Server, answers


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("08006", Unavailable),
        ("57P01", Unavailable),
        ("57P03", Unavailable),
        ("25P03", Unavailable),
        ("57014", Unavailable),
        ("53200", Unavailable),
        ("40001", Unavailable),
        ("XX000", Unavailable),
        ("42501", Denied),
        ("42704", NotFound),
        ("3D000", NotFound),
        ("25006", Conflict),
        ("42710", Conflict),
        ("42601", Unsupported),
    ],
)
def test_by_sqlstate(state: str, expected: type[AdapterError]) -> None:
    """Each SQLSTATE has one meaning, and the text of the server is left out."""
    with pytest.raises(AdapterError) as caught, answers("asking"):
        raise psycopg.errors.lookup(state)("text that quotes a statement")
    assert type(caught.value) is expected
    assert "quotes" not in caught.value.message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("state", ["08006", "57P01", "57P05", "25P04"])
def test_lost_after_sending(state: str) -> None:
    """A connection that breaks after the request was sent leaves the outcome unknown."""
    with pytest.raises(OutcomeUnknown), answers("asking", sent=True):
        raise psycopg.errors.lookup(state)("gone")


def test_lost_without_a_word() -> None:
    """A connection that just ends is told apart by what had been sent."""
    with pytest.raises(Unavailable), answers("asking"):
        raise psycopg.OperationalError("gone")
    with pytest.raises(OutcomeUnknown), answers("asking", sent=True):
        raise psycopg.OperationalError("gone")


@pytest.mark.parametrize(("host", "node"), [("db", "db:5432"), ("::1", "[::1]:5432")])
def test_node(host: str, node: str) -> None:
    """A server is named as people write it."""
    assert Server(host, 5432, "x", "x").node == node
