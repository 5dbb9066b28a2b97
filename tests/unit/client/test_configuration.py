"""keyturn.client.json: exactly what is documented, and errors that name the key."""

import json
from pathlib import Path
from typing import Any

import pytest

from keyturn.client.configuration import Configuration
from keyturn.core.errors import UsageError

GOOD: dict[str, Any] = {
    "schema": "keyturn/client/1",
    "source": {"kind": "bundle-dir", "path": "/run/keyturn/clo-api/bundle"},
    "status_dir": "/run/keyturn/clo-api/status",
    "max_stale": "1m",
    "secrets": ["database", "redis"],
}


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    """Every key of it."""
    (tmp_path / "c.json").write_text(json.dumps(GOOD))
    read = Configuration.read(tmp_path / "c.json")
    assert (read.source, read.max_stale, read.secrets) == (GOOD["source"], 60.0, ("database", "redis"))
    assert read.status_dir == Path("/run/keyturn/clo-api/status")


def test_status_dir_and_max_stale_can_be_left_out() -> None:
    """No reports, thirty seconds."""
    short = {key: GOOD[key] for key in ("schema", "source", "secrets")}
    read = Configuration.parse(json.dumps(short).encode())
    assert (read.status_dir, read.max_stale) == (None, 30.0)


@pytest.mark.parametrize(("key", "value", "why"), [
    ("schema", "keyturn/client/2", "schema is not keyturn/client/1"),
    ("source", "bundle-dir", "'source' has the wrong type"),
    ("status_dir", "run/status", "status_dir is not an absolute path"),
    ("status_dir", "/run\0/status", "status_dir is not an absolute path"),
    ("max_stale", "30", "max_stale: a duration is digits with a unit"),
    ("max_stale", "99ms", "max_stale is below"),
    ("secrets", [], "secrets is not a list of names"),
    ("secrets", ["Database"], "secrets is not a list of names"),
    ("secrets", [1], "secrets is not a list of names"),
    ("secrets", ["database", "database"], "secrets names one twice"),
    ("env", ["DSN"], "'env' has the wrong type"),
    ("env", {"database-url": "a b"}, "env is not names and variables"),
    ("env", {"database-url": 1}, "env is not names and variables"),
    ("env", {"database.password": "DSN"}, "env is not names and variables"),
    ("password", "x", "unknown key 'password'"),
])  # fmt: skip
def test_anything_else_is_named(tmp_path: Path, key: str, value: object, why: str) -> None:
    """With the file and the key."""
    (tmp_path / "c.json").write_text(json.dumps({**GOOD, key: value}))
    with pytest.raises(UsageError, match=why) as caught:
        Configuration.read(tmp_path / "c.json")
    assert str(tmp_path / "c.json") in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"'])
def test_what_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    """Never a traceback of the JSON reader."""
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(UsageError):
        Configuration.read(tmp_path / "c.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the variable that can name another one."""
    with pytest.raises(UsageError, match=r"c\.json") as caught:
        Configuration.read(tmp_path / "c.json")
    assert "KEYTURN_CLIENT" in caught.value.remedy
