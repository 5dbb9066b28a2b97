"""The kills with the credential in a Key Vault on a bad day, where the emulators do the work."""

from tests.crash.seeded import run_part

EACH = 2


def test_a_rotation_in_the_emulators_on_a_bad_day_loses_nothing_and_fails_no_request() -> None:
    """Killed anywhere while requests fail and answers are lost, it ends well, and the list of requests is clean."""
    kills, logins = run_part(["key-vault-emulators"], EACH)
    assert kills >= 4 * EACH
    assert logins > kills
