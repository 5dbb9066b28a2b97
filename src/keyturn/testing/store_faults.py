"""What must come out of a store when the network or its server fails, as a rule over every method and every fault.

    @pytest.mark.parametrize(("method", "fault"), CASES, ids=named)
    def test_faults(faulty, method, fault): withstands(faulty, method, fault)

A fault strikes the first request of the call, then the second one of a call on another name, and so on until a call
needs no more requests. Each time

- nothing but an `AdapterError` comes out, and the one that says what to do (docs/formats/store.md);
- one that says that nothing was changed tells the truth;
- no value is in it, nor in what caused it;
- the same call again, by another handle, ends as if nothing had gone wrong: each attempt once, the right one current.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple, Protocol

from keyturn.core.errors import AdapterError, Denied, OutcomeUnknown, Throttled, Unavailable
from keyturn.core.secret import Bundle
from keyturn.core.store import Direct, Store
from keyturn.core.version import VersionState
from keyturn.testing.rules import ContractBroken, hold

MOST_REQUESTS = 40
"""A call that needs more of them for one name is broken in itself."""


class StoreFault(Enum):
    """What goes wrong with one request. `_AFTER`: the server has done it, and only the answer is lost."""

    REFUSED = auto()
    """Nobody listens, from the first request on. It lasts, as do EXPIRED and DENIED."""
    RESET = auto()
    RESET_AFTER = auto()
    SILENCE = auto()
    SILENCE_AFTER = auto()
    THROTTLED = auto()
    INTERNAL = auto()
    INTERNAL_AFTER = auto()
    UNAVAILABLE = auto()
    UNAVAILABLE_AFTER = auto()
    HTML = auto()
    HTML_AFTER = auto()
    HALF_BODY_AFTER = auto()
    EXPIRED = auto()
    DENIED = auto()


LASTING = frozenset({StoreFault.REFUSED, StoreFault.EXPIRED, StoreFault.DENIED})
NOTHING_DONE: Mapping[StoreFault, type[AdapterError]] = {
    StoreFault.REFUSED: Unavailable,
    StoreFault.THROTTLED: Throttled,
    StoreFault.EXPIRED: Denied,
    StoreFault.DENIED: Denied,
}
"""By these a client knows that the request had no effect."""


_SAME_FOR_READS = frozenset(fault for fault in StoreFault if fault.name.endswith("_AFTER")) - {
    StoreFault.HALF_BODY_AFTER
}
"""What is read has no effect, so that before and after are the same."""
_SAME_FOR_WRITES = frozenset({StoreFault.SILENCE})
"""RESET is the same, and nobody has to wait for it."""


class Faulty(Protocol):
    """A store that can be made to fail. It holds nothing when a rule begins."""

    def connect(self, *, hasty: bool) -> Store:
        """Another handle on it; a hasty one waits for an answer well below a second."""
        ...

    def break_(self, fault: StoreFault, request: int) -> None:
        """Let the `request`-th request from now on (1 is the next one) go wrong; a fault of LASTING all from there.

        REFUSED strikes from the first one on or never.
        """
        ...

    def struck(self) -> bool:
        """Whether the last fault has met a request, also when it was mended."""
        ...

    def mend(self) -> None:
        """Everything works again."""
        ...


Standing = tuple[tuple[tuple[str, VersionState], ...], str]


@dataclass(frozen=True, slots=True)
class _Scene:
    """A name with the versions that a call is about, and the bundle that is staged next."""

    name: str
    versions: Mapping[str, str]
    bundles: Mapping[str, Bundle] = field(repr=False)


class _Method(NamedTuple):
    call: Callable[[Store, _Scene], object]
    writes: bool
    good: Callable[[Store, _Scene, object], bool]
    needs: tuple[str, ...] = ("previous", "current", "pending")


def _stage(store: Store, scene: _Scene) -> object:
    return store.stage(scene.name, scene.bundles["new"], "new")


def _staged(store: Store, scene: _Scene, result: object) -> bool:
    return store.read(scene.name, str(result)) == scene.bundles["new"]


def _promote(store: Store, scene: _Scene) -> object:
    return store.promote(scene.name, "pending", scene.versions["current"])


def _promoted(store: Store, scene: _Scene, result: object) -> bool:
    told = (result, store.current(scene.name), store.currents().get(scene.name))
    return told == (scene.versions["pending"],) * 3 and store.read(scene.name, str(result)) == scene.bundles["pending"]


def _versions_told(_: Store, scene: _Scene, result: object) -> bool:
    return isinstance(result, tuple) and [row.id for row in result] == list(scene.versions.values())


def _put(store: Store, scene: _Scene) -> object:
    hold(isinstance(store, Direct), "a store that takes a content whole has put")
    assert isinstance(store, Direct)
    return store.put(scene.name, scene.bundles["new"], "new", scene.versions["current"])


def _put_down(store: Store, scene: _Scene, result: object) -> bool:
    return store.current(scene.name) == result and store.read(scene.name, str(result)) == scene.bundles["new"]


_METHODS: Mapping[str, _Method] = {
    "read": _Method(
        lambda store, scene: store.read(scene.name, scene.versions["current"]),
        False,
        lambda _, scene, result: result == scene.bundles["current"],
    ),
    "current": _Method(
        lambda store, scene: store.current(scene.name),
        False,
        lambda _, scene, result: result == scene.versions["current"],
    ),
    "currents": _Method(
        lambda store, _: store.currents(),
        False,
        lambda _, scene, result: isinstance(result, Mapping) and result.get(scene.name) == scene.versions["current"],
    ),
    "versions": _Method(lambda store, scene: store.versions(scene.name), False, _versions_told),
    "names": _Method(
        lambda store, _: store.names(),
        False,
        lambda _, scene, result: isinstance(result, tuple) and scene.name in result,
    ),
    "stage": _Method(_stage, True, _staged, ("current", "pending")),
    "promote": _Method(_promote, True, _promoted, ("current", "pending")),
    "retire": _Method(
        lambda store, scene: store.retire(scene.name, scene.versions["previous"]),
        True,
        lambda _store, _scene, result: isinstance(result, bool),
        ("previous", "current"),
    ),
    "put": _Method(_put, True, _put_down, ("current", "pending")),
}
_DIRECT = frozenset({"put"})
_ALL = tuple(
    (name, fault)
    for name, method in _METHODS.items()
    for fault in StoreFault
    if fault not in (_SAME_FOR_WRITES if method.writes else _SAME_FOR_READS)
)
CASES = tuple(case for case in _ALL if case[0] not in _DIRECT)
"""Every method with every fault that can make a difference to it."""
DIRECT_CASES = tuple(case for case in _ALL if case[0] in _DIRECT)
"""The same for what only some stores offer (`keyturn.core.store.Direct`)."""


def named(given: object) -> str:
    """How a part of a case is named in the name of its test."""
    return given.name if isinstance(given, StoreFault) else str(given)


def withstands(faulty: Faulty, method: str, fault: StoreFault) -> None:
    """Break each request of one call in turn.

    Raises:
        ContractBroken: with the sentence that does not hold.
    """
    needs = _METHODS[method].needs
    scene = _scene(faulty.connect(hasty=False), "unbroken", needs)
    before = _standing(faulty.connect(hasty=False), scene)
    _METHODS[method].call(faulty.connect(hasty=False), scene)
    wanted = _standing(faulty.connect(hasty=False), scene)
    for request in range(1, MOST_REQUESTS + 1):
        if _METHODS[method].writes:
            scene = _scene(faulty.connect(hasty=False), f"broken-{request}", needs)
        outcome = _broken_call(faulty, method, scene, fault, request)
        if not faulty.struck():
            hold(request > 1, f"{method} asks the server")
            hold(outcome.error is None, f"{method} needs no fault to fail")
            return
        if outcome.error is None:
            hold(fault not in LASTING, f"{method} has no answer while {fault.name} lasts")
            good = _METHODS[method].good(faulty.connect(hasty=False), scene, outcome.result)
            hold(good, f"{method} that gets over {fault.name} tells what is true")
        else:
            changed = _standing(faulty.connect(hasty=False), scene) != before
            _check_error(outcome.error, method, fault, request, changed=changed)
            _check_silent(outcome.error, scene)
        _check_again(faulty, method, scene, wanted)
    raise ContractBroken(f"{method} needs more than {MOST_REQUESTS} requests")


def _scene(store: Store, name: str, attempts: tuple[str, ...]) -> _Scene:
    bundles = {attempt: Bundle({"password": f"{attempt}-of-{name}"}) for attempt in (*attempts, "new")}
    versions: dict[str, str] = {}
    for attempt in attempts:
        versions[attempt] = store.stage(name, bundles[attempt], attempt)
        if attempt != "pending":
            store.promote(name, attempt, versions.get("previous") if attempt == "current" else None)
    return _Scene(name, versions, bundles)


def _standing(store: Store, scene: _Scene) -> Standing:
    """What the store says of a name: the state of each attempt, and whose version is current."""
    versions = store.versions(scene.name)
    current = store.current(scene.name)
    attempts = {version.id: version.attempt for version in versions}
    return tuple((version.attempt, version.state) for version in versions), attempts.get(str(current), str(current))


class _Outcome(NamedTuple):
    error: AdapterError | None
    result: object = None


def _broken_call(faulty: Faulty, method: str, scene: _Scene, fault: StoreFault, request: int) -> _Outcome:
    """What came of a call with a fault; of a strange error only the kind is told, for its text may hold a value."""
    store = faulty.connect(hasty=fault in {StoreFault.SILENCE, StoreFault.SILENCE_AFTER})
    faulty.break_(fault, request)
    try:
        return _Outcome(None, _METHODS[method].call(store, scene))
    except AdapterError as error:
        return _Outcome(error)
    except Exception as other:  # noqa: BLE001  # whatever it is, it must not escape
        kind = type(other).__name__
    finally:
        faulty.mend()
    raise ContractBroken(f"nothing but an AdapterError leaves {method} at {fault.name} of request {request}: {kind}")


def _check_error(error: AdapterError, method: str, fault: StoreFault, request: int, *, changed: bool) -> None:
    """The error says what is true, and as much as can be known."""
    kind, told = NOTHING_DONE.get(fault, Unavailable), type(error).__name__
    where = f"{method} at {fault.name} of request {request}"
    writes = _METHODS[method].writes
    unknown = isinstance(error, OutcomeUnknown)
    hold(not changed or writes, f"{where}: reading changes nothing")
    hold(not changed or unknown, f"{where}: {told} says that nothing was changed, and something was")
    hold(isinstance(error, kind) or (writes and unknown), f"{where}: {told} instead of {kind.__name__}")
    if request == 1 and fault in NOTHING_DONE:
        hold(not unknown, f"{where}: it is known that nothing has happened")
    if isinstance(error, Throttled):
        hold(math.isfinite(error.retry_after) and error.retry_after > 0, f"{where}: Throttled says until when")
    hold(str(error), f"{where}: an error says what happened")


def _check_silent(error: BaseException, scene: _Scene) -> None:
    """Neither the error nor one that led to it holds a value, be it as an attribute only."""
    for met in _chain(error):
        text = f"{met} {met!r} {met.args!r} {vars(met)!r}"
        for bundle in scene.bundles.values():
            hidden = (bundle["password"], bundle.proof_key)
            hold(not any(_stands_in(value.reveal(), text) for value in hidden), "no error holds a value")


def _stands_in(value: str, text: str) -> bool:
    return value in text


def _chain(error: BaseException) -> list[BaseException]:
    """The error with all that led to it, those that `from None` hides, too."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        met = waiting.pop()
        if met is not None and not any(met is known for known in found):
            found.append(met)
            waiting += [met.__cause__, met.__context__]
    return found


def _check_again(faulty: Faulty, method: str, scene: _Scene, wanted: Standing) -> None:
    """Twice by other handles: it ends like the call that met no fault, and nothing is there twice."""
    results = []
    for _ in range(2):
        store = faulty.connect(hasty=False)
        try:
            results.append(_METHODS[method].call(store, scene))
        except AdapterError as error:
            raise ContractBroken(f"{method} may be repeated after a fault: {type(error).__name__}") from None
    hold(results[0] == results[1], f"{method} may be repeated and says the same")
    store = faulty.connect(hasty=False)
    hold(_METHODS[method].good(store, scene, results[1]), f"{method} tells what is true after a fault")
    standing = _standing(store, scene)
    hold(standing == wanted, f"{method} after a fault ends as without it: {standing} is not {wanted}")
