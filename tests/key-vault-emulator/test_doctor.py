"""What doctor asks, asked of the emulators: its requests change nothing there either, and their log counts them."""

from collections import Counter
from pathlib import Path

import pytest

from keyturn.core.rights import Leave
from keyturn.testing.full_vault import install
from keyturn.testing.key_vault_contents import Role
from keyturn.testing.key_vault_emulator import KeyVaultEmulator
from tests.cli.conftest import Keyturn
from tests.unit.stores.azure_key_vault.places import bundle, over, requests_to
from tests.unit.testing.key_vault_pair import pair, vault

__all__ = ["pair", "vault"]

MANY, PAGE = 100, 25


@pytest.mark.parametrize("role", [Role.OFFICER, Role.READER, Role.NOTHING])
def test_rights_are_told_as_they_are_and_nothing_is_written(vault: KeyVaultEmulator, role: Role) -> None:
    """Granted to who may, denied to who may not, and the version that was there is the only one."""
    store = over(requests_to(vault))  # type: ignore[arg-type] # what it uses of the double, the emulator has, too
    store.stage("database", bundle(), "one")
    vault.roles[vault.client_id] = role
    told = {right.purpose: right.leave for right in store.rights(["database"])}
    vault.roles[vault.client_id] = Role.OFFICER
    assert [version.id for version in store.versions("database")] == ["one"]
    assert (told.get("read, write, disable versions of 'database'") is Leave.GRANTED) is (role is Role.OFFICER)
    assert (told.get("read 'database'") is Leave.GRANTED) is (role is Role.READER)
    assert (Leave.DENIED in told.values()) is (role is not Role.OFFICER)


def test_their_log_shows_one_request_for_25_secrets_and_no_value(vault: KeyVaultEmulator, tmp_path: Path) -> None:
    """`doctor` asks for pages of the list; `status` asks for nothing."""
    names = [f"secret-{number:03}" for number in range(MANY)]
    keyturn = Keyturn(tmp_path, install(tmp_path, vault, (vault.client_id, vault.client_secret), names))
    vault.requests.clear()
    assert keyturn.document("doctor")["data"]["asked"]["secrets"] == MANY
    asked = Counter(one.path for one in vault.requests if one.path.startswith("/secrets") and one.status != 401)
    assert asked == {"/secrets": MANY // PAGE}
    vault.requests.clear()
    keyturn.document("status")
    assert vault.requests == []
