"""What `doctor` sees of values in the clear."""

import grp
import os
from pathlib import Path

import pytest

from keyturn.checks import plain as check
from keyturn.cli.plain_places import plain, visible
from keyturn.manifest.model import Manifest
from keyturn.manifest.reading import load

GROUP = next(group for group in grp.getgrall() if group.gr_gid and group.gr_name != "docker")
TEXT = """\
[service]
name = "clo"
environment = "test"
[stores.main]
kind = "files"
path = "{root}/secrets"
group = "{group}"
dev = true
[stores.other]
kind = "env-file"
path = "{root}/.env"
dev = true
[secrets.mail]
kind = "manual"
store = "main"
owner = "platform@example.com"
purpose = "mail"
consumers = ["proxy"]
[consumers.proxy]
kind = "files"
bundle_dir = "{root}/proxy/bundle"
group = "docker"
grace = "1m"
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Two plain stores, and a consumer that reads files."""
    path = tmp_path / "keyturn.toml"
    path.write_text(TEXT.format(root=tmp_path, group=GROUP.gr_name))
    return load(path)


def _reasons(manifest: Manifest) -> list[tuple[str, str]]:
    return [(found.reason, Path(found.subject).name) for found in check.findings(tuple(plain(manifest)))]


def test_before_anything_is_there_only_the_declared_group_is_told(manifest: Manifest) -> None:
    """A group docker in the manifest is a finding by itself."""
    assert _reasons(manifest) == [("group-docker", "bundle")]
    assert sorted(path.name for path, _, _ in visible(manifest)) == [".env", "secrets"]


def test_groups_and_links_of_what_is_there_are_told(manifest: Manifest, tmp_path: Path) -> None:
    """Each file of a directory is looked at, Keyturn's own directory in it is not."""
    secrets = tmp_path / "secrets"
    (secrets / ".keyturn").mkdir(parents=True)
    for name in ("good", "other", "hard"):
        (secrets / name).write_text("")
        (secrets / name).chmod(0o640)
        os.chown(secrets / name, -1, GROUP.gr_gid)
    os.chown(secrets, -1, GROUP.gr_gid)
    os.chown(secrets / "other", -1, 0)
    os.link(secrets / "hard", tmp_path / "second")
    (tmp_path / ".env").symlink_to("second")
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "bundle").symlink_to(".bundle-1")
    found = _reasons(manifest)
    assert sorted(found) == [
        ("group-docker", "bundle"),
        ("group-other", "other"),
        ("plain-linked", ".env"),
        ("plain-linked", "hard"),
    ]
