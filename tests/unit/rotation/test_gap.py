"""What a look after a loss of the journal's newest records accepts."""

import pytest

from keyturn.core.rotator import SlotLook
from keyturn.rotation.gap import Found, explained
from tests.unit.rotation.play import Play


def _found(*usable: str) -> Found:
    """Both slots can log in, the new version is published; these attempts can be read from the store."""
    slots = tuple(SlotLook(slot, exists=True, enabled=True, sessions=0, fence=1) for slot in ("a", "b"))
    return Found("n", ("n",), frozenset(usable), slots)


@pytest.mark.parametrize(("usable", "accepted"), [(("o", "n"), True), (("n",), False)])
def test_a_retire_that_nobody_remembers_is_named(usable: tuple[str, ...], accepted: bool) -> None:  # noqa: FBT001 - a table
    """Where the store no longer gives the old version and its retire is forgotten, its death could never be shown."""
    play = Play().to("disable:old")
    assert explained(play.secret, _found(*usable)) is accepted
