"""Where an application finds its secrets: five places, in one order, and one that is taken whole."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from keyturn.client import Secrets
from keyturn.client.opening import Choice, choose, find, source_of
from keyturn.core.errors import NotFound, UsageError
from tests.unit.client.place import Place
from tests.values import reads

HERE = Path("keyturn.client.json").absolute()
OTHER = Path("other.json").absolute()
FILES = {"kind": "secret-files"}
BUNDLE = {"kind": "bundle-dir", "path": "/b"}
BUNDLE_SAID = {"KEYTURN_SOURCE": "bundle-dir", "KEYTURN_BUNDLE_DIR": "/b", "KEYTURN_SECRETS": "database, api-key"}
ALL = {"KEYTURN_CLIENT": "other.json", **BUNDLE_SAID}


def content(source: Mapping[str, str], *secrets: str, **more: str) -> dict[str, Any]:
    """What variables amount to."""
    return {"schema": "keyturn/client/1", "source": source, "secrets": list(secrets), **more}


def chosen(
    path: str | None, said: Mapping[str, str], *, here: bool = False, mounted: Mapping[str, tuple[str, ...]] = {}
) -> Choice:
    """The choice, with nothing of this machine in it."""
    return choose(path, said.get, lambda file: here and file == HERE, lambda found: mounted.get(found, ()))


MOUNTED = {"/run/secrets": ("api-key", "database-url")}


@pytest.mark.parametrize(("path", "said", "here", "mounted", "taken"), [
    ("other.json", ALL, True, MOUNTED, OTHER),
    ("/etc/c.json", {}, False, {}, Path("/etc/c.json")),
    (None, ALL, True, MOUNTED, OTHER),
    (None, {"KEYTURN_CLIENT": "/etc/c.json"}, False, {}, Path("/etc/c.json")),
    (None, BUNDLE_SAID, True, MOUNTED, HERE),
    (None, BUNDLE_SAID, False, MOUNTED, content(BUNDLE, "database", "api-key")),
    (None, {**BUNDLE_SAID, "KEYTURN_MAX_STALE": "5s", "KEYTURN_STATUS_DIR": "/s"}, False, {},
     content(BUNDLE, "database", "api-key", max_stale="5s", status_dir="/s")),
    (None, {"KEYTURN_SOURCE": "bundle-dir"}, False, MOUNTED, content({"kind": "bundle-dir"})),
    (None, {"KEYTURN_SOURCE": "magic"}, False, MOUNTED, content({"kind": "magic"})),
    (None, {"KEYTURN_SOURCE": "secret-files", "KEYTURN_SECRETS_DIR": "/etc/secrets"}, False, {"/etc/secrets": ("a",)},
     content({"kind": "secret-files", "directory": "/etc/secrets"}, "a")),
    (None, {"KEYTURN_SECRETS": "redis-url"}, False, MOUNTED, content(FILES, "redis-url")),
    (None, {"KEYTURN_MAX_STALE": "5s"}, False, MOUNTED,
     content(FILES, "api-key", "database-url", max_stale="5s")),
    (None, {}, False, MOUNTED, content(FILES, "api-key", "database-url")),
])  # fmt: skip
def test_the_first_place_that_says_something_is_taken_whole(
    path: str | None,
    said: Mapping[str, str],
    here: bool,  # noqa: FBT001 - a column of the table
    mounted: Mapping[str, tuple[str, ...]],
    taken: Path | Mapping[str, Any],
) -> None:
    """A path, KEYTURN_CLIENT, the file here, KEYTURN_SOURCE, mounted files: nothing of a later one is mixed in."""
    choice = chosen(path, said, here=here, mounted=mounted)
    assert (choice.file or choice.content) == taken
    assert choice.origin


def test_nothing_found_names_all_that_was_looked_at_in_order() -> None:
    """One error, with the remedy."""
    with pytest.raises(UsageError) as caught:
        chosen(None, {"KEYTURN_MAX_STALE": "5s"})
    words = ("KEYTURN_CLIENT", str(HERE), "KEYTURN_SOURCE", "/run/secrets")
    places = [caught.value.message.index(word) for word in words]
    assert places == sorted(places)
    assert "KEYTURN_CLIENT" in caught.value.remedy


def test_a_file_that_is_named_and_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next place is not tried: somebody meant this one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEYTURN_CLIENT", "gone.json")
    monkeypatch.setenv("KEYTURN_SECRETS", "a")
    with pytest.raises(UsageError, match=r"gone\.json \(KEYTURN_CLIENT\): No such file"):
        find()


def test_a_source_without_names_is_told_which_variable_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not which key of a file that nobody wrote."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEYTURN_SOURCE", "bundle-dir")
    with pytest.raises(UsageError, match="KEYTURN_SECRETS"):
        find()


@pytest.mark.parametrize("name", ["KEYTURN_CLIENT", "KEYTURN_SOURCE", "KEYTURN_BUNDLE_DIR", "KEYTURN_SECRETS"])
def test_a_variable_and_its_twin_are_one_thing_said_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Alone, the twin names the file that holds what the variable would; both are an error."""
    place = Place(tmp_path)
    said = {
        "KEYTURN_CLIENT": str(place.file),
        "KEYTURN_SOURCE": "bundle-dir",
        "KEYTURN_BUNDLE_DIR": str(place.run / "bundle"),
        "KEYTURN_SECRETS": "api-key",
    }
    if name != "KEYTURN_CLIENT":
        del said["KEYTURN_CLIENT"]
    (tmp_path / "said").write_text(said[name] + "\n")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for variable, text in said.items():
        monkeypatch.setenv(variable, text)
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "said"))
    with pytest.raises(UsageError, match=f"{name} and {name}_FILE"):
        Secrets.open()
    monkeypatch.delenv(name)
    with Secrets.open() as secrets:
        assert reads(secrets["api-key"], "key")


def test_what_was_taken_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As an attribute and as a line of the log."""
    place = Place(tmp_path)
    monkeypatch.setenv("KEYTURN_CLIENT", str(place.file))
    with caplog.at_level(logging.INFO, "keyturn.client"), Secrets.open() as secrets:
        assert secrets.origin == f"{place.file} (KEYTURN_CLIENT)"
    assert secrets.origin in caplog.text


def test_variables_that_say_nonsense_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is wrong in them."""
    monkeypatch.chdir(tmp_path)
    for name, text in BUNDLE_SAID.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("KEYTURN_MAX_STALE", "5")
    with pytest.raises(UsageError, match=r"KEYTURN_SOURCE .*max_stale"):
        find()
    monkeypatch.delenv("KEYTURN_MAX_STALE")
    monkeypatch.setenv("KEYTURN_SOURCE", "magic")
    with pytest.raises(UsageError, match="bundle-dir, secret-files"):
        source_of(find())


def test_a_place_without_versions_and_a_report_do_not_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rotation would wait for this process for ever: it is said at the start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEYTURN_SECRETS", "api-key")
    monkeypatch.setenv("API_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(NotFound):
        Secrets.open()
    monkeypatch.setenv("KEYTURN_STATUS_DIR", str(tmp_path))
    with pytest.raises(UsageError, match="cannot report"):
        Secrets.open()
