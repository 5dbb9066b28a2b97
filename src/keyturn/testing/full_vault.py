"""An installation whose store is a Key Vault that holds many secrets, for tests and measurements at size.

The vault is the double or the emulator; it is filled by the SDK with the bytes and tags that Keyturn itself would have
written. No target and no consumer belongs to it.
"""

import codecs
from collections.abc import Iterable
from pathlib import Path

from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient

from keyturn.core.ids import uuid7
from keyturn.core.key_vault import mark_of
from keyturn.core.secret import Bundle
from keyturn.journal.noting import note
from keyturn.journal.record import Event
from keyturn.manifest import load
from keyturn.rotation.intake import Place, take_in
from keyturn.stores.azure_key_vault.entries import tags_of
from keyturn.testing.key_vault_front import Front
from keyturn.wiring import Assembly, create_state, state_of

SIGN_IN = "keyturn-azure"
"""Keyturn's own client secret, in the local vault."""

_HEAD = """\
[service]
name = "clo"
environment = "staging"

[keyturn]
state = "{state}"

[stores.own]
kind = "local"
vault_id = "{vault_id}"

[stores.main]
kind = "azure-key-vault"
url = "{url}"
identity = {{ kind = "client-secret", tenant_id = "{tenant}", client_id = "{client}", credential = "keyturn-azure" }}
ca_file = "{ca}"
authority = "{url}"
verify_challenge_resource = false
{more}
[secrets.keyturn-azure]
kind = "manual"
store = "own"
owner = "platform@example.com"
purpose = "Keyturn signs in at Azure"
used_by = "keyturn"
"""
_ONE = """
[secrets.{name}]
kind = "manual"
store = "main"
owner = "platform@example.com"
purpose = "one of many"
used_by = "keyturn"
"""


def install(folder: Path, vault: Front, client: tuple[str, Bundle], names: Iterable[str], *, more: str = "") -> Path:
    """Make state, manifest, journal and vault in an empty folder of ours.

    Args:
        folder: where.
        vault: that runs and holds none of the names.
        client: id and secret of who may do everything in it.
        names: the secrets, each with one version that is current.
        more: lines for the table of the store.

    Returns:
        The manifest.
    """
    state = state_of(folder / "state", {})
    vault_id, *_ = create_state(state)
    manifest, names = folder / "keyturn.toml", tuple(names)
    head = _HEAD.format(
        state=state.directory,
        vault_id=vault_id,
        url=vault.url,
        tenant=vault.tenant_id,
        client=client[0],
        ca=vault.ca_file,
        more=more,
    )
    manifest.write_text(head + "".join(_ONE.format(name=name) for name in names))
    manifest.chmod(0o600)
    assembly = Assembly(load(manifest))
    lock = state.locks / f"{SIGN_IN}.lock"
    take_in(assembly.journal, Place(SIGN_IN, assembly.store(SIGN_IN), SIGN_IN), client[1], "installation", lock)
    with outsider(vault, client) as vault_client:
        for name in names:
            bundle, attempt = Bundle({"value": f"of {name}"}), uuid7()
            tags = tags_of(name, attempt, 1, mark_of(bundle))
            vault_client.set_secret(name, codecs.decode(bundle.reveal(), "ascii"), tags=tags)
            made = {"rotation": "", "attempt": attempt, "version": attempt, "slot": ""}
            note(assembly.journal, name, Event("version.promoted", {**made, "was": None}))
    assembly.close()
    return manifest


def outsider(vault: Front, client: tuple[str, Bundle]) -> SecretClient:
    """The SDK itself, signed in at that vault: who writes with it is not Keyturn."""
    credential = ClientSecretCredential(
        vault.tenant_id,
        client[0],
        client[1]["value"].reveal(),
        authority=vault.authority,
        disable_instance_discovery=True,
        connection_verify=vault.ca_file,
    )
    return SecretClient(vault.url, credential, verify_challenge_resource=False, connection_verify=vault.ca_file)
