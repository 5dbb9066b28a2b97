"""Every method of derived copies, in each form, with every fault in every one of its requests."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from azure.keyvault.certificates import CertificateClient
from azure.keyvault.keys import KeyClient
from azure.keyvault.secrets import SecretClient
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keyturn.core.derived import Derived, Form
from keyturn.core.errors import AdapterError, OutcomeUnknown
from keyturn.core.secret import SecretValue
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.testing.certificates import Authority
from keyturn.testing.derived_contract import MARKS
from keyturn.testing.faulty_key_vault import FAULTS, FOR_GOOD
from keyturn.testing.key_vault import KeyVaultServer, Role
from keyturn.testing.store_faults import LASTING, NOTHING_DONE, StoreFault, named
from tests.unit.stores.azure_key_vault.places import HASTY, TIMEOUT, outside, store_of

AUTHORITY = Authority()
MOST_REQUESTS = 12
SLOW = {StoreFault.SILENCE, StoreFault.SILENCE_AFTER}
TWINS = {StoreFault.UNAVAILABLE, StoreFault.UNAVAILABLE_AFTER}
"""A 503 goes the way of a 500; test_errors.py shows that."""


def _certificate() -> SecretValue:
    leaf = AUTHORITY.issue("clo.example.com")
    return SecretValue(leaf.chain.decode() + leaf.private_key.decode())


def _key() -> SecretValue:
    key = ec.generate_private_key(ec.SECP256R1())
    return SecretValue(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


CONTENTS: Mapping[Form, tuple[SecretValue, ...]] = {
    Form.SECRET: tuple(SecretValue(f"postgresql://the-content-of-a-derived-copy-{n}") for n in range(3)),
    Form.CERTIFICATE: tuple(_certificate() for _ in range(3)),
    Form.KEY: tuple(_key() for _ in range(3)),
}
CLIENTS: Mapping[Form, tuple[Callable[..., Any], str]] = {
    Form.SECRET: (SecretClient, "list_properties_of_secret_versions"),
    Form.CERTIFICATE: (CertificateClient, "list_properties_of_certificate_versions"),
    Form.KEY: (KeyClient, "list_properties_of_key_versions"),
}
METHODS: Mapping[str, Callable[[AzureKeyVault, Derived], object]] = {
    "derive": lambda store, copy: store.derive(copy, "v3", CONTENTS[copy.form][2], MARKS[0]),
    "shows": lambda store, copy: store.shows(copy),
    "shown": lambda store, copy: store.shown([copy]),
    "withdraw": lambda store, copy: store.withdraw(copy, "v1"),
}
READS = ("shows", "shown")
MARKED = {StoreFault.RESET, StoreFault.RESET_AFTER, StoreFault.THROTTLED, StoreFault.HALF_BODY_AFTER, StoreFault.DENIED}
"""What objects are asked with: the rest of the way is that of secrets."""

CASES = [
    (method, fault, form)
    for method in METHODS
    for fault in StoreFault
    for form in Form
    if fault not in TWINS and not (fault in SLOW and method in READS) and (form is Form.SECRET or fault in MARKED)
]


def _prepared(store: AzureKeyVault, form: Form, number: int) -> Derived:
    copy = Derived("a-view", f"copy-{number}", form, "database")
    for version, content in (("v1", CONTENTS[form][0]), ("v2", CONTENTS[form][1])):
        store.derive(copy, version, content, MARKS[0])
    return copy


def _held(server: KeyVaultServer, copy: Derived) -> Counter[tuple[str, bool]]:
    """Which version each one shows, and whether it is on."""
    make, listed = CLIENTS[copy.form]
    with outside(server, make) as client:
        return Counter((one.tags["kt-op"], bool(one.enabled)) for one in getattr(client, listed)(copy.entry))


def _fail(server: KeyVaultServer, form: Form, fault: StoreFault, request: int) -> Callable[[], bool]:
    """Let that request go wrong; whether it has."""
    if fault is StoreFault.REFUSED:
        server.down = request == 1
        return lambda: request == 1
    kind, after = FAULTS[fault]
    times = FOR_GOOD if fault in LASTING else 1
    planned = server.fail(f"* /{form}s*", kind, times=times, after=after, skip=request - 1)
    return lambda: planned.struck > 0


def _chain(error: BaseException | None) -> list[BaseException]:
    return [error, *_chain(error.__cause__), *_chain(error.__context__)] if error is not None else []


def _stands_in(content: str, text: str) -> bool:
    """A piece of its middle: the first line of a key is that of all keys."""
    return content[28:50] in text


@pytest.mark.parametrize(("method", "fault", "form"), CASES, ids=named)
def test_faults(method: str, fault: StoreFault, form: Form, server: KeyVaultServer) -> None:
    """Only an AdapterError comes out, it tells the truth and no value, and the same call again ends as without it."""
    server.roles[server.client_id] = Role.OFFICERS
    calm = store_of(server)
    unbroken = _prepared(calm, form, 0)
    before = _held(server, unbroken)
    METHODS[method](calm, unbroken)
    wanted = _held(server, unbroken)
    for request in range(1, MOST_REQUESTS):
        copy = _prepared(calm, form, request)
        store = store_of(server, timeout=HASTY if fault in SLOW else TIMEOUT)
        struck = _fail(server, form, fault, request)
        try:
            METHODS[method](store, copy)
        except AdapterError as error:
            failure: AdapterError | None = error
        else:
            failure = None
        finally:
            server.mend()
        if not struck():
            assert failure is None
            assert request > 1
            return
        after = _held(server, copy)
        if failure is None:
            assert after == wanted
        elif not isinstance(failure, OutcomeUnknown):
            assert after == before
            assert isinstance(failure, NOTHING_DONE.get(fault, AdapterError))
        text = " ".join(f"{one} {one!r} {vars(one)!r}" for one in _chain(failure))
        assert not [n for n, content in enumerate(CONTENTS[form]) if _stands_in(content.reveal(), text)]
        for _ in range(2):
            METHODS[method](store_of(server), copy)
        assert _held(server, copy) == wanted
    pytest.fail("it never ends")
