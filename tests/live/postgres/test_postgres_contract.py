"""The contract of rotators, on a real PostgreSQL with TLS."""

import pytest

from keyturn.testing.rotator_contract import CASES, Bench, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_contract(case: Case, bench: Bench) -> None:
    """The PostgreSQL rotator keeps every case of the rotator contract."""
    case(bench)
