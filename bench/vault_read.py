"""Reading a secret of the local vault, against an age decryption of as many bytes (pyrage, X25519).

Two figures: a version that this process has read before, from a file that has not changed since; and the first read of
each, which opens the file, verifies the root over all of it, and decrypts.
"""

import tempfile
import time
from pathlib import Path

import pyrage

from bench.measure import Figure, Goal, in_turn, ratio
from keyturn.core.secret import Bundle
from keyturn.stores.local import LocalVault

GOAL = Goal(15.0, at_least=True)
ROUNDS = 31
SECRETS, READS, BYTES = 20, 50, 1024
REST = 0.2
"""Seconds after which a vault file counts as left alone (`stores/local/kept.py`)."""


def vault(folder: Path) -> tuple[LocalVault, dict[str, str]]:
    """A vault with some secrets of that size, and the version of each."""
    made, _ = LocalVault.create(folder / "vault.db", key_file=folder / "vault.key", anchor=folder / "vault.anchor")
    names = [f"secret-{number}" for number in range(SECRETS)]
    for name in names:
        made.stage(name, Bundle({"value": "x" * BYTES}), name)
    return made, {name: made.promote(name, name, None) for name in names}


def measure(scratch: Path) -> list[Figure]:
    """Secrets that were read before from a file that has not changed; and each secret's first read of all."""
    identity = pyrage.x25519.Identity.generate()
    sealed = pyrage.encrypt(b"x" * BYTES, [identity.to_public()])
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        made, versions = vault(folder)

        def read(times: int) -> float:
            begun = time.perf_counter()
            for _ in range(times):
                for secret, version in versions.items():
                    made.read(secret, version)
            return (time.perf_counter() - begun) / times

        def first() -> float:
            nonlocal made
            made = LocalVault.open(
                folder / "vault.db",
                key_file=folder / "vault.key",
                anchor=folder / "vault.anchor",
                vault_id=made.vault_id,
            )
            return read(1)

        def age() -> float:
            begun = time.perf_counter()
            for _ in range(READS * SECRETS):
                pyrage.decrypt(sealed, [identity])
            return (time.perf_counter() - begun) / READS

        time.sleep(REST)
        times = in_turn({"first": first, "read": lambda: read(READS), "age": age}, ROUNDS)
    return [
        ratio("age_decrypt_over_vault_read", times["age"], times["read"], GOAL),
        ratio("age_decrypt_over_first_vault_read", times["age"], times["first"]),
    ]
