"""A seeded part of the kills with the credential in a Key Vault on a bad day; `make crash` takes many more."""

from tests.crash.seeded import run_part

EACH = 3


def test_a_rotation_in_a_key_vault_on_a_bad_day_loses_nothing_and_fails_no_request() -> None:
    """Killed anywhere while requests fail and answers are lost, it ends well, and the vault's list is clean."""
    kills, logins = run_part(["key-vault"], EACH)
    assert kills >= 4 * EACH
    assert logins > kills
