"""Every method of the store, with every fault in every one of its requests."""

import pytest

from keyturn.testing.faulty_key_vault import FaultyKeyVault
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.store_faults import CASES, StoreFault, named, withstands
from tests.unit.stores.azure_key_vault.places import HASTY, TIMEOUT, over, requests_to

TWINS = {StoreFault.UNAVAILABLE, StoreFault.UNAVAILABLE_AFTER}
"""A 503 goes the way of a 500; test_errors.py shows that."""


@pytest.mark.parametrize(("method", "fault"), [case for case in CASES if case[1] not in TWINS], ids=named)
def test_faults(method: str, fault: StoreFault, server: KeyVaultServer) -> None:
    """Whatever goes wrong at the vault, the error says what is true and the call can be repeated."""
    requests = {hasty: requests_to(server, timeout=HASTY if hasty else TIMEOUT) for hasty in (False, True)}
    withstands(FaultyKeyVault(server, lambda hasty: over(requests[hasty]), match="* /secrets*"), method, fault)
