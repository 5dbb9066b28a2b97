"""One content is cut off, and then another one is brought, which may be cut off itself."""

from itertools import count
from pathlib import Path

import pytest

from keyturn.core.errors import Unavailable
from keyturn.core.version import VersionState
from tests.unit.rotation.test_bringing import Killed, World


def _ended(world: World) -> bool:
    """Whether the second one came to its end."""
    try:
        world.bring(world.brought("smtp", "second"))
    except Killed:
        return False
    return True


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_ended_at_any_step_nothing_of_the_former_one_is_left(tmp_path: Path, *, after: bool) -> None:
    """Whenever the second is current, no candidate is in escrow, and none waits in the store."""
    for at in count(1):
        world = World(tmp_path / str(at))
        world.stores["smtp"].fail("promote", Unavailable("away"))
        world.bring(world.brought("smtp", "first"))
        world.life.ends(at, after=after)
        whole = _ended(world)
        world.life.ends(0, after=False)
        assert world.bring(world.brought("smtp", "second")).error is None
        states = [one.state for one in world.stores["smtp"].versions("smtp")]
        assert (states.count(VersionState.CURRENT), states.count(VersionState.PENDING)) == (1, 0)
        assert world.escrow.held == []
        world.real.close()
        if whole:
            break
    assert at > 10
