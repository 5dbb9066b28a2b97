"""The examples of docs/jwt.md and docs/fallbacks.md, each run as it stands there."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.client.key_place import APP_KEYS, KeyPlace, Pair, app_key

DOCUMENTS = Path(__file__).parents[3] / "docs"
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DJANGO = """
import django
from django.conf import settings
from django.core import signing

settings.configure(SECRET_KEY=SECRET_KEY, SECRET_KEY_FALLBACKS=SECRET_KEY_FALLBACKS)
django.setup()
print(signing.loads(signing.dumps("signed")), SECRET_KEY_FALLBACKS)
"""
FLASK = """
@app.get("/")
def index():
    from flask import session
    session["user"] = session.get("user", 0) + 1
    return str(session["user"])

client = app.test_client()
print(client.get("/").text, client.get("/").text)
"""


def examples(document: str) -> Mapping[str, str]:
    """The examples, each after its heading and its number below it."""
    _, *sections = _HEADING.split((DOCUMENTS / document).read_text())
    found: dict[str, str] = {}
    for heading, text in zip(sections[::2], sections[1::2], strict=True):
        found |= {f"{document}: {heading} {number}": block for number, block in enumerate(_BLOCK.findall(text), 1)}
    return found


EXPECTED = {
    "jwt.md: Signing and checking in one application 1": ("", "200 user-1 401 token-malformed"),
    "jwt.md: Publishing the keys 1": ("", '{"keys":['),
    "jwt.md: Checking tokens of another service 1": ("print(type(verifier).__name__)", "Verifier"),
    "fallbacks.md: Django 1": (DJANGO, "signed LiveFallbacks(••••••)"),
    "fallbacks.md: Flask 1": (FLASK, "1 2"),
    "fallbacks.md: itsdangerous, and others 1": ("", "deal 7"),
    "fallbacks.md: itsdangerous, and others 2": ("", "deal 7"),
}
"""What stands behind each, and what comes of it."""


def test_every_example_is_run() -> None:
    """A new one has to say here what comes of it."""
    assert {**examples("jwt.md"), **examples("fallbacks.md")}.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_runs_as_it_stands(tmp_path: Path, name: str) -> None:
    """And says nothing else, warnings among it."""
    document, behind, expected = name.partition(":")[0], *EXPECTED[name]
    key = Pair("ES256").signs() if document == "jwt.md" else app_key(APP_KEYS[1], APP_KEYS[:1])
    place = KeyPlace(tmp_path, "jwt" if document == "jwt.md" else "app-key", key)
    environment = {**os.environ, "KEYTURN_CLIENT": str(place.file)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", examples(document)[name] + behind],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (expected + "\n", "")
