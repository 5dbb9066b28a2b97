"""A seeded part of the system calls of a rotation, killed and failed by strace; `make crash` takes them all."""

from tests.crash.seeded import run_part

EACH = 3


def test_a_rotation_that_is_killed_or_failed_at_system_calls_loses_nothing() -> None:
    """A write, sync, rename, unlink, connect or send that is the last one, or fails, leaves a rotation that ends."""
    kills, logins = run_part(["syscall-kills", "syscall-errors"], EACH)
    assert kills >= 4 * EACH
    assert logins > kills
