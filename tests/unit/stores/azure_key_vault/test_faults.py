"""Every method of the store, with every fault in every one of its requests."""

import pytest

from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.stores.azure_key_vault.whose import Whose
from keyturn.testing.faulty_key_vault import FaultyKeyVault
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.store_faults import CASES, DIRECT_CASES, StoreFault, named, withstands
from tests.unit.stores.azure_key_vault.places import HASTY, TIMEOUT, requests_to

TWINS = {StoreFault.UNAVAILABLE, StoreFault.UNAVAILABLE_AFTER}
"""A 503 goes the way of a 500; test_errors.py shows that."""

WRITES = ("stage", "promote", "retire", "put")
AS_A_RESET = {(method, fault) for method in WRITES for fault in (StoreFault.INTERNAL, StoreFault.HTML)}
"""A write that did not happen and was not answered is one thing, whatever came instead of an answer."""

WHAT_DIFFERS = [case for case in (*CASES, *DIRECT_CASES) if case[1] not in TWINS and case not in AS_A_RESET]


@pytest.mark.parametrize(("method", "fault"), WHAT_DIFFERS, ids=named)
def test_faults(method: str, fault: StoreFault, server: KeyVaultServer) -> None:
    """Whatever goes wrong at the vault, the error says what is true and the call can be repeated."""
    requests = {hasty: requests_to(server, timeout=HASTY if hasty else TIMEOUT) for hasty in (False, True)}

    def connect(hasty: bool) -> AzureKeyVault:  # noqa: FBT001 - what FaultyKeyVault calls
        return AzureKeyVault(requests[hasty], whose=Whose("clo", "production"), looks=(0.0,), pause=lambda _: None)

    withstands(FaultyKeyVault(server, connect, match="* /secrets*"), method, fault)
