"""Names and attempts, checked on our side, for no emulator does."""

import pytest

from keyturn.core.errors import InvalidName
from keyturn.stores.azure_key_vault.names import (
    MAX_ATTEMPT,
    MAX_NAME,
    check_attempt,
    check_name,
    is_sibling,
    owner,
    same,
    sibling,
)


@pytest.mark.parametrize("name", ["a", "A", "0", "-", "db-Main-1", "a--b", "x" * MAX_NAME])
def test_what_key_vault_takes_is_a_name(name: str) -> None:
    """Letters of both cases, digits and hyphens, in any order, foreign names among them."""
    assert check_name(name) == name
    assert len(sibling(name)) <= 127


@pytest.mark.parametrize("name", ["", "a_b", "a.b", "a/b", "a b", "ä", "a\n", "x" * (MAX_NAME + 1)])
def test_what_key_vault_does_not_take_is_refused_here(name: str) -> None:
    """Nothing else, and no name that leaves no room for its sibling."""
    with pytest.raises(InvalidName):
        check_name(name)


@pytest.mark.parametrize("name", ["db--kt-pending", "DB--KT-Pending", "--kt-pending"])
def test_a_sibling_is_no_name(name: str) -> None:
    """A name that ends as siblings do is refused in every case: it would be taken for somebody's pending versions."""
    assert is_sibling(name)
    with pytest.raises(InvalidName):
        check_name(name)


def test_a_sibling_belongs_to_its_name() -> None:
    """The owner of a sibling is the name it was made from, in whatever case it comes back."""
    assert owner(sibling("db-")) == "db-"
    assert owner("DB--KT-PENDING") == "DB"
    assert owner("db") == "db"
    assert same("DB", "db")
    assert not same("db", "db-")


@pytest.mark.parametrize("attempt", ["", "a b", "ä", "a\n", "x" * (MAX_ATTEMPT + 1), "azure:0123"])
def test_an_attempt_has_to_fit_a_tag_and_a_version_id(attempt: str) -> None:
    """An attempt that a tag or a delivered bundle could not carry, or that looks like a foreign version, is refused."""
    with pytest.raises(InvalidName):
        check_attempt(attempt)


@pytest.mark.parametrize("attempt", ["a", "0199d5a2-7f11-7cc4-b5d6-6c3d0c1e2f3a", "x" * MAX_ATTEMPT, "~!:/"])
def test_visible_ascii_is_an_attempt(attempt: str) -> None:
    """Any other visible ASCII text is taken."""
    assert check_attempt(attempt) == attempt
