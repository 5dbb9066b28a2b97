"""The published vectors, run through the real code: the class that each expects, and no plaintext besides."""

import re
from collections import Counter
from pathlib import Path

import pytest

from keyturn.core.errors import AdapterError, Corrupt, Denied, Disabled, RolledBack
from keyturn.core.secret import SecretValue
from keyturn.stores.local import LocalVault
from tests.vectors.vault_cases import every
from tests.vectors.vault_vector import FOLDER, Vector, sha256

NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))
PLAIN = re.compile("of-the-database|of-the-mail|after-the-removal|plain text")
CLASSES = (
    ("wrong key", Denied, "does not open this vault|is mistyped"),
    ("bad slot", Corrupt, "a key slot of the vault"),
    ("substituted", Corrupt, "another vault"),
    ("disabled", Disabled, "is retired"),
    ("rolled back", RolledBack, ""),
    ("corrupt", Corrupt, "damaged|does not belong|is not an anchor file"),
)


def _vector(name: str) -> Vector:
    return Vector.parse((FOLDER / f"{name}.txt").read_text(encoding="utf-8"))


def _opened(vector: Vector, folder: Path) -> LocalVault:
    """The vault of that vector, in a folder of its own."""
    path, anchor, key_file = folder / "vault.db", folder / "anchor", folder / "key"
    folder.chmod(0o700)
    vector.write_vault(path)
    path.chmod(0o600)
    if vector.anchor != "none":
        anchor.touch(0o600)
        anchor.write_text(vector.anchor)
    kind, key = vector.opens_with
    if kind != "key-file":
        return LocalVault.recover(
            path, SecretValue(key), key_file=key_file, anchor=anchor, vault_id=vector.vault_id, kind=kind
        )
    key_file.touch(0o600)
    key_file.write_text(key)
    return LocalVault.open(path, key_file=key_file, anchor=anchor, vault_id=vector.vault_id)


def _class(error: AdapterError) -> str:
    """The first class that fits; what fits none fails the test."""
    return next(name for name, kind, told in CLASSES if isinstance(error, kind) and re.search(told, error.message))


def _outcome(vector: Vector, folder: Path) -> tuple[str, int]:
    """The class, and how many bundles came out, each of which was the right one."""
    found, released = "success", 0
    try:
        vault = _opened(vector, folder)
    except AdapterError as error:
        return _told(error), 0
    for name, version, digest in vector.reads:
        try:
            bundle = vault.read(name, version)
        except AdapterError as error:
            found = _told(error)
        else:
            assert sha256(bundle.reveal()) == digest
            released += 1
    return found, released


def _told(error: AdapterError) -> str:
    """The class of a refusal that says what and what now, and nothing of the content."""
    told = f"{error!r} {error.message} {error.remedy}"
    assert not PLAIN.search(told)
    assert error.remedy or isinstance(error, Disabled)
    return _class(error)


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_ends_as_it_says(name: str, tmp_path: Path) -> None:
    """The class is the one expected; all of a good vault comes out, and of any other nothing wrong."""
    vector = _vector(name)
    found, released = _outcome(vector, tmp_path)
    assert found == vector.expect
    if found == "success":
        assert released == len(vector.reads)
    else:
        assert released < max(1, len(vector.reads))
    if found in {"wrong key", "bad slot", "substituted", "rolled back"}:
        assert released == 0


def test_there_are_vectors_of_every_class() -> None:
    """More than sixty, and several of each class that refuses."""
    counted = Counter(_vector(name).expect for name in NAMES)
    assert sum(counted.values()) > 60
    assert set(counted) == {"success", *(name for name, _, _ in CLASSES)}
    assert min(counted[name] for name in counted if name != "disabled") >= 3


def test_the_vectors_are_what_the_second_writer_makes() -> None:
    """Made anew they are the same, to the letter; files of SQLite's own layout are compared by all but their bytes."""
    made = {name: vector.text() for name, vector in every()}
    assert sorted(made) == NAMES
    for name, text in made.items():
        vector = _vector(name)
        if vector.body[0] == "rows":
            assert (FOLDER / f"{name}.txt").read_text(encoding="utf-8") == text
        else:
            assert Vector.parse(text).text().partition("\n\n")[0] == vector.text().partition("\n\n")[0]
