"""A seeded part of every fault that needs neither ptrace nor a Key Vault; `make crash` takes every cell."""

from tests.crash.lanes import IN_KEY_VAULT, LANES
from tests.crash.seeded import run_part

EACH = 3


def test_a_rotation_under_every_fault_loses_nothing_and_fails_no_request() -> None:
    """After every fault the store's credential is accepted, rotations end as decided, and no log-in has failed."""
    lanes = [lane for lane in LANES if not lane.startswith("syscall") and lane not in IN_KEY_VAULT]
    kills, logins = run_part(lanes, EACH)
    assert kills >= 10 * EACH
    assert logins > kills
