"""The rule of faults passes a store that is right, and finds each one that is broken."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import pytest

from keyturn.core.errors import AdapterError, Denied, OutcomeUnknown, Throttled, Unavailable
from keyturn.core.secret import Bundle
from keyturn.core.version import Version, VersionState
from keyturn.testing.memory_store import DirectMemoryStore, MemoryStore
from keyturn.testing.rules import ContractBroken
from keyturn.testing.store_faults import CASES, DIRECT_CASES, LASTING, NOTHING_DONE, StoreFault, named, withstands

WRITES = frozenset({"stage", "promote", "retire"})
_Result = TypeVar("_Result")
METHODS = ("read", "current", "currents", "versions", "names", *sorted(WRITES))


class Wire:
    """The way to a MemoryStore: each call is one request, which may go wrong."""

    def __init__(self) -> None:
        self.kept = MemoryStore()
        self.fault: StoreFault | None = None
        self.request = self.seen = 0
        self.met = False

    def strikes(self) -> StoreFault | None:
        """The fault of the request that comes now."""
        self.seen += 1
        fault = self.fault
        if fault is None or (self.seen < self.request if fault in LASTING else self.seen != self.request):
            return None
        self.met = self.met or fault is not StoreFault.REFUSED or self.request == 1
        return fault if self.met else None


class RemoteStore:
    """A store at the other end of a wire, as it should be; the broken ones are made of it."""

    kind, cas, max_bytes = "remote", True, MemoryStore.max_bytes

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def read(self, name: str, version: str) -> Bundle:
        """One request."""
        return self.ask("read", lambda: self.wire.kept.read(name, version))

    def current(self, name: str) -> str | None:
        """One request."""
        return self.ask("current", lambda: self.wire.kept.current(name))

    def currents(self) -> Mapping[str, str]:
        """One request."""
        return self.ask("currents", self.wire.kept.currents)

    def versions(self, name: str) -> tuple[Version, ...]:
        """One request."""
        return self.ask("versions", lambda: self.wire.kept.versions(name))

    def names(self) -> tuple[str, ...]:
        """One request."""
        return self.ask("names", self.wire.kept.names)

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        """One request."""
        return self.ask("stage", lambda: self.wire.kept.stage(name, bundle, attempt))

    def promote(self, name: str, attempt: str, expect_current: str | None) -> str:
        """One request."""
        return self.ask("promote", lambda: self.wire.kept.promote(name, attempt, expect_current))

    def retire(self, name: str, version: str) -> bool:
        """One request."""
        return self.ask("retire", lambda: self.wire.kept.retire(name, version))

    def ask(self, method: str, act: Callable[[], _Result]) -> _Result:
        """Do it, unless it goes wrong before; lose the answer, if it goes wrong after."""
        fault = self.wire.strikes()
        if fault is None:
            return act()
        if fault.name.endswith("_AFTER"):
            act()
        raise self.error(method, fault)

    def error(self, method: str, fault: StoreFault) -> Exception:
        """What is to be said of it."""
        kind = NOTHING_DONE.get(fault, OutcomeUnknown if method in {*WRITES, "put"} else Unavailable)
        return Throttled("asks for patience", 1.0) if kind is Throttled else kind("did not work")


class DirectRemoteStore(RemoteStore):
    """The same, and it takes a content whole."""

    def put(self, name: str, bundle: Bundle, attempt: str, expect_current: str | None) -> str:
        """One request."""
        kept = self.wire.kept
        assert isinstance(kept, DirectMemoryStore)
        return self.ask("put", lambda: kept.put(name, bundle, attempt, expect_current))


class PutsTwice(DirectRemoteStore):
    """A put whose answer was lost is sent again as another attempt."""

    puts = 0

    def put(self, name: str, bundle: Bundle, attempt: str, expect_current: str | None) -> str:
        """The bug of this class."""
        PutsTwice.puts += 1
        expected = self.wire.kept.current(name) or expect_current
        return super().put(name, bundle, f"{attempt}-{PutsTwice.puts}", expected)


class FaultyWire:
    """Implements `Faulty` for a kind of RemoteStore."""

    def __init__(self, kind: type[RemoteStore] = RemoteStore) -> None:
        self.wire, self.kind = Wire(), kind
        self.wire.kept = DirectMemoryStore()

    def connect(self, *, hasty: bool) -> RemoteStore:
        """Another handle; none of them waits."""
        assert hasty in {True, False}
        return self.kind(self.wire)

    def break_(self, fault: StoreFault, request: int) -> None:
        """Let that request go wrong."""
        self.wire.fault, self.wire.request, self.wire.seen, self.wire.met = fault, request, 0, False

    def struck(self) -> bool:
        """Whether it has."""
        return self.wire.met

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self.wire.fault = None


class LetsAnErrorEscape(RemoteStore):
    """The error of a library comes out where the body is no JSON."""

    def error(self, method: str, fault: StoreFault) -> Exception:
        """The bug of this class."""
        return ValueError("Expecting value") if fault is StoreFault.HTML else super().error(method, fault)


class SaysNothingWasDone(RemoteStore):
    """A write whose answer was lost is told like a read."""

    def error(self, method: str, fault: StoreFault) -> Exception:
        """The bug of this class."""
        return super().error("read" if method in WRITES else method, fault)


class DeniedIsUnavailable(RemoteStore):
    """A right that was lost is told as a line that is down."""

    def error(self, method: str, fault: StoreFault) -> Exception:
        """The bug of this class."""
        return Unavailable("403") if fault is StoreFault.DENIED else super().error(method, fault)


class UnknownToBeSure(RemoteStore):
    """Where nobody listens it may have happened."""

    def error(self, method: str, fault: StoreFault) -> Exception:
        """The bug of this class."""
        return OutcomeUnknown("who knows") if fault is StoreFault.REFUSED else super().error(method, fault)


class ThrottledForEver(RemoteStore):
    """Throttled, and nobody knows until when."""

    def error(self, method: str, fault: StoreFault) -> Exception:
        """The bug of this class."""
        return Throttled("429", 0) if fault is StoreFault.THROTTLED else super().error(method, fault)


class TellsTheValue(RemoteStore):
    """The half of an answer that came is kept by an error that led to the one that is told."""

    def ask(self, method: str, act: Callable[[], _Result]) -> _Result:
        """The bug of this class."""
        read = self.wire.fault is StoreFault.HALF_BODY_AFTER and method == "read"
        half = act() if read else None
        try:
            return super().ask(method, act)
        except AdapterError as error:
            if isinstance(half, Bundle):
                led = ValueError("half a body")
                vars(led).update(partial=half["password"].reveal())
                error.__context__ = led
            raise


class StagesTwice(RemoteStore):
    """A repeated stage does not look whether the attempt is there."""

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        """The bug of this class."""
        made = sum(row.attempt.startswith(attempt) for row in self.wire.kept.versions(name))
        staged = self.ask("stage", lambda: self.wire.kept.stage(name, bundle, attempt + "'" * made))
        self.wire.kept._versions[name] = [
            Version(row.id, row.attempt.rstrip("'"), row.state, row.created) for row in self.wire.kept.versions(name)
        ]
        return staged


class ForgetsWhatItDid(RemoteStore):
    """A promotion whose answer was lost cannot be repeated."""

    def promote(self, name: str, attempt: str, expect_current: str | None) -> str:
        """The bug of this class."""
        if self.wire.kept.current(name) != expect_current:
            raise Denied("somebody was here")
        return super().promote(name, attempt, expect_current)


class LeavesACopy(RemoteStore):
    """A repeated promotion says what is true, and leaves another version behind."""

    def promote(self, name: str, attempt: str, expect_current: str | None) -> str:
        """The bug of this class."""
        rows = self.wire.kept.versions(name)
        if any(row.attempt == attempt and row.state is VersionState.CURRENT for row in rows):
            self.wire.kept.stage(name, Bundle({"password": "copy"}), "copy")
        return super().promote(name, attempt, expect_current)


class ReadsTheOldOne(RemoteStore):
    """After an error it answers from what it knew."""

    def ask(self, method: str, act: Callable[[], _Result]) -> _Result:
        """The bug of this class."""
        try:
            return super().ask(method, act)
        except Unavailable:
            if method == "current":
                return None  # type: ignore[return-value]  # that is the bug
            raise


class CannotBeBroken(RemoteStore):
    """It never asks the server."""

    def names(self) -> tuple[str, ...]:
        """The bug of this class."""
        return self.wire.kept.names()


BROKEN: tuple[tuple[type[RemoteStore], str, StoreFault, str], ...] = (
    (LetsAnErrorEscape, "read", StoreFault.HTML, "nothing but an AdapterError leaves read.*ValueError"),
    (
        SaysNothingWasDone,
        "stage",
        StoreFault.RESET_AFTER,
        "Unavailable says that nothing was changed, and something was",
    ),
    (SaysNothingWasDone, "promote", StoreFault.INTERNAL_AFTER, "says that nothing was changed"),
    (SaysNothingWasDone, "retire", StoreFault.HALF_BODY_AFTER, "says that nothing was changed"),
    (DeniedIsUnavailable, "currents", StoreFault.DENIED, "Unavailable instead of Denied"),
    (UnknownToBeSure, "stage", StoreFault.REFUSED, "it is known that nothing has happened"),
    (UnknownToBeSure, "versions", StoreFault.REFUSED, "OutcomeUnknown instead of Unavailable"),
    (ThrottledForEver, "names", StoreFault.THROTTLED, "Throttled says until when"),
    (TellsTheValue, "read", StoreFault.HALF_BODY_AFTER, "no error holds a value"),
    (StagesTwice, "stage", StoreFault.SILENCE_AFTER, "says the same|ends as without it"),
    (ForgetsWhatItDid, "promote", StoreFault.HTML_AFTER, "promote may be repeated after a fault: Denied"),
    (LeavesACopy, "promote", StoreFault.RESET, "promote after a fault ends as without it"),
    (ReadsTheOldOne, "current", StoreFault.RESET, "tells what is true"),
    (ReadsTheOldOne, "current", StoreFault.REFUSED, "no answer while REFUSED lasts"),
    (PutsTwice, "put", StoreFault.RESET_AFTER, "says the same|ends as without it"),
    (CannotBeBroken, "names", StoreFault.RESET, "names asks the server"),
)


@pytest.mark.parametrize(("method", "fault"), [*CASES, *DIRECT_CASES], ids=named)
def test_a_store_that_is_right(method: str, fault: StoreFault) -> None:
    """What a store has to say of each fault can be said by one that does no more than that."""
    withstands(FaultyWire(DirectRemoteStore), method, fault)


def test_a_store_without_put_is_said_to_have_none() -> None:
    """The rule of what only some stores offer is no rule for the others."""
    with pytest.raises(ContractBroken, match="has put"):
        withstands(FaultyWire(), "put", StoreFault.RESET)


@pytest.mark.parametrize(
    ("kind", "method", "fault", "sentence"), BROKEN, ids=lambda given: getattr(given, "__name__", "")
)
def test_a_broken_store_is_found(kind: type[RemoteStore], method: str, fault: StoreFault, sentence: str) -> None:
    """A store with one seeded bug breaks the rule, which says where."""
    with pytest.raises(ContractBroken, match=sentence):
        withstands(FaultyWire(kind), method, fault)


def test_every_method_meets_every_fault() -> None:
    """No method is left out, and a write meets whatever comes after its effect."""
    assert {method for method, _ in CASES} == set(METHODS)
    after = {fault for fault in StoreFault if fault.name.endswith("_AFTER")}
    assert all((method, fault) in CASES for method in WRITES for fault in after)
    assert {fault for _, fault in CASES} == set(StoreFault)
