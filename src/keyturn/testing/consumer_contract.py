"""The contract of every consumer, as rules that any kind must pass, whoever reads what it delivers.

A rule takes a fresh case, in which nothing was delivered, and raises `ContractBroken`; its docstring is the sentence.

    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
    def test_contract(rule, case): rule(case)
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keyturn.core.consumer import Consumer, Delivery
from keyturn.core.errors import AdapterError, Conflict, FenceLost
from keyturn.core.secret import Bundle
from keyturn.testing.rules import hold, refused

SECRET, OTHER = "database", "cache"
FIRST, SECOND = Bundle({"username": "clo_a", "password": "first"}), Bundle({"username": "clo_b", "password": "second"})


@dataclass(frozen=True, slots=True)
class Case:
    """One consumer. `again` makes it anew, as another process would; `directory` is what its readers open."""

    again: Callable[[], Consumer]
    directory: Path


def says_what_it_is(case: Case) -> None:
    """A name, a kind, and seconds that are not negative."""
    consumer = case.again()
    hold(consumer.name and consumer.kind, "a name and a kind")
    hold(min(consumer.grace, consumer.longest_run, consumer.max_stale) >= 0, "no negative seconds")


def begins_with_nothing(case: Case) -> None:
    """Before the first delivery nothing lies there, and nobody is said to be complete on it."""
    consumer = case.again()
    hold(consumer.delivered(SECRET) is None, "nothing is delivered")
    consumer.deliver(Delivery(OTHER, "c1", Bundle({"value": "k"}), 1))
    hold(consumer.delivered(SECRET) is None, "another secret is not this one")
    runs = [one for one in consumer.observe(SECRET, {}).instances if one.runs_on("v1")]
    hold(not runs, "nobody runs on what was not delivered")


def what_is_delivered_lies_there(case: Case) -> None:
    """Another process sees the version; a later one takes its place, and each other secret stays."""
    case.again().deliver(Delivery(SECRET, "v1", FIRST, 1))
    case.again().deliver(Delivery(OTHER, "c1", Bundle({"value": "k"}), 2))
    hold(case.again().delivered(SECRET) == "v1", "the first version")
    case.again().deliver(Delivery(SECRET, "v2", SECOND, 3))
    hold(case.again().delivered(SECRET) == "v2", "the second version")
    hold(case.again().delivered(OTHER) == "c1", "the other secret stays")


def readers_get_it_as_a_whole(case: Case) -> None:
    """The directory is switched by its name: whoever has it open goes on seeing the old set."""
    case.again().deliver(Delivery(SECRET, "v1", FIRST, 1))
    before = case.directory.resolve()
    kept = {path.name: path.read_bytes() for path in before.iterdir()}
    case.again().deliver(Delivery(SECRET, "v2", SECOND, 2))
    hold(case.directory.is_symlink() and case.directory.resolve() != before, "another directory")
    hold({path.name: path.read_bytes() for path in before.iterdir()} == kept, "the old one is as it was")


def the_same_again_changes_nothing(case: Case) -> None:
    """A delivery that is repeated is no other one."""
    for _ in range(3):
        case.again().deliver(Delivery(SECRET, "v1", FIRST, 1))
    lying = case.directory.resolve()
    case.again().deliver(Delivery(SECRET, "v1", FIRST, 1))
    hold(case.directory.resolve() == lying, "not switched")
    hold(case.again().delivered(SECRET) == "v1", "still there")


def what_comes_late_is_refused(case: Case) -> None:
    """A lower fence, and another version under the same one."""
    case.again().deliver(Delivery(SECRET, "v2", SECOND, 2))
    refused(FenceLost, "a late delivery", case.again().deliver, Delivery(SECRET, "v1", FIRST, 1))
    refused(Conflict, "two versions under one fence", case.again().deliver, Delivery(SECRET, "v3", FIRST, 2))
    hold(case.again().delivered(SECRET) == "v2", "what lay there still does")


def what_is_not_ours_stays(case: Case) -> None:
    """A link that somebody else made is not followed, and not replaced."""
    elsewhere = case.directory.parent.parent / "elsewhere"
    elsewhere.mkdir()
    case.directory.parent.mkdir(mode=0o700)
    case.directory.symlink_to(elsewhere)
    refused(Conflict, "somebody else's link", case.again().deliver, Delivery(SECRET, "v1", FIRST, 1))
    hold(not any(elsewhere.iterdir()), "nothing was written there")


def a_damaged_index_is_no_delivery(case: Case) -> None:
    """What cannot be read is an error that a person can act on, and never another version."""
    case.again().deliver(Delivery(SECRET, "v1", FIRST, 1))
    for index in (path for path in case.directory.iterdir() if "index" in path.name):
        index.write_bytes(b"{")
    try:
        said = case.again().delivered(SECRET)
    except AdapterError as error:
        hold(error.message, "it says what is wrong")
    else:
        hold(said is None, "nothing is delivered")


RULES: tuple[Callable[[Case], None], ...] = (
    says_what_it_is,
    begins_with_nothing,
    what_is_delivered_lies_there,
    readers_get_it_as_a_whole,
    the_same_again_changes_nothing,
    what_comes_late_is_refused,
    what_is_not_ours_stays,
    a_damaged_index_is_no_delivery,
)
