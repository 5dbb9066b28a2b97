"""Views: what stands in a bundle is read back from a URL as it was, by other people's readers."""

import operator
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from keyturn.core.compose import compose, holes
from keyturn.core.errors import UsageError
from keyturn.core.secret import Bundle, SecretValue

URL = "postgresql://{username}:{password}@{host}:{port}/{dbname}?sslmode=verify-full"
WHERE = {"host": "db.internal", "port": "5432", "dbname": "clo"}
LEGAL = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)
NASTY = "".join(map(chr, range(0x20, 0x7F)))
"""Every printable character of ASCII."""


def userinfo(url: str) -> tuple[str, str, str | None, int | None, str]:
    """What urllib reads."""
    parts = urlsplit(url)
    return unquote(parts.username or ""), unquote(parts.password or ""), parts.hostname, parts.port, parts.path


@given(LEGAL, LEGAL)
@example(NASTY, NASTY)
@example("%40", "%2540")
@example("{password}", "{username}")
@example("\ufb01\uff0f\uff20", "🔑\uff1a")
def test_urllib_reads_back_what_was_composed(username: str, password: str) -> None:
    """Every character of name and password survives, and none of them moves host, port or path."""
    view = compose(URL, Bundle({"username": username, "password": password}), WHERE)
    read = (username, password, "db.internal", 5432, "/clo")
    assert operator.eq(userinfo(view.reveal()), read)


@given(LEGAL, LEGAL, LEGAL)
@example(NASTY, NASTY, NASTY)
def test_libpq_reads_back_what_was_composed(username: str, password: str, dbname: str) -> None:
    """The same for the reader that PostgreSQL's own clients use, the name of the database included."""
    view = compose(URL, Bundle({"username": username, "password": password}), {**WHERE, "dbname": dbname})
    read = {"user": username, "password": password, "host": "db.internal", "port": "5432"}
    assert operator.eq(conninfo_to_dict(view.reveal()), {**read, "dbname": dbname, "sslmode": "verify-full"})


@given(LEGAL)
@example(NASTY)
def test_a_value_in_a_query_is_read_back(token: str) -> None:
    """Plus, ampersand and equals sign belong to the value, not to the query."""
    view = compose("https://{host}/hook?token={value}&x=1", Bundle({"value": token}), WHERE)
    query = operator.itemgetter(3)
    assert operator.eq(parse_qs(query(urlsplit(view.reveal()))), {"token": [token], "x": ["1"]})


def test_only_unreserved_characters_stand_as_they_are() -> None:
    """What RFC 3986 calls unreserved is not encoded, all the rest of ASCII is."""
    view = compose("x://{value}", Bundle({"value": NASTY}), {})
    plain = "".join(c if c.isalnum() or c in "-._~" else f"%{ord(c):02X}" for c in NASTY)
    assert view == SecretValue(f"x://{plain}")


def test_an_address_of_ip_version_6_keeps_its_brackets() -> None:
    """The host of a URL is a coordinate, not a value."""
    view = compose("redis://:{password}@{host}:{port}", Bundle({"password": "p"}), {"host": "[::1]", "port": "6379"})
    assert operator.eq(userinfo(view.reveal()), ("", "p", "::1", 6379, ""))


@given(LEGAL)
def test_a_view_that_is_no_url_takes_values_as_they_are(text: str) -> None:
    """Without `://` there is nothing to encode for."""
    assert compose("Bearer {value} {host}", Bundle({"value": text}), WHERE) == SecretValue(f"Bearer {text} db.internal")


def test_a_field_of_the_bundle_wins_over_a_coordinate() -> None:
    """A rotation that changes the host with the password is served whole."""
    assert compose("{host}", Bundle({"host": "new"}), WHERE) == SecretValue("new")


def test_the_view_is_a_value_itself() -> None:
    """It is masked as what it was made of."""
    assert "canary" not in repr(compose(URL, Bundle({"username": "u", "password": "canary"}), WHERE))


def test_a_part_that_nobody_has_is_refused() -> None:
    """The error names the part, and no value of the others."""
    with pytest.raises(UsageError, match=r"\{realm\}") as refused:
        compose("{password}@{realm}", Bundle({"password": "canary"}), WHERE)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "template", ["{", "}", "{}", "{{value}}", "{Value}", "{a-b}", "{a b}", "{value", "{1a}", "{a}}"]
)
def test_a_brace_without_a_field_name_is_refused(template: str) -> None:
    """A template that could mean something else is not composed at all."""
    with pytest.raises(UsageError, match="brace without a field name"):
        holes(template)
    with pytest.raises(UsageError, match="brace without a field name"):
        compose(template, Bundle({"value": "x", "a": "y"}), {})


@given(st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), max_size=5))
def test_holes_are_named_in_their_order(fields: list[str]) -> None:
    """With repetitions, and whatever stands between."""
    assert holes("/".join(f"{{{field}}}" for field in fields)) == tuple(fields)
