"""A value back into the fields it was made of."""

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.compose import compose
from keyturn.core.errors import UsageError
from keyturn.core.secret import Bundle, SecretValue
from keyturn.importing.parting import is_url_with_password, part
from tests.values import reads

CANARY = "canary-71c0"
POSTGRES = "postgresql://{username}:{password}@{host}:{port}/{dbname}?sslmode=verify-full"
TEMPLATES = (
    POSTGRES,
    "rediss://{username}:{password}@{host}:{port}/{db}",
    "postgresql://{username}:{password}@{hosts}/{dbname}",
    "redis://:{password}@{host}:{port}/{db}",
    "https://{username}:{password}@{host}/api?realm={realm}",
)
HOSTS = st.sampled_from(("db.internal", "10.0.0.7", "[::1]", "[2001:db8::7]"))
TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)


def _same(parts: Mapping[str, SecretValue], expected: Mapping[str, str]) -> bool:
    """Whether these are the parts; a failed assert would print them."""
    return parts.keys() == expected.keys() and all(reads(parts[name], text) for name, text in expected.items())


PLACES = st.fixed_dictionaries(
    {
        "host": HOSTS,
        "port": st.integers(1, 65535).map(str),
        "dbname": st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
        "db": st.integers(0, 15).map(str),
        "realm": st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
    }
)


@given(st.sampled_from(TEMPLATES), TEXTS, TEXTS, PLACES)
def test_what_was_composed_comes_apart_again(
    template: str, username: str, password: str, places: dict[str, str]
) -> None:
    """Whatever the fields hold: the parts are what the URL was made of, and nobody doubts them."""
    fields = {"username": username, "password": password}
    places = {**places, "hosts": f"{places['host']}:{places['port']},other:{places['port']}"}
    parted = part(template, compose(template, Bundle(fields), places))
    named = re.findall(r"\{(\w+)\}", template)
    assert _same(parted.parts, {part: text for part, text in {**fields, **places}.items() if part in named})
    assert parted.doubts == ()


@given(TEXTS)
def test_one_field_is_taken_as_it_is(text: str) -> None:
    """Percent-signs and all."""
    assert _same(part("{password}", SecretValue(text)).parts, {"password": text})


WRITTEN = {
    "postgres://clo_a:p%40ss@db:5433/clo?sslmode=verify-full": ("clo_a", "p@ss", "db", "5433", "clo"),
    "postgresql+asyncpg://clo_a:p@ss@db/clo?sslmode=verify-full": ("clo_a", "p@ss", "db", "5432", "clo"),
    "postgresql://clo_a:a:b@[::1]:5432/clo?sslmode=verify-full": ("clo_a", "a:b", "[::1]", "5432", "clo"),
    "PostgreSQL://clo_a:%E4%BD%A0@db/clo?sslmode=verify-full": ("clo_a", "你", "db", "5432", "clo"),
    "postgresql://clo_a:pw@db?sslmode=verify-full": ("clo_a", "pw", "db", "5432", None),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_urls_as_people_write_them(text: str) -> None:
    """Another name of the scheme, a driver, no port, an @ in the password, IPv6, no database."""
    parted = part(POSTGRES, SecretValue(text))
    names = ("username", "password", "host", "port", "dbname")
    assert _same(parted.parts, {name: one for name, one in zip(names, WRITTEN[text], strict=True) if one is not None})
    assert parted.doubts == ()


def test_what_differs_from_the_template_is_doubted() -> None:
    """The scheme, and what the query says; each by its name and never by what it is."""
    parted = part(POSTGRES, SecretValue(f"mysql://u:p@db/clo?sslmode={CANARY}&x=1"))
    assert parted.doubts == (
        "its scheme is another one than the template's",
        "its query differs from the template's in sslmode, x",
    )


REFUSED = {
    f"{CANARY}": "no URL",
    f"postgresql://db:5432/{CANARY}": "no user and password",
    f"postgresql://u:{CANARY}/x@db/clo": "no user and password",
    f"postgresql://u:{CANARY}%zz@db/clo": "% that begins no code",
    f"postgresql://u:{CANARY}%ff@db/clo": "not UTF-8",
    f"postgresql://u:{CANARY}@db1:1,db2:2/clo": "several hosts",
    f"postgresql://u:p@db/clo#{CANARY}": "no URL",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_taken_apart_is_refused_without_its_value(text: str) -> None:
    """The reason is said; neither it nor what led to it holds the text."""
    with pytest.raises(UsageError, match=REFUSED[text]) as caught:
        part(POSTGRES, SecretValue(text))
    met: BaseException | None = caught.value
    while met is not None:
        assert CANARY not in f"{met} {met.args} {vars(met)}"
        met = met.__context__


@pytest.mark.parametrize(
    ("template", "text"),
    [("{username}{password}", "ab"), ("{username}-{password}", "a-b-c"), ("x{password}", "ab"), ("{a}/{a}", "1/2")],
)
def test_what_could_be_taken_apart_in_two_ways_is_refused(template: str, text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(UsageError):
        part(template, SecretValue(text))


def test_a_text_with_one_way_is_taken_apart() -> None:
    """A log-in as some programs write it."""
    assert _same(part("{username}:{password}", SecretValue("a:b")).parts, {"username": "a", "password": "b"})


@pytest.mark.parametrize(
    ("template", "text"),
    [("postgresql://{username}:{password}@db:5432/clo", "postgresql://u:p@other:5432/clo"),
     ("postgresql://{username}:{password}@db:5432/clo", "postgresql://u:p@db:5432/other")],
)  # fmt: skip
def test_a_template_with_fixed_places_is_no_other_place(template: str, text: str) -> None:
    """A host or a database that is written out must be that one."""
    with pytest.raises(UsageError, match="another place"):
        part(template, SecretValue(text))


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("chain", ["", CERTIFICATE, CERTIFICATE * 2])
def test_a_certificate_and_its_chain_come_apart(chain: str) -> None:
    """The first one is the certificate, all others are the chain; together they are what was there."""
    parts = part("{certificate}{chain}", SecretValue(CERTIFICATE + chain)).parts
    assert _same(parts, {"certificate": CERTIFICATE, "chain": chain})
    with pytest.raises(UsageError, match="begin with a certificate"):
        part("{certificate}{chain}", SecretValue("x"))


def test_a_template_that_is_no_url_we_know_is_not_used() -> None:
    """Rather none than a wrong one."""
    with pytest.raises(UsageError, match="the template"):
        part("x y://{username}:{password}@{host}", SecretValue("a://b:c@d"))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("amqp://u:p@h", True),
        ("amqp://:p@h", True),
        ("https://h/a:b@c", False),
        ("https://u@h", False),
        ("u:p@h", False),
    ],
)
def test_a_url_with_a_password_is_known(text: str, *, holds: bool) -> None:
    """Before the @ and behind a colon."""
    assert is_url_with_password(SecretValue(text)) is holds


def test_a_part_of_a_query_without_a_name_is_never_told() -> None:
    """It may be the secret of the URL; and a template that has a field there gets it."""
    text = SecretValue("https://hooks.example.com/x?T0KENvalue&v=2")
    assert part("https://hooks.example.com/{value}?v=2", text).doubts == (
        "its query differs from the template's in what has no name",
    )
    parted = part("https://hooks.example.com/x?{token}&v=2", text)
    assert (parted.parts, parted.doubts) == ({"token": SecretValue("T0KENvalue")}, ())
