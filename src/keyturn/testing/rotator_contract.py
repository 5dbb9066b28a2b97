"""What every rotator of the shape OUTSIDE must do, be it with two slots or a single one, whatever its target is.

A case is a function that takes a fresh `Bench` and raises `Broken` when the rotator does not keep
the contract; its docstring is the sentence it proves. `CASES` lists them for test runners.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from keyturn.core.errors import AdapterError, Conflict, FenceLost, NotFound, OutcomeUnknown, Unavailable
from keyturn.core.rotator import Answer, Overlap, Provisions, Rotator, Shape
from keyturn.core.secret import Bundle


class Broken(AssertionError):
    """The rotator does not keep the contract."""


class Bench(Protocol):
    """A rotator over a target of its own, freshly provisioned, and what a test may do to that target."""

    rotator: Rotator

    def session(self, bundle: Bundle) -> AbstractContextManager[Callable[[], None]]:
        """Log in as a consumer does, for the `with` block; the function uses the session or raises.

        When the block ends the target has noticed that the session is gone.
        """

    def unreachable(self) -> AbstractContextManager[None]:
        """Nothing of the target answers meanwhile."""

    def unusable(self, slot: str) -> AbstractContextManager[None]:
        """The slot's credential is right and yet gives no session meanwhile."""

    def reply_lost(self) -> AbstractContextManager[None]:
        """The next effect happens, and its reply does not arrive."""

    def transcript(self) -> str:
        """All that the target wrote down or shows of requests: logs, views."""


Case = Callable[[Bench], None]


def declares_what_it_is(bench: Bench) -> None:
    """A rotator says its kind, its shape, and two different slots where credentials overlap, else one."""
    rotator = bench.rotator
    _expect(bool(rotator.kind), "a kind")
    _expect(rotator.shape is Shape.OUTSIDE, "shape")
    _expect(rotator.overlap in {Overlap.TWO_CREDENTIALS, Overlap.NONE}, "overlap")
    slots = 1 if rotator.overlap is Overlap.NONE else 2
    _expect(len(set(rotator.slots)) == len(rotator.slots) == slots, "slots as the overlap says")


def starts_disabled(bench: Bench) -> None:
    """A provisioned slot is there, disabled, without sessions and without a fence."""
    for slot in bench.rotator.slots:
        look = bench.rotator.look(slot)
        _expect(look.exists and not look.enabled, f"{slot} there and disabled")
        _expect((look.slot, look.sessions, look.fence) == (slot, 0, None), f"{slot} unused")
        _answers(bench, bench.rotator.generate(slot), Answer.REFUSED)


def generates_what_it_recognises(bench: Bench) -> None:
    """Each candidate is new, belongs to its slot, and changes nothing outside."""
    for slot in bench.rotator.slots:
        one, two = bench.rotator.generate(slot), bench.rotator.generate(slot)
        _expect(bench.rotator.slot_of(one) == slot == bench.rotator.slot_of(two), "slot of a candidate")
        _expect(one != two, "two candidates differ")
        _expect(bench.rotator.look(slot).fence is None, "generate leaves the slot alone")


def knows_no_other_slot(bench: Bench) -> None:
    """A bundle or slot of somebody else is refused before anything is sent."""
    stranger = Bundle({"username": "stranger", "password": "x" * 40})
    rotator = bench.rotator
    _raises(Conflict, lambda: rotator.slot_of(stranger))
    _raises(Conflict, lambda: rotator.apply(stranger, 1))
    _raises(Conflict, lambda: rotator.accepts(stranger))
    _raises(NotFound, lambda: rotator.look("stranger"))
    _raises(NotFound, lambda: rotator.sample("stranger"))
    _raises(NotFound, lambda: rotator.generate("stranger"))
    _raises(NotFound, lambda: rotator.disable("stranger", 1))


def applies(bench: Bench) -> None:
    """After `apply` the bundle is accepted and the slot shows enabled with that fence."""
    slot, bundle = _applied(bench, 0, 5)
    look = bench.rotator.look(slot)
    _expect(look.enabled and look.fence == 5, "enabled, fence 5")  # noqa: PLR2004  # the fence just given
    _answers(bench, bundle, Answer.ACCEPTED)


def replaces(bench: Bench) -> None:
    """A second `apply` on one slot makes the first password refused."""
    slot, first = _applied(bench, 0, 5)
    second = bench.rotator.generate(slot)
    bench.rotator.apply(second, 6)
    _answers(bench, second, Answer.ACCEPTED)
    _answers(bench, first, Answer.REFUSED)


def keeps_slots_apart(bench: Bench) -> None:
    """What happens to one slot leaves the other as it was, where there is another."""
    if len(bench.rotator.slots) == 1:
        return
    _, one = _applied(bench, 0, 5)
    slot_two, two = _applied(bench, 1, 6)
    _answers(bench, one, Answer.ACCEPTED)
    bench.rotator.disable(slot_two, 7)
    _answers(bench, one, Answer.ACCEPTED)
    _answers(bench, two, Answer.REFUSED)
    _expect(bench.rotator.look(bench.rotator.slots[0]).fence == 5, "fences are per slot")  # noqa: PLR2004  # given above


def disables(bench: Bench) -> None:
    """After `disable` the right password is refused, and a later `apply` lets a new one in."""
    slot, bundle = _applied(bench, 0, 5)
    bench.rotator.disable(slot, 6)
    look = bench.rotator.look(slot)
    _expect(not look.enabled and look.fence == 6, "disabled, fence 6")  # noqa: PLR2004  # the fence just given
    _answers(bench, bundle, Answer.REFUSED)
    again = bench.rotator.generate(slot)
    bench.rotator.apply(again, 7)
    _answers(bench, again, Answer.ACCEPTED)
    _answers(bench, bundle, Answer.REFUSED)


def refuses_only_the_wrong(bench: Bench) -> None:
    """A wrong password is refused and does no harm to the right one."""
    slot, bundle = _applied(bench, 0, 5)
    _answers(bench, bench.rotator.generate(slot), Answer.REFUSED)
    _answers(bench, bundle, Answer.ACCEPTED)


def does_the_same_effect_once(bench: Bench) -> None:
    """The same fence again changes nothing, be it with another candidate."""
    slot, bundle = _applied(bench, 0, 5)
    bench.rotator.apply(bundle, 5)
    other = bench.rotator.generate(slot)
    bench.rotator.apply(other, 5)
    _answers(bench, bundle, Answer.ACCEPTED)
    _answers(bench, other, Answer.REFUSED)
    bench.rotator.disable(slot, 6)
    bench.rotator.disable(slot, 6)
    _answers(bench, bundle, Answer.REFUSED)


def refuses_a_late_apply(bench: Bench) -> None:
    """An `apply` that arrives after a later `disable` is turned away, and the slot stays dead."""
    slot, bundle = _applied(bench, 0, 5)
    bench.rotator.disable(slot, 6)
    _raises(FenceLost, lambda: bench.rotator.apply(bundle, 5))
    _answers(bench, bundle, Answer.REFUSED)
    _expect(bench.rotator.look(slot).fence == 6, "the later fence stays")  # noqa: PLR2004  # given above


def refuses_a_late_disable(bench: Bench) -> None:
    """A `disable` that arrives after a later `apply` is turned away, and the slot stays alive."""
    slot, bundle = _applied(bench, 0, 6)
    _raises(FenceLost, lambda: bench.rotator.disable(slot, 5))
    _answers(bench, bundle, Answer.ACCEPTED)


def refuses_a_late_replacement(bench: Bench) -> None:
    """An `apply` that arrives after a later `apply` is turned away, and the later credential stays."""
    slot, later = _applied(bench, 0, 6)
    late = bench.rotator.generate(slot)
    _raises(FenceLost, lambda: bench.rotator.apply(late, 5))
    _answers(bench, later, Answer.ACCEPTED)
    _answers(bench, late, Answer.REFUSED)


def says_when_it_cannot_know(bench: Bench) -> None:
    """A lost reply is `OutcomeUnknown`, and the same effect again settles it."""
    slot = bench.rotator.slots[0]
    bundle = bench.rotator.generate(slot)
    with bench.reply_lost():
        _raises(OutcomeUnknown, lambda: bench.rotator.apply(bundle, 5))
    _answers(bench, bundle, Answer.ACCEPTED)
    bench.rotator.apply(bundle, 5)
    with bench.reply_lost():
        _raises(OutcomeUnknown, lambda: bench.rotator.disable(slot, 6))
    bench.rotator.disable(slot, 6)
    _answers(bench, bundle, Answer.REFUSED)


def calls_silence_unreachable(bench: Bench) -> None:
    """A target that does not answer is unreachable, never a refusal, and works again afterwards."""
    slot, bundle = _applied(bench, 0, 5)
    rotator = bench.rotator
    rotator.sample(slot)
    with bench.unreachable():
        _answers(bench, bundle, Answer.UNREACHABLE)
        _raises(Unavailable, lambda: rotator.look(slot))
        _raises(Unavailable, lambda: rotator.sample(slot))
        _raises(Unavailable, lambda: rotator.apply(bundle, 6))
        _raises(Unavailable, lambda: rotator.disable(slot, 6))
    _answers(bench, bundle, Answer.ACCEPTED)
    _expect(rotator.look(slot).fence == 5, "nothing was changed meanwhile")  # noqa: PLR2004  # given above
    _expect(rotator.sample(slot).sessions == (), "sampling goes on")


def calls_no_session_unusable(bench: Bench) -> None:
    """A right password that gives no session is unusable, never a refusal."""
    slot, bundle = _applied(bench, 0, 5)
    with bench.unusable(slot):
        _answers(bench, bundle, Answer.UNUSABLE)
    _answers(bench, bundle, Answer.ACCEPTED)


def shows_sessions(bench: Bench) -> None:
    """`look` and `sample` show who uses a slot, name the servers asked, and leave out our own probes."""
    slot, bundle = _applied(bench, 0, 5)
    _answers(bench, bundle, Answer.ACCEPTED)
    _expect(bench.rotator.sample(slot).sessions == (), "our own probe is no use")
    with bench.session(bundle), bench.session(bundle):
        sample = bench.rotator.sample(slot)
        _expect(len(sample.sessions) == len({seen.pid for seen in sample.sessions}) == 2, "both are seen")  # noqa: PLR2004  # opened above
        _expect(bool(sample.nodes), "the servers asked are named")
        _expect(bench.rotator.look(slot).sessions == 2, "look counts both")  # noqa: PLR2004  # opened above
        for other in bench.rotator.slots[1:]:
            _expect(bench.rotator.sample(other).sessions == (), "the other slot has none")
    _expect(bench.rotator.sample(slot).sessions == (), "gone when they are gone")
    _expect(bench.rotator.look(slot).sessions == 0, "look agrees")


def ends_no_session(bench: Bench) -> None:
    """Neither `disable` nor a new password ends a session that is open."""
    slot, bundle = _applied(bench, 0, 5)
    with bench.session(bundle) as use:
        bench.rotator.apply(bench.rotator.generate(slot), 6)
        use()
        bench.rotator.disable(slot, 7)
        use()
        bench.rotator.apply(bench.rotator.generate(slot), 8)
        use()
        _expect(len(bench.rotator.sample(slot).sessions) == 1, "still seen")


def writes_no_password_down(bench: Bench) -> None:
    """No password stands in anything that the target logs or shows, also of requests that failed."""
    slot, bundle = _applied(bench, 0, 6)
    _raises(FenceLost, lambda: bench.rotator.apply(bundle, 5))
    with bench.session(bundle):
        bench.rotator.disable(slot, 7)
        _answers(bench, bundle, Answer.REFUSED)
        transcript = bench.transcript()
    _expect(bool(transcript), "the target writes something down at all")
    _expect(transcript.count(bundle["password"].reveal()) == 0, "the password is nowhere")


def provisions_once(bench: Bench) -> None:
    """`provision` on a target in use changes nothing."""
    if not isinstance(bench.rotator, Provisions):
        return
    slot, bundle = _applied(bench, 0, 5)
    before = bench.rotator.look(slot)
    bench.rotator.provision()
    _expect(bench.rotator.look(slot) == before, "the slot is as it was")
    _answers(bench, bundle, Answer.ACCEPTED)


CASES: tuple[Case, ...] = (
    declares_what_it_is,
    starts_disabled,
    generates_what_it_recognises,
    knows_no_other_slot,
    applies,
    replaces,
    keeps_slots_apart,
    disables,
    refuses_only_the_wrong,
    does_the_same_effect_once,
    refuses_a_late_apply,
    refuses_a_late_disable,
    refuses_a_late_replacement,
    says_when_it_cannot_know,
    calls_silence_unreachable,
    calls_no_session_unusable,
    shows_sessions,
    ends_no_session,
    writes_no_password_down,
    provisions_once,
)


def _expect(kept: bool, what: str) -> None:  # noqa: FBT001  # the condition, as in `assert`
    if not kept:
        raise Broken(what)


def _answers(bench: Bench, bundle: Bundle, expected: Answer) -> None:
    probe = bench.rotator.accepts(bundle)
    _expect(probe.answer is expected, f"{expected}, not {probe.answer} ({probe.detail})")


def _raises(kind: type[AdapterError], call: Callable[[], object]) -> None:
    try:
        call()
    except kind:
        return
    except AdapterError as error:
        raise Broken(f"{kind.__name__}, not {type(error).__name__}: {error.message}") from None
    raise Broken(f"{kind.__name__}, but nothing was raised")


def _applied(bench: Bench, number: int, fence: int) -> tuple[str, Bundle]:
    slot = bench.rotator.slots[number]
    bundle = bench.rotator.generate(slot)
    bench.rotator.apply(bundle, fence)
    return slot, bundle
