"""The contract of a store that takes a content whole (`keyturn.core.store.Direct`), beside that of every store.

@pytest.mark.parametrize("rule", DIRECT_RULES, ids=lambda rule: rule.__name__)
def test_contract(rule, connect): rule(connect)
"""

from keyturn.core.errors import Conflict, Disabled, InvalidName, TooLarge
from keyturn.core.secret import MAX_FIELD_BYTES, Bundle
from keyturn.core.store import Direct, Store
from keyturn.core.version import VersionState
from keyturn.testing.rules import hold, refused
from keyturn.testing.store_contract import BAD_NAMES, Connect, Rule


def _bundle(text: str = "one") -> Bundle:
    return Bundle({"username": "clo_a", "password": text})


def _put(store: Store, bundle: Bundle, attempt: str, expect: str | None, name: str = "database") -> str:
    assert isinstance(store, Direct)
    return store.put(name, bundle, attempt, expect)


def what_arrives_whole_is_current_at_once(connect: Connect) -> None:
    """It reads back, nothing is pending, and the former version is previous and still readable."""
    first, second = _bundle("one"), _bundle("two")
    before = _put(connect(), first, "attempt-1", None)
    after = _put(connect(), second, "attempt-2", before)
    store = connect()
    hold(store.current("database") == after, "what was put is current")
    hold(store.read("database", after) == second, "what was put reads back as it was")
    hold(store.read("database", before) == first, "the former version is readable")
    states = [(version.attempt, version.state) for version in store.versions("database")]
    wanted = [("attempt-1", VersionState.PREVIOUS), ("attempt-2", VersionState.CURRENT)]
    hold(states == wanted, "each is there once, and nothing is pending")


def putting_may_be_repeated(connect: Connect) -> None:
    """The same attempt is the same version, whatever is expected, and nothing is written."""
    bundle = _bundle()
    version = _put(connect(), bundle, "attempt-1", None)
    for expect in (None, version, "no-such-version"):
        hold(_put(connect(), bundle, "attempt-1", expect) == version, "putting again is the same version")
    hold(len(connect().versions("database")) == 1, "putting again adds nothing")


def putting_compares(connect: Connect) -> None:
    """Another current version than the expected one is a conflict, and nothing of the new content is there."""
    version = _put(connect(), _bundle(), "attempt-1", None)
    for expect in (None, "no-such-version"):
        refused(Conflict, "putting compares", _put, connect(), _bundle("two"), "attempt-2", expect)
    hold([one.id for one in connect().versions("database")] == [version], "a refused put leaves nothing")


def a_put_attempt_holds_one_content(connect: Connect) -> None:
    """Other bytes under the same attempt are a conflict, also when it was only staged."""
    version = _put(connect(), _bundle(), "attempt-1", None)
    refused(Conflict, "an attempt holds one content", _put, connect(), _bundle("two"), "attempt-1", version)
    connect().stage("database", _bundle(), "attempt-2")
    refused(Conflict, "a staged attempt holds one content", _put, connect(), _bundle("two"), "attempt-2", version)
    hold(connect().current("database") == version, "a refused put changes nothing")


def what_was_staged_can_be_put(connect: Connect) -> None:
    """An attempt that is pending becomes current and stays one version; a retired one never does."""
    bundle = _bundle()
    staged = connect().stage("database", bundle, "attempt-1")
    hold(_put(connect(), bundle, "attempt-1", None) == staged, "a staged attempt keeps its version")
    hold([one.id for one in connect().versions("database")] == [staged], "it is there once")
    retired = connect().stage("database", _bundle("two"), "attempt-2")
    content = connect().read("database", retired)
    connect().retire("database", retired)
    refused(Disabled, "a retired attempt is not put", _put, connect(), content, "attempt-2", staged)


def what_cannot_be_put_is_refused(connect: Connect) -> None:
    """A bad name, no attempt, and more bytes than the store keeps; nothing of it is there."""
    for name in BAD_NAMES:
        refused(InvalidName, "a bad name is not put", _put, connect(), _bundle(), "attempt-1", None, name)
    refused(InvalidName, "an attempt has a name", _put, connect(), _bundle(), "", None)
    text = "x" * min(MAX_FIELD_BYTES, connect().max_bytes)
    large = Bundle({f"field_{n}": text for n in range(connect().max_bytes // len(text) + 1)})
    refused(TooLarge, "what does not fit is not put", _put, connect(), large, "attempt-1", None)
    hold(connect().names() == (), "what was refused leaves nothing")


DIRECT_RULES: tuple[Rule, ...] = (
    what_arrives_whole_is_current_at_once,
    putting_may_be_repeated,
    putting_compares,
    a_put_attempt_holds_one_content,
    what_was_staged_can_be_put,
    what_cannot_be_put_is_refused,
)
