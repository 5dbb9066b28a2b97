"""The vault that the tests of this folder begin with."""

from pathlib import Path

import pytest

from tests.unit.stores.places import CANARY, Place, make_place, stage


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """`database` with a previous and a current version, `mail` with a pending one; only for copying."""
    place = make_place(tmp_path_factory.mktemp("filled") / "place")
    vault = place.open()
    first = vault.promote("database", stage(vault, "database", "a1", f"{CANARY}-1"), None)
    vault.promote("database", stage(vault, "database", "a2", f"{CANARY}-2"), first)
    stage(vault, "mail", "a3", f"{CANARY}-3")
    return place


@pytest.fixture
def place(filled: Place, tmp_path: Path) -> Place:
    """A copy of that vault for one test."""
    return filled.copy(tmp_path / "place")
