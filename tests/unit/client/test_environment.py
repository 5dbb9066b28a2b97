"""Which value becomes which variable, and what is refused before anybody is started."""

import pytest

from keyturn.client.environment import MAX_BYTES, variables
from keyturn.client.view import View
from keyturn.core.errors import AdapterError, InvalidName, NotFound, TooLarge, Unsupported
from keyturn.core.secret import Bundle, SecretValue


def view(secret: str, fields: dict[str, str], **published: str) -> View:
    """A version; `database_url=` is the published name `database-url`."""
    named = {name.replace("_", "-"): SecretValue(text) for name, text in published.items()}
    return View(secret, "v1", Bundle(fields), named)


DATABASE = view("database", {"username": "u", "password": "p"}, database_url="postgresql://u:p@h/d")
KEY = view("api-key", {"value": "k"})
VIEWS = {"database": DATABASE, "api-key": KEY}


def test_published_names_and_single_values_are_variables() -> None:
    """In capitals, hyphens as underscores; what was called otherwise is called so."""
    assert variables(VIEWS, {}) == {"DATABASE_URL": SecretValue("postgresql://u:p@h/d"), "API_KEY": SecretValue("k")}
    assert variables(VIEWS, {"database-url": "DSN"}).keys() == {"DSN", "API_KEY"}


def test_a_single_value_that_is_published_goes_by_its_published_name_alone() -> None:
    """A program is given no more names than were published."""
    assert variables({"api-key": view("api-key", {"value": "k"}, maps="k")}, {}).keys() == {"MAPS"}


def test_only_what_is_named_is_handed_over() -> None:
    """Other names need not be usable then."""
    assert variables(VIEWS, {}, ["api-key"]).keys() == {"API_KEY"}
    assert variables({**VIEWS, "x": view("x", {"a": "1", "b": "2"})}, {}, ["api-key"]).keys() == {"API_KEY"}


@pytest.mark.parametrize(
    ("named", "only"), [({}, ["database"]), ({}, ["password"]), ({"redis-url": "REDIS"}, []), ({}, ["api-key", "x"])]
)
def test_a_name_that_was_not_delivered_is_missing(named: dict[str, str], only: list[str]) -> None:
    """Whether the call or the configuration asks for it."""
    with pytest.raises(NotFound):
        variables(VIEWS, named, only)


def test_a_secret_without_a_published_name_is_missing() -> None:
    """Several fields and no published name: which of them would it be."""
    with pytest.raises(NotFound, match="redis publishes no name"):
        variables({**VIEWS, "redis": view("redis", {"username": "u", "password": "p"})}, {})


def test_two_names_of_one_variable_are_refused() -> None:
    """Also when one of them only got that name."""
    with pytest.raises(InvalidName, match="API_KEY"):
        variables(VIEWS, {"database-url": "API_KEY"})


@pytest.mark.parametrize(
    ("text", "error"),
    [("hunter2\0", Unsupported), ("x" * (MAX_BYTES - 6), TooLarge), ("ü" * (MAX_BYTES // 2), TooLarge)],
)
def test_a_value_that_no_variable_can_carry_is_refused_without_being_shown(
    text: str, error: type[AdapterError]
) -> None:
    """NUL, or longer than the kernel takes; the variable is named, the value is not."""
    with pytest.raises(error, match="TOKEN") as refused:
        variables({"t": view("t", {"value": "v"}, token=text)}, {})
    assert text[:7] not in f"{refused.value.message} {refused.value.remedy}"


def test_the_longest_value_that_fits_is_taken() -> None:
    """One byte less than what is refused."""
    assert variables({"t": view("t", {"value": "v"}, token="x" * (MAX_BYTES - 7))}, {}).keys() == {"TOKEN"}
