"""Which replica is moved next."""

from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.rolling import Replica, Turn, following


def replica(name: str, *, ready: bool = True, start: int = 1) -> Replica:
    """One of them."""
    return Replica(f"{name}@{start}", name, name, ready, "up" if ready else "starting", str(start))


def test_they_are_moved_in_the_order_of_their_names() -> None:
    """The first that is owed is next; nobody is when none is owed."""
    two = (replica("b"), replica("a"))
    assert following(two, {"a@1", "b@1"}, 2) == (Turn.MOVE, two[1])
    assert following(two, {"b@1"}, 2) == (Turn.MOVE, two[0])
    assert following(two, set(), 2) == (Turn.DONE, None)


def test_one_that_is_down_comes_first() -> None:
    """A replica that takes no requests anyway is moved before those that do."""
    down = replica("c", ready=False)
    assert following((replica("a"), down), {"a@1", "c@1"}, 2) == (Turn.MOVE, down)


def test_fewer_than_expected_are_left_as_they_are() -> None:
    """With one missing none is moved; where nobody knows how many there are, they are."""
    assert following((replica("a"),), {"a@1"}, 2)[0] is Turn.SHORT
    assert following((replica("a"),), {"a@1"}, None)[0] is Turn.MOVE


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.booleans()), unique_by=lambda one: one[0]))
def test_none_is_moved_while_one_that_was_moved_is_away(drawn: list[tuple[str, bool, bool]]) -> None:
    """Whatever the mix: it is waited for whoever was moved and is not ready, and only who is owed is moved."""
    replicas = [replica(name, ready=ready) for name, ready, _ in drawn]
    owed = {f"{name}@1" for name, _, owes in drawn if owes}
    turn, one = following(replicas, owed, len(replicas))
    away = {each.id for each in replicas if each.id not in owed and not each.ready}
    assert (turn is Turn.WAIT) == bool(away)
    assert one is None or one.id in (away or owed)
