"""An installation with many secrets and a long past: state, manifest and journal, without any target."""

from pathlib import Path

from keyturn.core.secret import Bundle
from keyturn.manifest import load
from keyturn.testing.past import Size, make
from keyturn.wiring import Assembly, create_state, state_of

_HEAD = """\
[service]
name = "large"
environment = "staging"

[keyturn]
state = "{state}"
reconcile = "30d"

[stores.main]
kind = "local"
vault_id = "{vault_id}"

[secrets.postgres-admin]
kind = "manual"
owner = "platform@example.com"
purpose = "Keyturn changes log-in roles"
used_by = "keyturn"
fields = ["username", "password"]
"""
_ONE = """
[secrets.{name}]
kind = "postgres"
owner = "platform@example.com"
purpose = "one of many"
used_by = "keyturn"
rotate = {{ every = "900d", overlap = "1m" }}
target = {{ hosts = ["127.0.0.1:9"], dbname = "clo", owner_role = "clo", roles = ["{name}-a", "{name}-b"], \
admin = "postgres-admin" }}
"""


def install(folder: Path, size: Size, *, seed: int = 1, stored: bool = False) -> Path:
    """Make it in an empty folder of ours, and return its manifest.

    Args:
        folder: for state and manifest.
        size: how many secrets, how many events.
        seed: of what is drawn.
        stored: whether the vault holds each current version, too; that takes its time.
    """
    state = state_of(folder / "state", {})
    vault_id, *_ = create_state(state)
    manifest = folder / "keyturn.toml"
    head = _HEAD.format(state=state.directory, vault_id=vault_id)
    manifest.write_text(head + "".join(_ONE.format(name=name) for name in size.names()))
    manifest.chmod(0o600)
    current = _keep(manifest, size) if stored else None
    make(state.journal, state.high_water, size, seed=seed, current=current)
    return manifest


def _keep(manifest: Path, size: Size) -> dict[str, str]:
    """One version of each secret in the vault; its id by the name of the secret."""
    assembly = Assembly(load(manifest))
    try:
        vault = assembly.store_named("main")
        for name in size.names():
            vault.stage(name, Bundle({"username": f"{name}-a", "password": f"of {name}"}), name)
        return {name: vault.promote(name, name, None) for name in size.names()}
    finally:
        assembly.close()
