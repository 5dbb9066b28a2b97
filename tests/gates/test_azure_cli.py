"""azure-cli for the tests: an environment of its own by the ordinary installer, checked against hashes, or said."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.azure_cli import LOCK, NotAsPinned, NotToBeHad, judged
from scripts.run_tests import ROOT

FETCH = """
import sys
from pathlib import Path
from scripts import azure_cli
try:
    azure_cli.fetch(Path(sys.argv[1]))
except azure_cli.NotToBeHad as error:
    print("not to be had:", error)
except azure_cli.NotAsPinned as error:
    print("not as pinned:", "hash" in str(error).lower())
print(azure_cli.program(Path(sys.argv[1])))
"""
INFO = "azure_cli-1.0.dist-info"
FILES = {
    "azure/cli/core/__init__.py": "",
    "azure/cli/command_modules/keyvault/__init__.py": "",
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: azure-cli\nVersion: 1.0\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/RECORD": "",
}


class Place:
    """A checkout's root with a lock, and a folder of wheels that stands for the index."""

    def __init__(self, folder: Path) -> None:
        self.root, self.wheels = folder / "root", folder / "wheels"
        (self.root / LOCK).parent.mkdir(parents=True)
        self.wheels.mkdir()
        wheel = self.wheels / "azure_cli-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as packed:
            for name, text in FILES.items():
                packed.writestr(name, text)
        self.digest = hashlib.sha256(wheel.read_bytes()).hexdigest()

    def fetch(self, digest: str) -> list[str]:
        """What the script says, and where it then finds the program."""
        (self.root / LOCK).write_text(f"azure-cli==1.0 --hash=sha256:{digest}\n")
        environ = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        command = [sys.executable, "-c", FETCH, str(self.root)]
        return subprocess.run(
            command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True
        ).stdout.splitlines()

    def kept(self) -> list[Path]:
        """What stands in the cache afterwards."""
        return sorted((self.root / ".cache").iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place of the test's own."""
    return Place(tmp_path)


def test_fetched_once_and_kept_by_itself(place: Place) -> None:
    """It lies in the cache under the name of its lock, and its Python imports it."""
    [program] = place.fetch(place.digest)
    [home] = place.kept()
    assert program == str(home / "bin" / "python")
    subprocess.run([program, "-c", "import azure.cli.core"], check=True)


def test_other_bytes_than_the_pinned_ones_are_red(place: Place) -> None:
    """A package with another hash is not installed, and is no mere absence."""
    assert place.fetch("0" * 64) == ["not as pinned: True", "None"]
    assert place.kept() == []


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("ERROR: No matching distribution found for azure-cli==2.91.0", NotToBeHad),
        ("Failed to establish a new connection: [Errno 101] Network is unreachable", NotToBeHad),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES, connection closed", NotAsPinned),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", NotAsPinned),
    ],
)
def test_what_cannot_be_reached_is_absence_and_the_rest_is_a_fault(said: str, kind: type[Exception]) -> None:
    """What the installer says decides whether the tests are named as missing or the set-up is red."""
    assert type(judged(said)) is kind
