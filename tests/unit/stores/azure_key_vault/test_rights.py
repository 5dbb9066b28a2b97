"""Which rights the vault says that an identity has, and that asking changes nothing."""

import pytest

from keyturn.core.derived import Derived, Form
from keyturn.core.errors import InvalidName, Unavailable
from keyturn.core.rights import Leave, Right, StoreRights
from keyturn.core.secret import SecretValue
from keyturn.stores.azure_key_vault.errors import Refusal
from keyturn.stores.azure_key_vault.names import sibling
from keyturn.stores.azure_key_vault.rights import Mend, Method, rights
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.key_vault_contents import Role
from keyturn.testing.key_vault_faults import Fault
from tests.unit.stores.azure_key_vault.places import outsider, promoted, requests_to

NAMES = ("database", "smtp")
MEND = Mend("11111111-2222-3333-4444-555555555555", "/subscriptions/s/resourceGroups/g/providers/p/vaults/v")


def _short(found: tuple[Right, ...]) -> list[tuple[str, Leave]]:
    return [(right.purpose, right.leave) for right in found]


def _kept(server: KeyVaultServer) -> list[tuple[str, str, object, object]]:
    """Everything that the vault holds, versions, tags and states."""
    with outsider(server) as client:
        return [
            (one.name or "", version.version or "", version.enabled, version.tags)
            for one in client.list_properties_of_secrets()
            for version in client.list_properties_of_secret_versions(one.name or "")
        ]


def test_an_officer_may_all_of_it_and_the_vault_is_as_before(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """For names that are there and names that are not: granted, six requests each, no value read, nothing written."""
    promoted(store, "database", "one", "one")
    before = _kept(server)
    server.requests.clear()
    assert isinstance(store, StoreRights)
    found = store.rights(NAMES)
    asked = [one for one in server.requests if one.status != 401 and one.path.startswith("/secrets")]
    assert {right.leave for right in found} == {Leave.GRANTED}
    assert [right.purpose for right in found] == [
        f"read, write, disable versions of {entry!r}" for name in NAMES for entry in (sibling(name), name)
    ]
    assert len(asked) == 6 * len(NAMES)
    assert {one.status for one in asked} == {400, 404}
    assert _kept(server) == before


def test_a_reader_may_not_write_and_each_line_says_what_mends_it(server: KeyVaultServer) -> None:
    """Key Vault Secrets User reads; what is missing comes with the role assignment as bootstrap azure writes it."""
    server.roles[server.client_id] = Role.READER
    found = AzureKeyVault(requests_to(server), mend=MEND).rights(["database"])
    assert _short(found) == [
        ("read 'database--kt-pending'", Leave.GRANTED),
        ("write, disable versions of 'database--kt-pending'", Leave.DENIED),
        ("read 'database'", Leave.GRANTED),
        ("write 'database'", Leave.UNKNOWN),
        ("disable versions of 'database'", Leave.DENIED),
    ]
    assert found[1].mend == (
        f'az role assignment create --assignee {MEND.client_id} --role "Key Vault Secrets Officer" '
        f"--scope {MEND.resource_id}/secrets/database--kt-pending"
    )
    assert not [one for one in server.requests if (one.method, one.path) == ("PUT", "/secrets/database")]


def test_nobody_may_nothing(server: KeyVaultServer) -> None:
    """Without any role each right is missing, and what to fill in stands in capitals."""
    server.roles[server.client_id] = Role.NOTHING
    found = AzureKeyVault(requests_to(server)).rights(["database"])
    assert {right.leave for right in found if not right.purpose.startswith("write 'database'")} == {Leave.DENIED}
    assert "--assignee-object-id OBJECT-ID-OF-KEYTURN" in found[0].mend
    assert "RESOURCE-ID-OF-THE-VAULT/secrets/" in found[0].mend


COPIES = (
    Derived("database-url", "DATABASE-URL", Form.SECRET, "database"),
    Derived("site-tls", "site-tls", Form.CERTIFICATE, "database"),
    Derived("signer", "signer", Form.KEY, "database"),
    Derived("elsewhere", "elsewhere", Form.KEY, "smtp"),
)


def test_copies_are_asked_for_in_their_own_form_and_nothing_is_made(
    server: KeyVaultServer, store: AzureKeyVault
) -> None:
    """Secrets, certificates and keys: three questions for each copy of a name that is asked for, no others."""
    server.roles[server.client_id] = Role.OFFICERS
    store.derive(COPIES[0], "v1", SecretValue("postgresql://one"), "1" * 64)
    before = _kept(server)
    server.requests.clear()
    found = store.rights(["database"], COPIES)
    assert _short(found[2:]) == [
        ("read, write, disable versions of 'DATABASE-URL'", Leave.GRANTED),
        ("read, write, disable versions of the certificate 'site-tls'", Leave.GRANTED),
        ("read, write, disable versions of the key 'signer'", Leave.GRANTED),
    ]
    asked = [one for one in server.requests if one.path.startswith(("/secrets", "/certificates", "/keys"))]
    assert sorted(one.status for one in asked if one.status != 401) == [400] * 5 + [404] * 10
    assert not [one for one in asked if "elsewhere" in one.path]
    assert _kept(server) == before


def test_a_copy_that_may_not_be_written_names_the_role_of_its_form(server: KeyVaultServer) -> None:
    """The officer of secrets may neither certificates nor keys; each is granted by a role of its own, where it lies."""
    server.roles[server.client_id] = Role.OFFICER
    found = AzureKeyVault(requests_to(server), mend=MEND).rights(["database"], COPIES)
    denied = [right for right in found if right.leave is not Leave.GRANTED]
    assert _short(tuple(denied)) == [
        ("read, write, disable versions of the certificate 'site-tls'", Leave.DENIED),
        ("read, write, disable versions of the key 'signer'", Leave.DENIED),
    ]
    assert f'"Key Vault Certificates Officer" --scope {MEND.resource_id}/certificates/site-tls' in denied[0].mend
    assert f'"Key Vault Crypto Officer" --scope {MEND.resource_id}/keys/signer' in denied[1].mend


def test_a_copy_is_not_asked_to_be_written_where_the_sibling_was_not_refused() -> None:
    """Other programs read a copy, too: a server that takes a write without a value is not met there."""
    written = []

    def ask(method: Method, entry: str, _rest: str) -> Refusal:
        if method == "PUT":
            written.append(entry)
        return Refusal(200)

    rights({Form.SECRET: ask}, ["database"], MEND, COPIES[:1])
    assert written == [sibling("database")]


def test_a_deleted_name_is_told_before_a_rotation_meets_it(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Soft delete holds the name: whether it may be written cannot be told, and the reason is."""
    promoted(store, "database", "one", "one")
    with outsider(server) as client:
        client.begin_delete_secret("database").wait()
    found = {right.purpose: right for right in store.rights(["database"])}
    assert found["write 'database'"].leave is Leave.UNKNOWN
    assert "az keyvault secret recover" in found["write 'database'"].why


@pytest.mark.parametrize("fault", [Fault.INTERNAL, Fault.THROTTLED, Fault.HTML, Fault.RESET, Fault.EXPIRED])
def test_an_answer_that_says_nothing_of_rights_is_unknown(server: KeyVaultServer, fault: Fault) -> None:
    """Neither granted nor denied, and the reason is in words of our own."""
    store = AzureKeyVault(requests_to(server))
    store.names()
    server.fail("PATCH /secrets/database/*", fault, times=20)
    right = next(right for right in store.rights(["database"]) if right.leave is not Leave.GRANTED)
    assert right.leave is Leave.UNKNOWN
    assert right.purpose == "disable versions of 'database'"
    assert right.why


def test_a_firewall_and_a_vault_that_takes_anything_are_no_grant() -> None:
    """A 403 of the firewall says nothing of rights; a 200 for a write without a value is not what was asked for."""

    def ask(method: Method, entry: str, version: str) -> Refusal:
        assert (method == "PUT") == (version == "")
        return Refusal(200) if entry == "smtp--kt-pending" else Refusal(403, "Forbidden", "ForbiddenByFirewall")

    found = rights({Form.SECRET: ask}, ["smtp"], MEND)
    assert {right.leave for right in found} == {Leave.UNKNOWN}
    assert {right.why for right in found} == {
        "the vault answered 200",
        "its firewall turns this host away",
        "it is asked when 'smtp--kt-pending' may be written",
    }


def test_the_name_itself_is_never_asked_to_be_written_unless_its_sibling_was_refused() -> None:
    """A server that would take a write without a value is found out where nobody reads."""
    written = []

    def ask(method: Method, entry: str, _version: str) -> Refusal:
        if method == "PUT":
            written.append(entry)
        return Refusal(200)

    rights({Form.SECRET: ask}, ["smtp"], MEND)
    assert written == [sibling("smtp")]


def test_no_answer_and_no_name_at_all(server: KeyVaultServer) -> None:
    """A vault that is away is unknown, each for itself; a name that cannot be is refused before anything is sent."""

    def away(_method: Method, _entry: str, _version: str) -> Refusal:
        raise Unavailable("nobody listens there")

    assert {right.why for right in rights({Form.SECRET: away}, ["smtp"], MEND)} >= {"nobody listens there"}
    with pytest.raises(InvalidName):
        AzureKeyVault(requests_to(server)).rights(["a/../b"])
    assert server.requests == []
