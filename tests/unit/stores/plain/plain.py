"""Both forms of plain stores on a disk, and what a reader who knows nothing of Keyturn sees of them."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from keyturn.core.secret import Bundle, SecretValue
from keyturn.stores.plain import EnvFile, PlainStore, SecretFiles
from keyturn.stores.plain.directory import OWN
from keyturn.stores.plain.keeping import Keeping
from keyturn.system import dotenv

CANARY = "canary-5b1e77"
Visible = Mapping[str, SecretValue | None]


@dataclass(frozen=True)
class Plain:
    """One store below `root`, which is private."""

    kind: str
    root: Path

    @property
    def path(self) -> Path:
        """What everybody reads."""
        return self.root / ("secrets" if self.kind == "files" else ".env")

    @property
    def own(self) -> Path:
        """What is Keyturn's own."""
        return self.path / OWN if self.kind == "files" else self.root / ".env.keyturn"

    def open(self) -> PlainStore:
        """Another handle on it."""
        form = SecretFiles(self.path) if self.kind == "files" else EnvFile(self.path)
        return PlainStore(form, Keeping(self.own))

    def named(self, place: str) -> str:
        """A place as this form calls it."""
        return place if self.kind == "files" else place.upper()

    def visible(self) -> Visible:
        """What stands where, without Keyturn."""
        if self.kind == "files":
            return {path.name: SecretValue(path.read_text()) for path in self._files()}
        text = self.path.read_text() if self.path.exists() else ""
        return {line.key: line.value for line in dotenv.parse(text) if line.key}

    def put(self, place: str, text: str) -> None:
        """Write a value there as a person would."""
        if self.kind == "files":
            self.path.mkdir(mode=0o700, exist_ok=True)
            (self.path / place).write_text(text)
            (self.path / place).chmod(0o600)
            return
        old = dotenv.parse(self.path.read_text()) if self.path.exists() else ()
        self.path.write_text(dotenv.render(dotenv.assigned(old, place, SecretValue(text))))
        self.path.chmod(0o600)

    def take(self, place: str) -> None:
        """Remove a value there as a person would."""
        if self.kind == "files":
            (self.path / place).unlink()
        else:
            self.path.write_text(dotenv.render(dotenv.without(dotenv.parse(self.path.read_text()), place)))

    def copy(self, to: Path) -> "Plain":
        """A copy of everything."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.root, to, symlinks=True)
        return Plain(self.kind, to)

    def litter(self) -> list[str]:
        """Temporary files that lie about."""
        return sorted(path.name for path in self.root.rglob("*.tmp"))

    def _files(self) -> Iterator[Path]:
        return (path for path in self.path.iterdir() if path.is_file() and not path.name.startswith("."))


def pair(text: str) -> Bundle:
    """Two fields."""
    return Bundle({"username": f"{CANARY}-{text}-u", "password": f"{CANARY}-{text}-p"})


def one(text: str) -> Bundle:
    """One value."""
    return Bundle({"value": f"{CANARY}-{text}"})


def current(store: PlainStore, name: str, bundle: Bundle, attempt: str) -> str:
    """Stage and promote it."""
    before = store.current(name)
    store.stage(name, bundle, attempt)
    return store.promote(name, attempt, before)
