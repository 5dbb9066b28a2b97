"""The gates on this checkout. `make check` runs them too, and beside them the one that measures coverage."""

import pytest

from scripts.gates.table import GATES, Gate
from scripts.run_tests import ROOT

QUICK = [gate for gate in GATES if gate.name != "coverage"]


@pytest.mark.parametrize("gate", QUICK, ids=lambda gate: str(gate.name))
def test_the_gate_holds(gate: Gate) -> None:
    """Nothing in the checkout is against this gate."""
    assert "\n".join(gate.problems(ROOT)) == ""
