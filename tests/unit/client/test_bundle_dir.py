"""The source `bundle-dir`: one generation at a time, whole, from a directory that nobody else writes to."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keyturn.client.sources import open_source
from keyturn.client.sources.bundle_dir import BundleDirectory, _SwitchedAway
from keyturn.core.errors import AdapterError, Corrupt, Denied, NotFound
from keyturn.core.secret import SecretValue
from keyturn.system.files import Directory
from tests.unit.client.place import Place, consistent


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An application with v1 delivered."""
    return Place(tmp_path)


def source(place: Place, *secrets: str) -> BundleDirectory:
    """A source on the bundle, for `database` unless told otherwise."""
    return BundleDirectory({"kind": "bundle-dir", "path": str(place.run / "bundle")}, secrets or ("database",))


def test_a_generation_is_returned_once(place: Place) -> None:
    """Then nothing, until another one lies there."""
    opened = source(place)
    first = opened.changed()
    assert first is not None
    assert (first.environment, first.views["database"].version, set(first.views)) == ("test", "v1", {"database"})
    assert opened.changed() is None
    place.deliver("v2")
    second = opened.changed()
    assert second is not None
    assert second.views["database"]["password"] == SecretValue("password-v2")


def test_a_look_that_failed_is_made_again(place: Place) -> None:
    """A generation counts as seen only when it was read to its end."""
    opened = source(place)
    password = place.run / "bundle" / "database.password"
    content = password.read_bytes()
    password.unlink()
    with pytest.raises(Corrupt, match="not complete"):
        opened.changed()
    password.write_bytes(content)
    password.chmod(0o600)
    assert opened.changed() is not None


@pytest.mark.parametrize(("file", "content", "kind"), [
    ("index.json", b"{}", Corrupt),
    ("index.json", b" " * 2_000_000, AdapterError),
    ("database.password", b"\xff", Corrupt),
    ("database.password", b"a\0b", Corrupt),
    ("database.password", b"line\n", Corrupt),
    ("database.proof-key", b"", Corrupt),
    ("database.proof-key", b"zz" * 32, Corrupt),
])  # fmt: skip
def test_content_that_keyturn_did_not_write_is_refused(
    place: Place, file: str, content: bytes, kind: type[AdapterError]
) -> None:
    """With the file, and none of its content."""
    (place.run / "bundle" / file).write_bytes(content)
    with pytest.raises(kind) as caught:
        source(place).changed()
    assert "password-" not in caught.value.message


@pytest.mark.parametrize("name", [".", "index.json", "database.password"])
def test_what_others_can_write_to_is_refused(place: Place, name: str) -> None:
    """They could choose the application's credentials."""
    (place.run / "bundle" / name).chmod(0o777)
    with pytest.raises(Denied, match="0777"):
        source(place).changed()


def test_a_link_in_place_of_a_field_is_refused(place: Place) -> None:
    """It could lead to any file that the application may read."""
    field = place.run / "bundle" / "database.password"
    field.rename(place.run / "elsewhere")
    field.symlink_to(place.run / "elsewhere")
    with pytest.raises(Denied, match="a link"):
        source(place).changed()


def test_what_is_not_there_is_not_found(place: Place) -> None:
    """A secret, a published name in its place, the bundle: declared or not, the first delivery may be still to come."""
    with pytest.raises(NotFound, match="'redis'") as secret:
        source(place, "redis").changed()
    assert secret.value.remedy.startswith("keyturn tick delivers it, if")
    with pytest.raises(NotFound, match="'database-url'") as published:
        source(place, "database-url").changed()
    assert published.value.remedy == "it is a published name: list its secret, 'database'"
    (place.run / "bundle").unlink()
    with pytest.raises(NotFound, match="nothing was delivered there") as bundle:
        source(place).changed()
    assert bundle.value.remedy.startswith("keyturn tick delivers it, if")


def test_the_nonce_is_what_keyturn_asks_about(place: Place) -> None:
    """Empty when there is none, when it is no challenge, or when others could have written it."""
    challenge = place.run / "challenge"
    assert len(source(place).nonce()) == 64
    challenge.chmod(0o666)
    assert source(place).nonce() == ""
    challenge.chmod(0o600)
    challenge.write_text("{}")
    assert source(place).nonce() == ""
    challenge.unlink()
    assert source(place).nonce() == ""


@pytest.mark.parametrize("table", [{}, {"kind": "bundle-dir"}, {"kind": 1}, {"kind": "bundle-dir", "path": "run"}])
def test_a_table_that_describes_no_source_is_refused(table: dict[str, object]) -> None:
    """Before anything is opened."""
    with pytest.raises(ValueError, match=r"."):
        open_source(table, ("database",))


SWAPPER = """
import sys
from pathlib import Path
from keyturn.system.files import Directory
from tests.unit.client.place import Place
place = Place(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    place.deliver(f"n{number}")
    if number == 1:
        print("swapping", flush=True)
"""


@contextmanager
def swapping(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that delivers without rest, killed at the end."""
    command = [sys.executable, "-c", SWAPPER, str(home)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_readers_of_the_directory_see_whole_generations(tmp_path: Path) -> None:
    """A fresh source at each read, against a process that switches and removes: none mixed, none missing."""
    table = {"kind": "bundle-dir", "path": str(tmp_path / "run" / "bundle")}
    wrong = []
    with swapping(tmp_path):
        for _ in range(3000):
            generation = BundleDirectory(table, ("database",)).changed()
            if generation is None or not consistent(generation.views["database"]):
                wrong.append(generation)
    assert wrong == []


def test_a_delivery_that_is_killed_leaves_a_whole_generation(tmp_path: Path) -> None:
    """At any point; and the next delivery puts the rest right."""
    table = {"kind": "bundle-dir", "path": str(tmp_path / "run" / "bundle")}
    for _ in range(5):
        with swapping(tmp_path) as process:
            process.kill()
            process.wait()
        generation = BundleDirectory(table, ("database",)).changed()
        assert generation is not None
        assert consistent(generation.views["database"])
        shutil.rmtree(tmp_path / "run")


def test_a_generation_that_is_removed_while_it_is_read_is_left_for_the_next(place: Place) -> None:
    """What was opened cannot be read to its end; a new look opens what lies there now."""
    opened = source(place)
    with Directory(place.run / "bundle", follow=True) as removed:
        place.deliver("v2")
        place.deliver("v3")
        with pytest.raises(_SwitchedAway):
            opened._read(removed)
    generation = opened.changed()
    assert generation is not None
    assert generation.views["database"].version == "v3"
