"""Writes of the store that go wrong where the emulators do the work. The faults are our own: a few are enough."""

from typing import Any

import pytest

from keyturn.testing.store_faults import StoreFault, named
from tests.unit.stores.azure_key_vault import test_faults as of_the_double
from tests.unit.testing.key_vault_pair import pair, server, vault

__all__ = ["pair", "server", "vault"]

FAULTS = (StoreFault.RESET_AFTER, StoreFault.THROTTLED, StoreFault.INTERNAL)


@pytest.mark.parametrize("fault", FAULTS, ids=named)
@pytest.mark.parametrize("method", ["stage", "promote", "retire"])
def test_a_write_that_goes_wrong(method: str, fault: StoreFault, server: Any) -> None:
    """What a write says of a fault is true, and repeated it ends as if nothing had happened."""
    of_the_double.test_faults(method, fault, server)
