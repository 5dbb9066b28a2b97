"""A vault that sends its clients somewhere else."""

from collections.abc import Iterator

import pytest

from keyturn.core.errors import OutcomeUnknown, Unavailable
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.key_vault_front import Incoming, Outgoing
from tests.unit.stores.azure_key_vault.places import bundle, requests_to, store_of

ELSEWHERE = "/elsewhere"


class Pointing(KeyVaultServer):
    """A vault that answers each request that has a token with another address, where the same certificate is shown."""

    def answer(self, asked: Incoming) -> Outgoing:
        """307, which asks for the same method and the same content."""
        if self.signed_in(asked) and not asked.path.startswith(ELSEWHERE):
            return Outgoing(307, headers={"Location": self.url + ELSEWHERE + asked.target})
        return super().answer(asked)


@pytest.fixture
def server() -> Iterator[Pointing]:
    """Instead of the one that answers by itself."""
    with Pointing() as running:
        yield running


def test_no_redirect_is_followed(server: Pointing) -> None:
    """Neither a read nor a write goes where a vault points to, and a write that was pointed away is not called done."""
    store = store_of(server)
    with pytest.raises(Unavailable) as caught:
        store.current("database")
    assert "307" in str(caught.value)
    with pytest.raises(OutcomeUnknown):
        requests_to(server).put("database", bundle()["password"], {})
    assert not [one for one in server.requests if one.path.startswith(ELSEWHERE)]
