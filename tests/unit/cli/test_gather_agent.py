"""What `doctor` sees of the agent's socket."""

from pathlib import Path

import pytest

from keyturn.checks.agent import findings
from keyturn.cli.gather_agent import agent_look
from keyturn.manifest import load
from tests.unit.agent.agent_place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A manifest that declares a socket."""
    return Place(tmp_path)


def reasons(place: Place) -> list[str]:
    """The findings of what is seen now."""
    look = agent_look(load(place.manifest))
    assert look is not None
    return [one.reason for one in findings(look)]


def test_an_agent_that_answers_is_no_finding_and_one_that_does_not_is(place: Place) -> None:
    """Before it begins, while it serves, and after it ended."""
    assert reasons(place) == ["agent-down"]
    with place.agent():
        assert reasons(place) == []
        place.socket.parent.chmod(0o777)
        assert reasons(place) == ["socket-open"]
    assert reasons(place) == ["socket-open", "agent-down"]


def test_without_a_declared_socket_nothing_is_looked_at(place: Place) -> None:
    """A host without an agent has none that could be down."""
    place.manifest.write_text(place.manifest.read_text().replace("agent_socket", "# agent_socket"))
    assert agent_look(load(place.manifest)) is None
