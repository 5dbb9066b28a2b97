"""`keyturn init --dev`: an environment to throw away, for one developer, offline: its values are made up at random."""

import secrets
from functools import partial
from pathlib import Path
from typing import Any

from keyturn.cli import client_file
from keyturn.cli.answer import Answer
from keyturn.cli.placing import where
from keyturn.cli.set import deliver
from keyturn.core.errors import Refused
from keyturn.core.kinds import mints
from keyturn.core.secret import Bundle
from keyturn.manifest import load
from keyturn.manifest.dev_template import CONSUMER, dev
from keyturn.rotation.minting import make_first
from keyturn.system.files import Directory, make_directory
from keyturn.wiring import Assembly, assemble, create_state, state_of

MANIFEST, STATE, IGNORE, RUN = "keyturn.toml", ".keyturn", ".gitignore", "run"
CLIENT = "keyturn.client.json"
THROWN_AWAY = "every value is made up, of no use elsewhere, and may be thrown away"
BYTES = 24


def throw_away(here: Path, service: str, environment: str) -> Answer:
    """Make all of it in that directory; nothing that is there is changed.

    Raises:
        Refused: something of it is there already; nothing was made.
        AdapterError: it cannot be made there.
    """
    manifest, client, places = here / MANIFEST, here / CLIENT, state_of(here / STATE)
    for path in (manifest, client, places.directory):
        free(path)
    created = create_state(places)
    run = places.directory / RUN
    with Directory(places.directory) as own:
        own.write(IGNORE, b"*\n")
    for path in (run, run / CONSUMER, run / CONSUMER / "status"):
        make_directory(path)
    text = dev(service, created.vault_id, environment, str(places.directory), run=str(run))
    with Directory(here, follow=True) as folder:
        folder.create(MANIFEST, text.encode(), mode=0o644)
        folder.sync()
    assembly = assemble(load(manifest, None))
    try:
        names = [_made(assembly, name) for name in assembly.manifest.secrets]
        client_file.put(client, client_file.client_file(assembly.manifest, CONSUMER))
    finally:
        assembly.close()
    made = {"manifest": str(manifest), "state": str(places.directory), "key_file": str(places.key_file)}
    data: dict[str, Any] = {**made, "service": service, "environment": environment, "vault_id": created.vault_id}
    data |= {"checkpoint_key": created.checkpoint_key, "recovery_file": None, "directories": [str(run)]}
    data["client_file"] = str(client)
    lines = (
        *(f"{what.replace('_', ' ')}: {path}" for what, path in made.items()),
        f"client file: {client}",
        f"secrets: {', '.join(names)} ({THROWN_AWAY})",
        "next: keyturn run -- CMD starts a program with them",
    )
    ignore = f"{MANIFEST} and {CLIENT} name places of this machine: keep them out of version control"
    return Answer(data, lines, notes=(ignore,))


def free(path: Path) -> None:
    """Raise Refused where something is there."""
    if path.exists() or path.is_symlink():
        raise Refused(f"{path} is there already, and is not overwritten", "keep it, or name another directory")


def _made(assembly: Assembly, name: str) -> str:
    """A first version of that secret, and its delivery. Raises what kept it from being delivered."""
    table, locks = assembly.manifest.secret(name), assembly.state.locks
    make = partial(assembly.minted, name) if mints(table.kind) else partial(_random, table.brought)
    make_first(assembly.journal, assembly.escrow, where(assembly, name), make, locks)
    _, failure = deliver(assembly, name)
    if failure is not None:
        raise failure
    return name


def _random(fields: tuple[str, ...]) -> Bundle:
    return Bundle({one: "app" if one == "username" else secrets.token_urlsafe(BYTES) for one in fields})
