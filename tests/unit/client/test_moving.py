"""The examples of docs/moving.md, each run as it stands there."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.client.guide_place import GuidePlace

DOCUMENT = Path(__file__).parents[3] / "docs" / "moving.md"
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRELUDE = """
used = []
def connect(text):
    used.append(text.partition("://")[2])
"""
EPILOGUE = "\nprint(*used)\n"


def examples() -> Mapping[str, str]:
    """The examples, each after its heading and its number below it."""
    _, *sections = _HEADING.split(DOCUMENT.read_text())
    found: dict[str, str] = {}
    for heading, text in zip(sections[::2], sections[1::2], strict=True):
        found |= {f"{heading} {number}": block for number, block in enumerate(_BLOCK.findall(text), 1)}
    return found


EXPECTED = {
    "From os.environ 1": "v0",
    "From os.environ 2": "v1",
    "From the guide's SecretsManager 1": "v1 v1",
    "From the guide's SecretsManager 2": "v1",
}
"""The versions that each connects with; v0 is that of the environment."""


def test_every_example_is_run() -> None:
    """A new one has to say here what comes of it."""
    assert sorted(examples()) == sorted(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_runs_as_it_stands(tmp_path: Path, name: str) -> None:
    """It connects with the version that is in use, and says nothing else."""
    place = GuidePlace(tmp_path)
    environment = {**os.environ, "KEYTURN_CLIENT": str(place.file), "DATABASE_URL": "postgresql://v0"}
    program = PRELUDE + examples()[name] + EPILOGUE
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (EXPECTED[name] + "\n", "")
