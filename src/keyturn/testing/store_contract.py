"""The contract of every store, as rules that any implementation must pass (docs/formats/store.md).

Each rule takes `connect`, which opens another handle on one store that holds nothing when the rule
begins. A rule that is broken raises `ContractBroken` with the sentence that does not hold.

    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
    def test_contract(rule, connect): rule(connect)
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from keyturn.core.errors import AdapterError, Conflict, Disabled, InvalidName, NotFound, TooLarge, Unsupported
from keyturn.core.secret import MAX_FIELD_BYTES, Bundle
from keyturn.core.store import Store
from keyturn.core.version import VersionState
from keyturn.testing.rules import hold, refused

Connect = Callable[[], Store]
Rule = Callable[[Connect], None]
_Result = TypeVar("_Result")

FIELDS = 25
WRITERS = 6
BAD_NAMES = ("", "a/b", "../a", "a" * 250, "a\0", "a\n", " a", "ä", "a\ud800")
"""Names that no store takes. A store may be stricter, and says so in its own tests."""
_PEM = "-----BEGIN X-----\nAA==\n-----END X-----\n"
_ODD = ("'\"\\;$%`", _PEM)
"""Texts that not every form of a store can show its readers."""


def _bundle(text: str = "one") -> Bundle:
    return Bundle({"username": "clo_a", "password": text})


def _states(store: Store, name: str) -> list[VersionState]:
    return [version.state for version in store.versions(name)]


def _current(store: Store, name: str, text: str, attempt: str) -> str:
    before = store.current(name)
    store.stage(name, _bundle(text), attempt)
    return store.promote(name, attempt, before)


def an_empty_store_holds_nothing(connect: Connect) -> None:
    """No names, no versions, no current one."""
    store = connect()
    hold(isinstance(store.kind, str) and isinstance(store.cas, bool), "a store says its kind and whether it compares")
    hold(store.names() == (), "an empty store has no names")
    hold(store.versions("database") == (), "an unknown name has no versions")
    hold(store.current("database") is None, "an unknown name has no current version")


def staged_is_pending_and_reads_back(connect: Connect) -> None:
    """What was staged is not current, and another handle reads the same bytes, the proof key included."""
    bundle = _bundle()
    version = connect().stage("database", bundle, "attempt-1")
    store = connect()
    hold(store.read("database", version) == bundle, "a staged bundle reads back as it was")
    hold(store.current("database") is None, "staging makes nothing current")
    (described,) = store.versions("database")
    hold(described.id == version and described.attempt == "attempt-1", "a version says its id and attempt")
    hold(described.state is VersionState.PENDING, "a staged version is pending")
    hold(described.created.tzinfo is not None, "a version says when it was made, with an offset")
    hold(store.names() == ("database",), "a name with a pending version is named")
    hold(not store.currents(), "a pending version is nobody's current one")


def staging_again_writes_nothing(connect: Connect) -> None:
    """The same attempt with the same bytes gives the same version, also when it has become current."""
    store, bundle = connect(), _bundle()
    version = store.stage("database", bundle, "attempt-1")
    hold(store.stage("database", bundle, "attempt-1") == version, "the same attempt is the same version")
    store.promote("database", "attempt-1", None)
    hold(store.stage("database", bundle, "attempt-1") == version, "the same attempt is the same version for good")
    hold(_states(store, "database") == [VersionState.CURRENT], "staging again changes no state")


def an_attempt_holds_one_content(connect: Connect) -> None:
    """Other bytes under the same attempt are a conflict, and change nothing."""
    store, bundle = connect(), _bundle()
    version = store.stage("database", bundle, "attempt-1")
    for other in (_bundle("two"), Bundle({"username": "clo_a", "password": "one"})):
        refused(Conflict, "an attempt holds one content", store.stage, "database", other, "attempt-1")
    hold(store.read("database", version) == bundle, "a refused stage changes nothing")
    hold(len(store.versions("database")) == 1, "a refused stage adds nothing")


def promotion_moves_the_current_one(connect: Connect) -> None:
    """The promoted version is current, the former one previous and still readable."""
    store = connect()
    first = _current(store, "database", "one", "attempt-1")
    second = _current(store, "database", "two", "attempt-2")
    hold(connect().current("database") == second, "the promoted version is current for every handle")
    hold(first != second, "each content has its own version id")
    hold(_states(store, "database") == [VersionState.PREVIOUS, VersionState.CURRENT], "the former is previous")
    hold(store.read("database", first)["password"] == _bundle("one")["password"], "a previous version is readable")


def promotion_may_be_repeated(connect: Connect) -> None:
    """Promoting what is current already changes nothing, whatever was expected."""
    store = connect()
    first = _current(store, "database", "one", "attempt-1")
    second = _current(store, "database", "two", "attempt-2")
    for expected in (first, second, None, "no-such-version"):
        hold(store.promote("database", "attempt-2", expected) == second, "promotion may be repeated")
    hold(_states(store, "database") == [VersionState.PREVIOUS, VersionState.CURRENT], "a repetition changes no state")


def promotion_compares(connect: Connect) -> None:
    """Another current version than the expected one is a conflict, and stays current."""
    store = connect()
    first = _current(store, "database", "one", "attempt-1")
    second = store.stage("database", _bundle("two"), "attempt-2")
    for expected in (None, second, "no-such-version"):
        refused(Conflict, "promotion compares", store.promote, "database", "attempt-2", expected)
    hold(store.current("database") == first, "a refused promotion changes nothing")
    hold(
        _states(store, "database") == [VersionState.CURRENT, VersionState.PENDING], "a refused promotion marks nothing"
    )
    store.stage("other", _bundle(), "attempt-3")
    refused(Conflict, "a name without a current one", store.promote, "other", "attempt-3", first)


def a_former_version_can_come_back(connect: Connect) -> None:
    """Promoting the attempt of a previous version makes it current again: so a revert works."""
    store = connect()
    first = _current(store, "database", "one", "attempt-1")
    second = _current(store, "database", "two", "attempt-2")
    hold(store.promote("database", "attempt-1", second) == first, "a previous version can be promoted")
    hold(store.current("database") == first, "it is current again")
    hold(_states(store, "database") == [VersionState.CURRENT, VersionState.PREVIOUS], "the reverted one is previous")
    hold(store.retire("database", second) in {True, False}, "the reverted one can be retired")


def the_current_one_is_not_retired(connect: Connect) -> None:
    """Retiring the current version is a conflict, and it goes on being readable."""
    store = connect()
    version = _current(store, "database", "one", "attempt-1")
    refused(Conflict, "the current version is not retired", store.retire, "database", version)
    hold(store.read("database", version) is not None, "the current version stays readable")
    hold(_states(store, "database") == [VersionState.CURRENT], "the current version stays current")


def retired_is_out_of_reach(connect: Connect) -> None:
    """Where retiring takes effect, neither read nor promote gives the version out; it may be repeated."""
    store = connect()
    first = _current(store, "database", "one", "attempt-1")
    second = _current(store, "database", "two", "attempt-2")
    pending = store.stage("database", _bundle("three"), "attempt-3")
    for version, attempt in ((first, "attempt-1"), (pending, "attempt-3")):
        effective = store.retire("database", version)
        hold(store.retire("database", version) == effective, "retiring may be repeated")
        if effective:
            refused(Disabled, "a retired version is not read", connect().read, "database", version)
            refused(Disabled, "nor promoted", store.promote, "database", attempt, second)
    hold(store.current("database") == second, "retiring leaves the current version alone")
    hold(_states(store, "database")[1] is VersionState.CURRENT, "retiring leaves other versions alone")


def what_is_not_there_is_not_found(connect: Connect) -> None:
    """Unknown names, versions and attempts, and those of another name, are NotFound."""
    store = connect()
    version = _current(store, "database", "one", "attempt-1")
    _current(store, "other", "one", "attempt-2")
    for name, unknown in (("database", "no-such-version"), ("nothing", version), ("other", version), ("database", "")):
        refused(NotFound, "an unknown version is not read", store.read, name, unknown)
        refused(NotFound, "an unknown version is not retired", store.retire, name, unknown)
    for name, attempt in (("database", "attempt-2"), ("nothing", "attempt-1"), ("database", "")):
        refused(NotFound, "an unknown attempt is not promoted", store.promote, name, attempt, None)
    hold(store.names() == ("database", "other"), "asking for a name does not make it")


def names_are_checked(connect: Connect) -> None:
    """A name that no store takes is InvalidName in every method."""
    store = connect()
    for name in BAD_NAMES:
        refused(InvalidName, "a bad name is not staged", store.stage, name, _bundle(), "attempt-1")
        refused(InvalidName, "a bad name is not promoted", store.promote, name, "attempt-1", None)
        refused(InvalidName, "a bad name is not retired", store.retire, name, "version")
        refused(InvalidName, "a bad name is not read", store.read, name, "version")
        refused(InvalidName, "a bad name has no current version", store.current, name)
        refused(InvalidName, "a bad name has no versions", store.versions, name)
    refused(InvalidName, "an attempt has a name", store.stage, "database", _bundle(), "")
    hold(store.names() == (), "a refused name leaves nothing")


def versions_keep_their_order(connect: Connect) -> None:
    """Versions come oldest first, with ids and attempts of their own; names are independent."""
    store = connect()
    made = [store.stage("database", _bundle(str(n)), f"attempt-{n}") for n in range(5)]
    store.stage("other", _bundle(), "attempt-0")
    listed = store.versions("database")
    hold([version.id for version in listed] == made, "versions come oldest first")
    hold([version.attempt for version in listed] == [f"attempt-{n}" for n in range(5)], "each with its attempt")
    hold(len(set(made)) == len(made), "version ids are unique")
    hold(sorted(store.names()) == ["database", "other"], "each name is named once")


def content_is_kept_exactly(connect: Connect) -> None:
    """25 fields, the longest text, blanks, other scripts, and what it takes of quotes and PEM come back exactly."""
    longest = "x" * min(MAX_FIELD_BYTES, connect().max_bytes // 4)
    texts = ["", " ", " a ", "@:/?#[]{}", "ä€漢😀", "A\u030a", "%40", "-", *_odd_ones_taken(connect), longest]
    fields = {f"field_{n}": texts[n % len(texts)] for n in range(FIELDS)}
    bundle = Bundle(fields | {"field_10": longest, "field_21": "y"})
    version = connect().stage("many", bundle, "attempt-1")
    back = connect().read("many", version)
    hold(len(back) == FIELDS and back == bundle, "content is kept exactly")
    hold(back.proof_key == bundle.proof_key, "the proof key is kept exactly")


def _odd_ones_taken(connect: Connect) -> list[str]:
    """What a store could not show as it is, it refuses when it is staged, and keeps nothing of it."""
    taken: list[str] = []
    for n, text in enumerate(_ODD):
        with suppress(Unsupported):
            connect().stage("odd", Bundle({"value": text}), f"attempt-{n}")
            taken.append(text)
    hold(len(connect().versions("odd")) == len(taken), "what was refused leaves nothing")
    return taken


def what_does_not_fit_is_refused(connect: Connect) -> None:
    """A bundle of more bytes than the store keeps is TooLarge, and nothing of it is there."""
    store = connect()
    text = "x" * min(MAX_FIELD_BYTES, store.max_bytes)
    bundle = Bundle({f"field_{n}": text for n in range(store.max_bytes // len(text) + 1)})
    refused(TooLarge, "a bundle that does not fit", store.stage, "database", bundle, "attempt-1")
    hold(store.names() == (), "what was refused leaves nothing")


def all_current_ones_are_told_at_once(connect: Connect) -> None:
    """`currents` says of every name what `current` says of it."""
    store = connect()
    for n in range(3):
        _current(store, f"name-{n}", str(n), f"attempt-{n}")
    _current(store, "name-1", "later", "attempt-9")
    store.stage("name-2", _bundle("pending"), "attempt-8")
    told = connect().currents()
    hold(dict(told) == {name: store.current(name) for name in store.names()}, "all current ones are told at once")


def one_of_two_writers_wins(connect: Connect) -> None:
    """Writers that promote at once: one wins, the others get Conflict (where the store compares)."""
    first = _current(connect(), "database", "one", "attempt-0")
    for n in range(WRITERS):
        connect().stage("database", _bundle(str(n)), f"writer-{n}")
    results = _at_once(lambda n: connect().promote("database", f"writer-{n}", first))
    won = [result for result in results if isinstance(result, str)]
    hold(connect().current("database") in won, "the current version is one that was promoted")
    if connect().cas:
        hold(len(won) == 1, "one writer wins")
        hold(sum(isinstance(result, Conflict) for result in results) == WRITERS - 1, "the others get Conflict")
    hold(_states(connect(), "database").count(VersionState.CURRENT) == 1, "one version is current")


def staging_at_once_is_staging_once(connect: Connect) -> None:
    """Writers that stage one attempt at once get one version."""
    bundle = _bundle()
    results = _at_once(lambda _: connect().stage("database", bundle, "attempt-1"))
    hold(len({str(result) for result in results}) == 1, "one attempt is one version")
    hold(len(connect().versions("database")) == 1, "it is there once")


def _at_once(act: Callable[[int], _Result]) -> list[_Result | AdapterError]:
    barrier, results = threading.Barrier(WRITERS), list[_Result | AdapterError]()

    def run(n: int) -> None:
        barrier.wait()
        try:
            results.append(act(n))
        except AdapterError as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hold(len(results) == WRITERS, "every writer gets an answer or an AdapterError")
    return results


RULES: tuple[Rule, ...] = (
    an_empty_store_holds_nothing,
    staged_is_pending_and_reads_back,
    staging_again_writes_nothing,
    an_attempt_holds_one_content,
    promotion_moves_the_current_one,
    promotion_may_be_repeated,
    promotion_compares,
    a_former_version_can_come_back,
    the_current_one_is_not_retired,
    retired_is_out_of_reach,
    what_is_not_there_is_not_found,
    names_are_checked,
    versions_keep_their_order,
    content_is_kept_exactly,
    what_does_not_fit_is_refused,
    all_current_ones_are_told_at_once,
    one_of_two_writers_wins,
    staging_at_once_is_staging_once,
)
