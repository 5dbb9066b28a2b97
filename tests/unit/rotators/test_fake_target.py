"""The fake target keeps the contract of a real one, and its switches do what they say."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from keyturn.core.errors import Conflict, FenceLost, NotFound, OutcomeUnknown, Unavailable
from keyturn.core.rotator import Answer, Probe, Provisions, Rotator
from keyturn.core.secret import Bundle
from keyturn.testing.fake_target import FakeRotator, FakeTarget, Refusal
from keyturn.testing.rotator_contract import CASES, Bench, Broken, Case


class FakeBench:
    """A bench over a target in memory."""

    def __init__(self, slots: tuple[str, ...] = ("a", "b")) -> None:
        self.target = FakeTarget(slots)
        self.rotator: Rotator = FakeRotator(self.target)

    @contextmanager
    def session(self, bundle: Bundle) -> Iterator[Callable[[], None]]:
        """A session, used by finding it at the target."""
        with self.target.session(bundle) as session:

            def use() -> None:
                assert any(session in self.target.sessions(slot) for slot in self.target.slots)

            yield use

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Nothing answers."""
        self.target.reachable = False
        yield
        self.target.reachable = True

    @contextmanager
    def unusable(self, slot: str) -> Iterator[None]:
        """No session for the slot."""
        self.target.unusable.add(slot)
        yield
        self.target.unusable.discard(slot)

    @contextmanager
    def reply_lost(self) -> Iterator[None]:
        """The next reply is lost."""
        self.target.lost_replies = 1
        yield

    def transcript(self) -> str:
        """All that the target shows of itself."""
        return repr(self.target) + repr(vars(self.target))


@pytest.mark.parametrize("slots", [("a", "b"), ("a",)], ids=["two", "single"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_contract(case: Case, slots: tuple[str, ...]) -> None:
    """The fake rotator keeps every case of the rotator contract, with two slots and with one."""
    case(FakeBench(slots))


class Forgetful(FakeRotator):
    """A rotator that takes every fence for the newest."""

    def disable(self, slot: str, fence: int) -> None:
        """Disable, however late."""
        super().disable(slot, fence + 100)


class Hasty(FakeRotator):
    """A rotator that takes silence for a refusal."""

    def accepts(self, bundle: Bundle) -> Probe:
        """Refused, whatever the reason."""
        probe = super().accepts(bundle)
        return probe if probe.answer is Answer.ACCEPTED else Probe(Answer.REFUSED)


@pytest.mark.parametrize("broken", [Forgetful, Hasty])
def test_contract_finds_what_is_broken(broken: type[FakeRotator]) -> None:
    """The contract suite turns red for a rotator without fences, and for one that mistakes silence for refusal."""

    def kept(case: Case) -> bool:
        bench = FakeBench()
        bench.rotator = broken(bench.target)
        try:
            case(bench)
        except Broken:
            return False
        return True

    assert not all(kept(case) for case in CASES)


def test_every_case_is_a_sentence() -> None:
    """Each case says in one sentence what it proves."""
    assert all((case.__doc__ or "").rstrip().endswith(".") for case in CASES)


def test_protocols() -> None:
    """The bench and the rotator are what the suite and the engine take them for."""
    bench: Bench = FakeBench()
    assert isinstance(bench.rotator, Provisions)


def test_held_back_effects_arrive_late() -> None:
    """An effect that was held back happens when it is delivered, unless a later one came first."""
    target = FakeTarget()
    rotator = FakeRotator(target)
    one, two = rotator.generate("a"), rotator.generate("b")
    target.holding_back = True
    with pytest.raises(OutcomeUnknown):
        rotator.apply(one, 1)
    with pytest.raises(OutcomeUnknown):
        rotator.apply(two, 2)
    target.holding_back = False
    rotator.disable("a", 3)
    told = target.deliver_late()
    assert [type(error) for error in told] == [FenceLost, type(None)]
    assert rotator.accepts(one).answer is Answer.REFUSED
    assert rotator.accepts(two).answer is Answer.ACCEPTED
    assert target.deliver_late() == ()


def test_tampering_is_a_conflict() -> None:
    """A change by somebody else is noticed when the effect of the same fence comes again."""
    target = FakeTarget()
    rotator = FakeRotator(target)
    bundle = rotator.generate("a")
    rotator.apply(bundle, 1)
    target.tamper("a", enabled=False)
    with pytest.raises(Conflict):
        rotator.apply(bundle, 1)
    stolen = rotator.generate("a")
    target.tamper("a", enabled=True, password=stolen["password"])
    assert rotator.accepts(bundle).answer is Answer.REFUSED
    assert rotator.accepts(stolen).answer is Answer.ACCEPTED


def test_removed_slot() -> None:
    """A slot that is gone refuses log-ins and effects until it is provisioned again."""
    target = FakeTarget()
    rotator = FakeRotator(target)
    bundle = rotator.generate("a")
    rotator.apply(bundle, 1)
    target.remove("a")
    assert not rotator.look("a").exists
    assert rotator.accepts(bundle).answer is Answer.REFUSED
    with pytest.raises(NotFound):
        rotator.apply(bundle, 2)
    assert rotator.provision() == ("created slot a",)
    assert rotator.look("a").exists
    assert rotator.coordinates()["dbname"] == "fake"


def test_log_ins_are_counted() -> None:
    """The target counts sessions given and refusals, so that a test can say that none failed."""
    target = FakeTarget()
    rotator = FakeRotator(target)
    bundle = rotator.generate("a")
    with pytest.raises(Refusal):
        target.log_in(bundle)
    rotator.apply(bundle, 1)
    session = target.log_in(bundle)
    target.log_out(session)
    target.reachable = False
    with pytest.raises(Unavailable):
        target.log_in(bundle)
    assert (target.log_ins, target.refusals) == (1, 1)
