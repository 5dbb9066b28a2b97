"""What an application is told of mounts that no change arrives through."""

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.client.sources import pinned
from tests.unit.client.place import Place

APART = ["unshare", "--map-root-user", "--mount"]
READS = """
import os, sys
from keyturn.client.sources import open_source
kind, path, name, touched = sys.argv[1:]
table = {"kind": kind, {"secret-files": "directory", "bundle-dir": "path"}[kind]: path}
source = open_source(table, (name,))
source.changed()
os.utime(os.path.join(path, touched))
assert source.changed() is not None
"""


def may_be_apart() -> bool:
    """Whether this host lets us make a mount namespace."""
    return shutil.which("unshare") is not None and subprocess.run([*APART, "true"], check=False).returncode == 0


def told(*words: str, over: tuple[Path, Path] | None = None) -> str:
    """What a process says that reads twice, with the one mounted over the other."""
    command = [sys.executable, "-c", READS, *words]
    if over is not None:
        script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        command = [*APART, "sh", "-c", script, "sh", *map(str, over), *command]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def test_a_file_that_is_mounted_by_itself_is_named_once(tmp_path: Path) -> None:
    """A real mount, as a `subPath` or a single file of Docker makes it; and what it holds is not said."""
    if not may_be_apart():
        return
    outside, mount = tmp_path / "outside", tmp_path / "secrets"
    mount.mkdir(0o755)
    for file in (outside, mount / "api_key"):
        file.write_text("hunter2")
    words = ("secret-files", str(mount), "api-key", "api_key")
    said = told(*words, over=(outside, mount / "api_key"))
    assert said.count(f"mount-fixed: {mount / 'api_key'}") == 1
    assert "hunter2" not in said
    assert told(*words) == ""


def test_a_bundle_directory_that_is_mounted_by_itself_is_named(tmp_path: Path) -> None:
    """It is one generation for ever; the directory around it, mounted, has each new one."""
    if not may_be_apart():
        return
    place = Place(tmp_path)
    bundle = place.run / "bundle"
    words = ("bundle-dir", "database", "index.json")
    inner = tmp_path / "inner"
    (inner / "bundle").mkdir(0o755, parents=True)
    fixed = told(words[0], str(inner / "bundle"), *words[1:], over=(bundle, inner / "bundle"))
    assert f"mount-fixed: {inner / 'bundle'}" in fixed
    assert told(words[0], str(inner / bundle.name), *words[1:], over=(bundle.parent, inner)) == ""


def test_nothing_is_said_where_the_mounts_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a sandbox without /proc, or with a list of another form, an application starts as before."""
    (tmp_path / "odd").write_text("no list of mounts\n")
    with caplog.at_level(logging.WARNING, "keyturn.client"):
        for table in ("missing", "odd"):
            pinned.warn((tmp_path / "x",), tmp_path / table)
    assert caplog.text == ""
