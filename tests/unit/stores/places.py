"""A small vault on disk, and the means to put it back as it was."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from keyturn.core.secret import Bundle, SecretValue
from keyturn.stores.local import LocalVault

CANARY = "canary-7d1f0c"


@dataclass
class Place:
    """Where a vault lies, and what it should say."""

    root: Path
    vault_id: str
    code: SecretValue
    key: Path | None = None
    """Another key file than its own."""

    @property
    def path(self) -> Path:
        """The vault file."""
        return self.root / "vault/vault.db"

    @property
    def anchor(self) -> Path:
        """Its anchor."""
        return self.root / "state/anchor"

    @property
    def key_file(self) -> Path:
        """What opens it."""
        return self.key or self.root / "key"

    def open(self) -> LocalVault:
        """The vault, opened with its key file."""
        return LocalVault.open(self.path, key_file=self.key_file, anchor=self.anchor, vault_id=self.vault_id)

    def recover(self) -> LocalVault:
        """The vault, opened with its recovery code."""
        return LocalVault.recover(
            self.path, self.code, key_file=self.key_file, anchor=self.anchor, vault_id=self.vault_id
        )

    def copy(self, to: Path) -> "Place":
        """A copy of everything, as a backup would be."""
        shutil.copytree(self.root, to)
        return Place(to, self.vault_id, self.code)

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """The file as somebody else opens it, who has no key."""
        with closing(sqlite3.connect(self.path)) as database, database:
            yield database


def bundle(text: str) -> Bundle:
    """A bundle of one field."""
    return Bundle({"value": text})


def make_place(root: Path) -> Place:
    """An empty vault with directories of its own."""
    root.mkdir(parents=True)
    vault, code = LocalVault.create(root / "vault/vault.db", key_file=root / "key", anchor=root / "state/anchor")
    return Place(root, vault.vault_id, code)


def stage(vault: LocalVault, name: str, attempt: str, text: str) -> str:
    """Stage a bundle of one field; the attempt's name, for `promote`."""
    vault.stage(name, bundle(text), attempt)
    return attempt
