"""Every consumer passes the contract, and the contract catches one that breaks it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.consumers.application import Application
from keyturn.consumers.files import Files
from keyturn.consumers.files.layout import PlainLayout
from keyturn.consumers.files.program import Program
from keyturn.consumers.job import Job
from keyturn.consumers.rolling import Action, Homes, Rolling
from keyturn.core.clock import SystemClock
from keyturn.core.consumer import Consumer, Delivery
from keyturn.core.generation import INDEX
from keyturn.testing.consumer_contract import RULES, Case
from keyturn.testing.replicas import MemoryReplicas
from keyturn.testing.replicas_contract import RULES as REPLICA_RULES
from keyturn.testing.replicas_contract import Case as ReplicaCase
from keyturn.testing.rules import ContractBroken


def _application(bundle: Path) -> Application:
    return Application(name="api", service="clo", environment="test", bundle_dir=bundle, status_dir=None)


def _files(bundle: Path) -> Files:
    program = Program(None, (), (), 5.0, {"KEYTURN_CONSUMER": "api"})
    return Files(
        name="api", service="clo", environment="test", bundle_dir=bundle, program=program, layout=PlainLayout()
    )


def _job(bundle: Path) -> Job:
    return Job(name="api", service="clo", environment="test", bundle_dir=bundle, longest_run=60.0)


def _rolling(bundle: Path, action: Action) -> Rolling:
    replicas = MemoryReplicas("api-1", "api-2")
    return Rolling(
        kind="compose",
        inner=_application(bundle),
        replicas=replicas,
        homes=Homes(replicas),
        bundle_dir=bundle,
        action=action,
        pause=11.0,
        ready_within=60.0,
        expect=None,
        clock=SystemClock(),
    )


CONSUMERS: dict[str, Callable[[Path], Consumer]] = {
    "application": _application,
    "files": _files,
    "job": _job,
    "restarted": lambda bundle: _rolling(bundle, "restart"),
    "told": lambda bundle: _rolling(bundle, "tell"),
    "left alone": lambda bundle: _rolling(bundle, "none"),
}


def case_of(make: Callable[[Path], Consumer], home: Path) -> Case:
    """A case in a directory of its own."""
    bundle = home / "run" / "bundle"
    return Case(lambda: make(bundle), bundle)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("make", CONSUMERS.values(), ids=CONSUMERS)
def test_contract(rule: Callable[[Case], None], make: Callable[[Path], Consumer], tmp_path: Path) -> None:
    """Each rule of the contract holds for each kind of consumer."""
    rule(case_of(make, tmp_path))


class _InPlace(Application):
    """Writes into what its readers have open, and takes whatever comes."""

    def deliver(self, delivery: Delivery) -> None:
        """Write the index, and nothing else."""
        home = self._generations.home
        lying = self._generations.present()
        if lying is None:
            super().deliver(delivery)
            return
        text = (home / lying / INDEX).read_text().replace('"v1"', f'"{delivery.version}"')
        (home / lying / INDEX).write_text(text)


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.__name__ in {"readers_get_it_as_a_whole", "what_comes_late_is_refused"}]
)
def test_the_contract_catches_one_that_writes_in_place(rule: Callable[[Case], None], tmp_path: Path) -> None:
    """Both what is seen half and what comes late is caught."""

    def made(bundle: Path) -> Consumer:
        return _InPlace(name="api", service="clo", environment="test", bundle_dir=bundle)

    with pytest.raises(ContractBroken):
        rule(case_of(made, tmp_path))


@pytest.mark.parametrize("rule", REPLICA_RULES, ids=lambda rule: rule.__name__)
def test_the_stand_in_for_an_engine_keeps_the_contract_of_engines(rule: Callable[[ReplicaCase], None]) -> None:
    """What the unit tests roll behaves as containers and units do."""
    replicas = MemoryReplicas("api-1", "api-2")
    rule(ReplicaCase(replicas, lambda one: replicas.moved.count(one.name), lambda: None))
