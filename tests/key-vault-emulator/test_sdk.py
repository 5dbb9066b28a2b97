"""What holds at the double holds at the emulators, too: the tests of it that both must pass.

Left out are those of the first request to an address, which is the same one for all tests here.
"""

from tests.unit.testing.key_vault_clients import client, clients
from tests.unit.testing.key_vault_pair import pair, vault
from tests.unit.testing.test_key_vault import (
    test_api_version,
    test_list_of_secrets,
    test_pages_of_secrets,
    test_pages_of_versions,
    test_purge,
    test_recover,
    test_set_and_get,
    test_wrong_client_secret,
)
from tests.unit.testing.test_key_vault_faults import (
    test_down,
    test_fault,
    test_fault_is_of_its_request,
    test_fault_that_comes_later,
    test_no_token,
    test_refusal,
)

__all__ = [
    "client",
    "clients",
    "pair",
    "test_api_version",
    "test_down",
    "test_fault",
    "test_fault_is_of_its_request",
    "test_fault_that_comes_later",
    "test_list_of_secrets",
    "test_no_token",
    "test_pages_of_secrets",
    "test_pages_of_versions",
    "test_purge",
    "test_recover",
    "test_refusal",
    "test_set_and_get",
    "test_wrong_client_secret",
    "vault",
]
