"""The table of kinds: every line leads somewhere."""

from importlib import import_module
from types import ModuleType

import pytest

from keyturn.core.kinds import KINDS, Kind, find
from keyturn.core.secret import NAME

BUILT = [kind for kind in KINDS if kind.adapter]
LINES = [pytest.param(kind, id=f"{kind.room}-{kind.name}") for kind in KINDS]


def module(kind: Kind) -> ModuleType:
    """The module that reads the kind's table."""
    return import_module(f"keyturn.manifest.kinds.{kind.options}")


@pytest.mark.parametrize("kind", LINES)
def test_every_kind_is_found_by_room_and_name(kind: Kind) -> None:
    """Each name stands once in its room, is a name, and has options of its own."""
    assert find(kind.room, kind.name) is kind
    assert [other for other in KINDS if (other.room, other.name) == (kind.room, kind.name)] == [kind]
    assert NAME.match(kind.name)
    assert module(kind).__doc__


def test_no_two_kinds_share_options() -> None:
    """One file of options belongs to one kind."""
    assert len({kind.options for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", [pytest.param(kind, id=f"{kind.room}-{kind.name}") for kind in BUILT])
def test_every_adapter_can_be_made(kind: Kind) -> None:
    """`module:function` names a function that is there, in the room of its kind."""
    place, _, name = (kind.adapter or "").partition(":")
    assert place.startswith(f"keyturn.{kind.room}.")
    assert callable(getattr(import_module(place), name))


@pytest.mark.parametrize("place", sorted({place for kind in KINDS for place in (kind.mint, kind.complete) if place}))
def test_first_versions_are_made_in_the_room_of_their_kind(place: str) -> None:
    """`module:function`, as for adapters."""
    path, _, name = place.partition(":")
    assert path.startswith("keyturn.rotators.")
    assert callable(getattr(import_module(path), name))


def test_a_name_belongs_to_its_room() -> None:
    """The same word may be a store and a consumer; a word that is nowhere is None."""
    stored, consumed = find("stores", "files"), find("consumers", "files")
    assert stored is not None
    assert consumed is not None
    assert stored is not consumed
    assert find("rotators", "files") is None
    assert find("stores", "no-such-kind") is None
