"""Manifests for tests: written with the modes that Keyturn asks for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.manifest import ManifestError, load

HERE = Path(__file__).resolve().parent
SMALL = """\
[service]
name = "clo"
environment = "test"

[stores.main]
kind = "local"
vault_id = "v1"

[secrets.admin]
kind = "manual"
owner = "platform@example.com"
purpose = "Keyturn changes roles"
used_by = "keyturn"
fields = ["username", "password"]
"""

Write = Callable[[str | bytes], Path]
Complaints = Callable[[str | bytes], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes keyturn.toml into a directory of its own, which is the current one, 0600."""
    monkeypatch.chdir(tmp_path)

    def written(text: str | bytes) -> Path:
        path = Path("keyturn.toml")
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(0o600)
        return path

    return written


@pytest.fixture
def complaints(write: Write) -> Complaints:
    """The message of the error that the text brings."""

    def message(text: str | bytes) -> str:
        with pytest.raises(ManifestError) as caught:
            load(write(text))
        return caught.value.message

    return message
