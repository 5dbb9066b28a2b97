"""The start of an application that reads 50 secrets from a Key Vault, as a whole process.

The vault is a double over TLS whose every answer takes 20 ms longer. Peers: the guide's way, one SDK client and one
secret after the other; and ten threads on one SDK client that was used once before, so that they share its token. Both
peers ask for the tenant by a request without a token and look up the issuer, as the SDK does.
"""

import codecs
import json
import tempfile
import time
from pathlib import Path

from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient

from bench.measure import Figure, Goal, Process, in_turn, ratio, seconds
from keyturn.core.key_vault import mark_of
from keyturn.core.secret import Bundle
from keyturn.stores.azure_key_vault.entries import tags_of
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.key_vault_front import Incoming, Outgoing

SECRETS, LATENCY = 50, 0.02
ROUNDS = 9
GOAL_GUIDE, GOAL_THREADS = Goal(1 / 6), Goal(1 / 2.5)
OURS = """
import sys
from keyturn.client import Secrets
with Secrets.open(sys.argv[1]) as secrets:
    assert all(secrets[f"secret-{n}"].version == "v1" for n in range(50))
"""
SDK = """
import json, sys
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient
from pathlib import Path
told = json.loads(Path(sys.argv[1]).with_name("peer.json").read_text())
credential = ClientSecretCredential(
    told["tenant"], told["client"], open(told["secret_file"]).read(), authority=told["authority"],
    disable_instance_discovery=True, connection_verify=told["ca_file"])
client = SecretClient(told["url"], credential, connection_verify=told["ca_file"], verify_challenge_resource=False)
names = [f"secret-{n}" for n in range(50)]
"""
SEQUENTIAL = SDK + "found = [client.get_secret(name).value for name in names]\nassert len(found) == 50"
THREADS = (
    SDK
    + """
from concurrent.futures import ThreadPoolExecutor
first = client.get_secret(names[0]).value
with ThreadPoolExecutor(10) as pool:
    found = [first, *pool.map(lambda name: client.get_secret(name).value, names[1:])]
assert len(found) == 50
"""
)


class Distant(KeyVaultServer):
    """A vault whose answers take their time."""

    slow = False

    def answer(self, asked: Incoming) -> Outgoing:
        """What it says, later."""
        if self.slow:
            time.sleep(LATENCY)
        return super().answer(asked)


def measure(scratch: Path) -> list[Figure]:
    """Each of them in turn; and how many requests of ours the vault saw."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder, Distant() as vault:
        file = _filled(vault, Path(folder))
        things = {
            "ours": Process("-c", OURS, str(file)),
            "guide": Process("-c", SEQUENTIAL, str(file)),
            "threads": Process("-c", THREADS, str(file)),
        }
        times = in_turn(things, ROUNDS)
        vault.requests.clear()
        things["ours"]()
        asked = list(vault.requests)
    return [
        ratio("cold_start_over_guide", times["ours"], times["guide"], GOAL_GUIDE),
        ratio("cold_start_over_azure_threads", times["ours"], times["threads"], GOAL_THREADS),
        seconds("cold_start", times["ours"]),
        seconds("cold_start_guide", times["guide"]),
        ratio("cold_start_cpu_over_guide", things["ours"].cpu[1 : ROUNDS + 1], things["guide"].cpu[1:]),
        Figure("cold_start_requests", len(asked), "requests", 1, 0.0, Goal(SECRETS + 1)),
    ]


def _filled(vault: Distant, folder: Path) -> Path:
    """Bundles as Keyturn writes them; the client file, and beside it what the peers need."""
    secret, peer = folder / "client-secret", folder / "peer.json"
    secret.write_text("".join(vault.client_secret["value"].reveal()))
    told = {
        "tenant": vault.tenant_id,
        "client": vault.client_id,
        "secret_file": str(secret),
        "authority": vault.authority,
        "url": vault.url,
        "ca_file": vault.ca_file,
    }
    peer.write_text(json.dumps(told))
    names = [f"secret-{number}" for number in range(SECRETS)]
    with SecretClient(
        vault.url,
        ClientSecretCredential(
            vault.tenant_id,
            vault.client_id,
            secret.read_text(),
            authority=vault.authority,
            disable_instance_discovery=True,
            connection_verify=vault.ca_file,
        ),
        connection_verify=vault.ca_file,
        verify_challenge_resource=False,
    ) as client:
        for name in names:
            bundle = Bundle({"value": f"value of {name}"})
            text = codecs.decode(bundle.reveal(), "ascii")
            client.set_secret(name, text, tags=tags_of(name, "v1", 1, mark_of(bundle)))
    vault.slow = True
    identity = {
        "kind": "client-secret",
        "tenant_id": vault.tenant_id,
        "client_id": vault.client_id,
        "secret_file": str(secret),
    }
    source = {
        "kind": "azure-key-vault",
        "url": vault.url,
        "identity": identity,
        "ca_file": vault.ca_file,
        "authority": vault.authority,
    }
    file = folder / "keyturn.client.json"
    file.write_text(json.dumps({"schema": "keyturn/client/1", "source": source, "secrets": names}))
    return file
