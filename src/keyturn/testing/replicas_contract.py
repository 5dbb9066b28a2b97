"""What everybody who runs replicas must do: an engine, systemd, or the stand-in for tests.

A rule takes a fresh case and raises `ContractBroken`; its docstring is the sentence it proves.
"""

from collections.abc import Callable
from dataclasses import dataclass

from keyturn.consumers.rolling import Replicas
from keyturn.core.rolling import Replica
from keyturn.testing.rules import hold


@dataclass(frozen=True, slots=True)
class Case:
    """At least two replicas that run, each of which tells how often it was told to read again.

    Args:
        replicas: whoever runs them.
        told: how often that one was told since its last start.
        settled: waits until all are ready.
    """

    replicas: Replicas
    told: Callable[[Replica], int]
    settled: Callable[[], None]


def counts_them(case: Case) -> None:
    """All are there, with ids and names of their own, as many as are expected."""
    present = case.replicas.present()
    hold(len({one.id for one in present}) == len({one.name for one in present}) == len(present) > 1, "each its own")
    hold(case.replicas.expected() == len(present), "as many as expected")
    hold(all(one.ready for one in present), "ready")


def looks_without_a_change(case: Case) -> None:
    """Two looks without a change between them see the same."""
    hold(case.replicas.present() == case.replicas.present(), "the same twice")


def starts_one_anew(case: Case) -> None:
    """A restarted one has another id and its old name; the others are what they were."""
    first, *others = case.replicas.present()
    case.replicas.restart(first)
    case.settled()
    again, *rest = case.replicas.present()
    hold(again.name == first.name and again.id != first.id, "another id, the same name")
    hold(again.ready, "ready again")
    hold([one.id for one in rest] == [one.id for one in others], "the others run on")


def tells_one(case: Case) -> None:
    """One that is told hears it and is not started anew; the others hear nothing."""
    first, *others = case.replicas.present()
    case.replicas.tell(first)
    hold(case.told(first) == 1, "it hears it")
    hold(all(case.told(one) == 0 for one in others), "the others do not")
    hold(case.replicas.present()[0].id == first.id, "not started anew")


RULES: tuple[Callable[[Case], None], ...] = (counts_them, looks_without_a_change, starts_one_anew, tells_one)
