"""The examples of README.md, docs/moving.md and docs/frameworks.md, each run as it stands there."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.client.guide_place import GuidePlace

ROOT = Path(__file__).parents[3]
DOCUMENTS = ("README.md", "docs/moving.md", "docs/frameworks.md")
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRELUDE = """
used = []
def connect(text):
    used.append(text.partition("://")[2] or text)
"""
EPILOGUE = "\nprint(*used)\n"
SERVED = """
import asyncio, json

async def ask(path):
    sent = []
    async def receive():
        return {"type": "http.request"}
    async def send(message):
        sent.append(message)
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "state": {}}
    await app(scope, receive, send)
    used.append(sent[0]["status"])

async def serve():
    async with app.router.lifespan_context(app):
        await ask("/ready")
        await ask("/deals")
    await ask("/ready")

asyncio.run(serve())
"""


def examples() -> Mapping[str, str]:
    """The examples, each after its document, its heading and its number below it."""
    found: dict[str, str] = {}
    for document in DOCUMENTS:
        _, *sections = _HEADING.split((ROOT / document).read_text())
        for heading, text in zip(sections[::2], sections[1::2], strict=True):
            blocks = enumerate(_BLOCK.findall(text), 1)
            found |= {f"{document}: {heading} {number}": block for number, block in blocks}
    return found


EXPECTED = {
    "README.md: In the application 1": "v1",
    "README.md: In the application 2": "v1",
    "README.md: In the application 3": "v1",
    "docs/moving.md: From os.environ 1": "v0",
    "docs/moving.md: From os.environ 2": "v1",
    "docs/moving.md: From pydantic-settings 1": "v0",
    "docs/moving.md: From pydantic-settings 2": "v1",
    "docs/moving.md: From pydantic-settings 3": "mail-v1",
    "docs/moving.md: From the guide's SecretsManager 1": "v1 v1",
    "docs/moving.md: From the guide's SecretsManager 2": "v1",
    "docs/frameworks.md: FastAPI 1": "200 v1 200 503",
    "docs/frameworks.md: pydantic-settings 1": "v1 v1",
}
"""The versions that each connects with, v0 is that of the environment; between them the answers to requests."""
ELSEWHERE = ("docs/frameworks.md: FastAPI 2",)
"""It needs a database: `tests/live/client/service.py` is the same, and runs."""


def test_every_example_is_run() -> None:
    """A new one has to say here what comes of it."""
    assert sorted(examples()) == sorted((*EXPECTED, *ELSEWHERE))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_an_example_that_needs_a_server_can_be_read(name: str) -> None:
    """It is Python, and what it imports is there."""
    imports = "".join(
        line for line in examples()[name].splitlines(keepends=True) if line.startswith(("from", "import"))
    )
    assert compile(examples()[name], name, "exec")
    exec(imports, {})  # noqa: S102 - our own document


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_runs_as_it_stands(tmp_path: Path, name: str) -> None:
    """It connects with the version that is in use, and says nothing else."""
    place = GuidePlace(tmp_path)
    environment = {**os.environ, "KEYTURN_CLIENT": str(place.file), "DATABASE_URL": "postgresql://v0"}
    served = SERVED if "FastAPI(" in examples()[name] else ""
    program = PRELUDE + examples()[name] + served + EPILOGUE
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (EXPECTED[name] + "\n", "")
