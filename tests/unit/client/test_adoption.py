"""Moving from one version to another: try, switch, let go; never onto what was not tried."""

from collections.abc import Collection
from dataclasses import dataclass, field
from threading import RLock

from keyturn.client.adoption import FIRST_RETRY, KEPT_DRAINED, LONGEST_RETRY, Adoption, reason
from keyturn.client.view import View
from keyturn.core.consumer import Rejection
from keyturn.core.errors import Denied, Unavailable
from keyturn.core.secret import Bundle


def version(name: str) -> View:
    """A version of that name."""
    return View("database", name, Bundle({"value": name}, "00" * 32))


V1, V2, V3 = version("v1"), version("v2"), version("v3")


@dataclass
class Rental:
    """A holder that refuses and lingers as told, and remembers what it was asked."""

    refuse: Exception | None = None
    lingers: set[str] = field(default_factory=set)
    current: str = "v1"
    inherited: bool = False
    tried: list[str] = field(default_factory=list)

    def try_new(self, view: View) -> None:
        """Refuse if told so."""
        self.tried.append(view.version)
        if self.refuse:
            raise self.refuse

    def switch(self, view: View) -> None:
        """Go over; what was current lingers if told so."""
        self.current = view.version

    def settle(self) -> Collection[str]:
        """What it was told to keep, and the current one."""
        return {self.current, *self.lingers}


class Scene:
    """An adoption at v1, with what reads give."""

    def __init__(self, *holders: Rental) -> None:
        self.accepted: list[str] = []
        self.adoption = Adoption(V1, RLock(), lambda view: self.accepted.append(view.version))
        for holder in holders:
            self.adoption.hold(holder)
        self.adoption.step(0)

    def standing(self) -> tuple[str, str | None, tuple[str, ...], tuple[str, ...]]:
        """Newest, oldest, used, drained."""
        at = self.adoption.standing()
        used, drained = ([view.version for view in views] for views in (at.used, at.drained))
        oldest = at.oldest.version if at.oldest else None
        return at.newest.version, oldest, tuple(used), tuple(drained)


def test_without_holders_a_version_is_accepted_at_once() -> None:
    """Reads give it, and the old one is let go."""
    scene = Scene()
    scene.adoption.deliver(V2)
    assert (scene.accepted, scene.adoption.accepted) == (["v2"], V2)
    assert scene.standing() == ("v2", "v2", ("v2",), ("v1",))


def test_the_same_version_again_is_no_news() -> None:
    """Nothing is accepted twice."""
    scene = Scene()
    scene.adoption.deliver(version("v1"))
    assert scene.accepted == []


def test_a_holder_tries_before_reads_change_and_the_old_counts_until_it_is_let_go() -> None:
    """Loaded, then in use beside the old, then alone."""
    rental = Rental()
    scene = Scene(rental)
    scene.adoption.deliver(V2)
    assert (scene.accepted, rental.current) == ([], "v1")
    assert scene.standing() == ("v2", "v1", ("v1",), ())
    assert scene.adoption.standing().loaded == V2
    rental.lingers = {"v1"}
    assert scene.adoption.step(1)
    assert (scene.accepted, rental.current) == (["v2"], "v2")
    assert scene.standing() == ("v2", "v1", ("v1", "v2"), ())
    assert scene.adoption.restless
    rental.lingers = set()
    assert scene.adoption.step(2)
    assert scene.standing() == ("v2", "v2", ("v2",), ("v1",))
    assert not scene.adoption.restless
    assert not scene.adoption.step(3)


def test_a_refusal_keeps_the_old_and_is_reported() -> None:
    """And it is tried again after a pause that doubles."""
    rental = Rental()
    scene = Scene(rental)
    rental.refuse = Denied("the server turned the log-in down (53300)")
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    assert scene.adoption.standing().rejection == Rejection("v2", "the server turned the log-in down (53300)")
    assert (scene.accepted, rental.current, scene.standing()[1]) == ([], "v1", "v1")
    for now in (0.5, FIRST_RETRY, FIRST_RETRY + 0.5, 3 * FIRST_RETRY, 4 * FIRST_RETRY):
        scene.adoption.step(now)
    assert rental.tried == ["v1", "v2", "v2", "v2"]
    rental.refuse = None
    scene.adoption.step(LONGEST_RETRY)
    assert (scene.accepted, scene.adoption.standing().rejection) == (["v2"], None)


def test_pauses_have_a_longest() -> None:
    """However often it is refused."""
    rental = Rental(refuse=ValueError())
    scene = Scene(rental)
    now = 0.0
    for _ in range(20):
        now += LONGEST_RETRY
        scene.adoption.step(now)
    assert len(rental.tried) == 21


def test_another_version_is_tried_at_once() -> None:
    """A refusal of one version is no reason to wait with the next."""
    rental = Rental()
    scene = Scene(rental)
    rental.refuse = ValueError()
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    rental.refuse = None
    scene.adoption.deliver(V3)
    assert scene.adoption.standing().rejection is None
    scene.adoption.step(0)
    assert (scene.accepted, rental.tried) == (["v3"], ["v1", "v2", "v3"])


def test_going_back_to_the_version_in_use_ends_the_trial() -> None:
    """The rejection is gone, nothing was let go."""
    rental = Rental()
    scene = Scene(rental)
    rental.refuse = ValueError()
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    scene.adoption.deliver(V1)
    assert (scene.adoption.standing().rejection, scene.adoption.restless) == (None, False)
    assert scene.standing() == ("v1", "v1", ("v1",), ())


def test_a_revert_is_a_move_like_any_other() -> None:
    """The version that is left counts as the oldest until it is let go."""
    rental = Rental()
    scene = Scene(rental)
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    scene.adoption.deliver(V1)
    rental.lingers = {"v2"}
    scene.adoption.step(1)
    assert scene.standing() == ("v1", "v2", ("v2", "v1"), ())
    rental.lingers = set()
    scene.adoption.step(2)
    assert scene.standing() == ("v1", "v1", ("v1",), ("v2",))


def test_what_cannot_be_tried_is_no_rejection() -> None:
    """No server: the old stays in use, it is tried again, and nothing is reported."""
    rental = Rental()
    scene = Scene(rental)
    rental.refuse = Unavailable("no answer")
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    assert (scene.adoption.standing().rejection, scene.standing()[1]) == (None, "v1")
    rental.refuse = None
    scene.adoption.step(FIRST_RETRY)
    assert scene.accepted == ["v2"]


def test_one_of_several_holders_can_refuse_for_all() -> None:
    """None of them goes over."""
    first, second = Rental(), Rental()
    scene = Scene(first, second)
    second.refuse = ValueError()
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    assert (first.current, second.current, scene.accepted) == ("v1", "v1", [])


def test_the_slowest_holder_says_when_the_old_is_let_go() -> None:
    """One that is done does not speak for another."""
    first, second = Rental(), Rental(lingers={"v1"})
    scene = Scene(first, second)
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    assert scene.standing()[1] == "v1"
    scene.adoption.release(second)
    scene.adoption.step(1)
    assert scene.standing()[1] == "v2"


def test_the_first_version_is_tried_too() -> None:
    """Until it was, nothing is said to be in use; if it will not do, that is reported."""
    rental = Rental(refuse=ValueError())
    adoption = Adoption(V1, RLock(), lambda _: None)
    assert adoption.hold(rental) is V1
    assert (adoption.standing().oldest, adoption.standing().loaded) == (None, V1)
    adoption.step(0)
    assert adoption.standing().rejection == Rejection("v1", "ValueError")
    rental.refuse = None
    adoption.step(FIRST_RETRY)
    assert (adoption.standing().oldest, adoption.standing().loaded, adoption.standing().rejection) == (V1, None, None)


def test_a_good_version_heals_a_first_one_that_was_refused() -> None:
    """The next delivery is tried by all, and reads go over to it."""
    rental = Rental(refuse=ValueError())
    scene = Scene(rental)
    rental.refuse = None
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    assert (scene.standing()[1], rental.current) == ("v2", "v2")


class Meddler(Rental):
    """A holder during whose trial something else happens, once."""

    def __init__(self, scene: Scene, meanwhile: View | Rental) -> None:
        super().__init__()
        self.scene = scene
        self.meanwhile: View | Rental | None = meanwhile

    def try_new(self, view: View) -> None:
        """Let it happen."""
        super().try_new(view)
        meanwhile, self.meanwhile = self.meanwhile, None
        if isinstance(meanwhile, View):
            self.scene.adoption.deliver(meanwhile)
        elif meanwhile:
            self.scene.adoption.hold(meanwhile)


def test_a_version_that_was_replaced_during_its_trial_is_not_taken() -> None:
    """Neither accepted nor rejected: the newer one is tried."""
    for refuse in (None, ValueError()):
        scene = Scene()
        scene.adoption.hold(rental := Meddler(scene, V3))
        rental.meanwhile, kept = None, rental.meanwhile
        scene.adoption.step(0)
        rental.meanwhile, rental.refuse = kept, None
        scene.adoption.deliver(V2)
        if refuse:
            scene.adoption.hold(Rental(refuse=refuse))
        scene.adoption.step(0)
        assert (scene.accepted, scene.adoption.standing().rejection) == ([], None)
        assert scene.standing()[0] == "v3"


def test_a_holder_that_comes_during_a_trial_is_asked_as_well() -> None:
    """Nothing is switched to what it has not tried."""
    late = Rental()
    scene = Scene()
    scene.adoption.hold(rental := Meddler(scene, late))
    rental.meanwhile, kept = None, rental.meanwhile
    scene.adoption.step(0)
    rental.meanwhile = kept
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    assert scene.accepted == []
    scene.adoption.step(0)
    assert (scene.accepted, late.tried, late.current) == (["v2"], ["v2"], "v2")


class Stumbling(Rental):
    """A holder that does not do what it must."""

    def switch(self, view: View) -> None:
        """Fail, and stay where it is."""
        raise RuntimeError(view.version)


def test_a_holder_that_fails_to_switch_leaves_nobody_behind() -> None:
    """The others switch, and the report says that the old version is in use until it is not."""
    stumbling, other = Stumbling(), Rental()
    scene = Scene(stumbling, other)
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    assert (scene.accepted, other.current) == (["v2"], "v2")
    assert scene.standing() == ("v2", "v1", ("v1", "v2"), ())


class Leaving(Rental):
    """A holder in whose place another one comes during its trial, once."""

    scene: Scene
    successor: Rental | None = None

    def try_new(self, view: View) -> None:
        """Make way."""
        super().try_new(view)
        successor, self.successor = self.successor, None
        if successor:
            self.scene.adoption.release(self)
            self.scene.adoption.hold(successor)


def test_a_holder_that_takes_the_place_of_another_during_a_trial_is_asked_as_well() -> None:
    """As many as were asked are there, and they are others."""
    leaving, late = Leaving(), Rental(refuse=ValueError())
    scene = Scene(leaving)
    leaving.scene, leaving.successor = scene, late
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    scene.adoption.step(0)
    assert (scene.accepted, late.tried, late.current) == ([], ["v2"], "v1")


def test_only_the_last_drained_versions_are_kept() -> None:
    """Their proof keys are not kept for ever."""
    scene = Scene()
    for number in range(2, 9):
        scene.adoption.deliver(version(f"v{number}"))
    assert scene.standing()[3] == tuple(f"v{number}" for number in range(8 - KEPT_DRAINED, 8))


def test_a_closed_process_has_drained_everything() -> None:
    """In use is nothing, drained is all that was delivered or used."""
    rental = Rental()
    scene = Scene(rental)
    rental.refuse = ValueError()
    scene.adoption.deliver(V2)
    at = scene.adoption.closed()
    assert (at.oldest, at.loaded, at.used, at.drained) == (None, None, (), (V1, V2))


def test_a_child_process_holds_nothing_of_its_parent() -> None:
    """It goes over to what is delivered at once, and has used nothing else."""
    rental = Rental(lingers={"v1"})
    scene = Scene(rental)
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    scene.adoption.forked(RLock())
    assert scene.standing() == ("v2", "v2", ("v2",), ())
    rental.refuse = ValueError()
    scene.adoption.hold(rental)
    scene.adoption.deliver(V3)
    scene.adoption.forked(RLock())
    assert (scene.standing(), scene.accepted) == (("v3", "v3", ("v3",), ()), ["v2", "v3"])


def test_what_a_child_inherits_counts_in_it_from_its_first_moment() -> None:
    """A text in memory is in the child's memory: the old version is in use there until it is let go."""
    rental = Rental(lingers={"v1"}, inherited=True)
    scene = Scene(rental, Rental(lingers={"v1"}))
    scene.adoption.deliver(V2)
    scene.adoption.step(0)
    scene.adoption.forked(RLock())
    assert scene.standing() == ("v2", "v1", ("v1", "v2"), ())
    scene.adoption.deliver(V3)
    scene.adoption.forked(RLock())
    assert scene.standing() == ("v3", "v1", ("v1", "v2"), ())
    rental.lingers.clear()
    scene.adoption.step(0)
    assert scene.standing()[:3] == ("v3", "v3", ("v3",))


class Coded(Exception):
    """An error as a database driver makes them."""

    sqlstate = "42501"


def test_a_reason_holds_no_value() -> None:
    """The class and the code of foreign errors, never their words; of ours, the message, made printable."""
    assert reason(ValueError("the password is x")) == "ValueError"
    assert reason(Coded("the password is x")) == "Coded 42501"
    assert reason(Denied("line\nbreak")) == "line?break"
    assert len(reason(Denied("x" * 500))) <= 200
