"""What is peculiar to a directory of files, and to a `.env` file."""

import grp
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.core.clock import SystemClock
from keyturn.core.errors import Conflict, Corrupt, Denied, Unsupported
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.env_file import Options as EnvFileOptions
from keyturn.manifest.kinds.files_store import Options as FilesOptions
from keyturn.manifest.surroundings import Surroundings
from keyturn.stores.plain import PlainStore, SecretFiles
from keyturn.stores.plain.declared import env_file, files
from keyturn.stores.plain.keeping import Keeping
from tests.unit.stores.plain.plain import CANARY, Plain, current, one, pair

GROUP = next(group.gr_name for group in grp.getgrall() if group.gr_gid)
TEXT = """\
# production
LOG_LEVEL=INFO   # not secret

export DATABASE_PASSWORD="old"
FLAGS=a b & c
"""


@pytest.fixture
def directory(tmp_path: Path) -> Plain:
    """A directory of files."""
    return Plain("files", _private(tmp_path / "root"))


@pytest.fixture
def env(tmp_path: Path) -> Plain:
    """A `.env` file."""
    return Plain("env-file", _private(tmp_path / "root"))


def _private(path: Path) -> Path:
    path.mkdir(mode=0o700)
    return path


def _grouped(path: Path) -> PlainStore:
    return PlainStore(SecretFiles(path, GROUP), Keeping(path / ".keyturn"))


def _around(state: Path) -> Surroundings:
    none: dict[str, Bundle] = {}
    return Surroundings("plain", "clo", "test", state, state / "key", none.__getitem__, SystemClock())


def test_what_a_manifest_declares_is_opened_where_it_says(tmp_path: Path) -> None:
    """Both tables lead to their place, with Keyturn's own directory in it or beside it."""
    made = files(
        FilesOptions.model_validate({"kind": "files", "path": f"{tmp_path}/s", "dev": True}), _around(tmp_path)
    )
    current(made, "database", one("a"), "a1")
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [".keyturn", "database"]
    made = env_file(
        EnvFileOptions.model_validate({"kind": "env-file", "path": f"{tmp_path}/.env", "dev": True}), _around(tmp_path)
    )
    version = current(made, "database", one("a"), "a1")
    assert (tmp_path / ".env").read_text() == f"DATABASE={CANARY}-a\n"
    assert (tmp_path / ".env.keyturn" / f"{version}.bundle").exists()
    assert made.kind == "env-file"


def test_a_declared_group_may_read_and_nobody_else(tmp_path: Path) -> None:
    """0750 and 0640 with that group; Keyturn's own directory stays closed to it."""
    path = tmp_path / "secrets"
    current(_grouped(path), "database", one("a"), "a1")
    modes = {item.name: (item.stat().st_mode & 0o777, item.group()) for item in (path, path / "database")}
    assert modes == {"secrets": (0o750, GROUP), "database": (0o640, GROUP)}
    assert (path / ".keyturn").stat().st_mode & 0o777 == 0o700


def test_another_group_than_the_declared_one_is_denied(tmp_path: Path) -> None:
    """A directory or a file that is open to a group must be open to that group."""
    path = tmp_path / "secrets"
    store = _grouped(path)
    current(store, "database", one("a"), "a1")
    for item in (path / "database", path):
        os.chown(item, -1, 0)
        with pytest.raises(Denied, match="open to group 0") as caught:
            store.current("database")
        assert caught.value.remedy.startswith("chgrp ")


def test_a_group_that_is_not_there_is_denied(tmp_path: Path) -> None:
    """Nothing is made for a group that this host does not have."""
    store = PlainStore(SecretFiles(tmp_path / "s", "no-such-group"), Keeping(tmp_path / "s" / ".keyturn"))
    with pytest.raises(Denied, match="no group"):
        store.stage("database", one("a"), "a1")
    assert not (tmp_path / "s").exists()


def _linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _second_name(path: Path) -> None:
    os.link(path, path.with_name("second"))


def _foreign(path: Path) -> None:
    os.chown(path, 65534, -1)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


WAYS: dict[str, Callable[[Path], object]] = {
    "open to others": lambda path: path.chmod(0o604),
    "open to a group": lambda path: path.chmod(0o640),
    "a link": _linked,
    "a hard link": _second_name,
    "another owner": _foreign,
    "a pipe": _pipe,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["files", "env-file"])
def test_a_file_that_others_can_reach_is_denied(kind: str, way: str, tmp_path: Path) -> None:
    """Mode, owner, a link to it, a second name of it, or something that is no file: each with a remedy."""
    plain = Plain(kind, _private(tmp_path / "root"))
    store = plain.open()
    version = current(store, "database", one("a"), "a1")
    store.stage("database", one("b"), "a2")
    WAYS[way](plain.path / "database" if kind == "files" else plain.path)
    for act in (lambda: store.current("database"), lambda: store.promote("database", "a2", version), store.currents):
        with pytest.raises(Denied) as caught:
            act()
        assert caught.value.remedy
        assert CANARY not in f"{caught.value.message}{caught.value.remedy}"


@pytest.mark.parametrize("mode", [0o701, 0o750, 0o720])
def test_a_directory_that_is_open_to_others_is_denied(mode: int, directory: Plain) -> None:
    """Without a declared group nobody but the owner may enter it."""
    store = directory.open()
    current(store, "database", one("a"), "a1")
    directory.path.chmod(mode)
    with pytest.raises(Denied, match="has mode"):
        store.read("database", "any")


def test_a_directory_that_is_a_link_is_denied(directory: Plain) -> None:
    """The last part of its path is not followed."""
    (directory.root / "real").mkdir(mode=0o700)
    directory.path.symlink_to("real")
    with pytest.raises(Denied):
        directory.open().stage("database", one("a"), "a1")
    assert not list((directory.root / "real").iterdir())


def test_a_directory_in_which_others_may_write_holds_no_env_file(env: Plain) -> None:
    """Who can change a name there can put another file in its place."""
    env.root.chmod(0o777)
    with pytest.raises(Denied, match="0777"):
        env.open().stage("database", one("a"), "a1")


def test_files_hold_the_value_and_nothing_else(directory: Plain) -> None:
    """No line break is added, and a certificate keeps its own."""
    pem = "-----BEGIN X-----\nAA==\n-----END X-----\n"
    current(directory.open(), "tls", Bundle({"certificate": pem, "token": "t"}), "a1")
    assert (directory.path / "tls_certificate").read_bytes() == pem.encode()
    assert (directory.path / "tls_token").read_bytes() == b"t"


def test_files_of_others_are_not_touched(directory: Plain) -> None:
    """What lies in the directory besides stays as it is."""
    directory.put("other", "x")
    store = directory.open()
    current(store, "database", pair("a"), "a1")
    current(store, "database", one("b"), "a2")
    assert (directory.path / "other").read_text() == "x"


@pytest.mark.parametrize("content", [b"\xff", b"x" * 70_000])
def test_a_file_that_is_no_value_is_foreign(content: bytes, directory: Plain) -> None:
    """What is not text, or too long, was not written by Keyturn."""
    directory.put("database", "")
    (directory.path / "database").write_bytes(content)
    with pytest.raises(Conflict, match="did not write"):
        directory.open().stage("database", one("a"), "a1")


def test_an_env_file_keeps_all_that_is_not_ours(env: Plain) -> None:
    """Comments, order, export, quotes and lines that a shell would misread stay byte for byte."""
    env.path.write_text(TEXT)
    env.path.chmod(0o600)
    store = env.open()
    current(store, "database-password", Bundle({"value": "old"}), "a1")
    assert env.path.read_text() == TEXT
    current(store, "database-password", Bundle({"value": "new"}), "a2")
    current(store, "mail", Bundle({"value": "it's"}), "a3")
    assert env.path.read_text() == TEXT.replace("old", "new") + 'MAIL="it\'s"\n'


def test_a_value_that_would_be_misread_is_refused_before_any_target_hears_of_it(env: Plain) -> None:
    """Staging says so, keeps nothing of it and changes nothing: no target has been told by then."""
    store = env.open()
    before = current(store, "database", Bundle({"value": "good"}), "a1")
    kept = sorted(path.name for path in env.own.iterdir())
    for at, text in enumerate(("'\"", "-----BEGIN X-----\nAA==\n-----END X-----\n")):
        with pytest.raises(Unsupported, match=r"DATABASE: .*alike") as caught:
            store.stage("database", Bundle({"value": text}), f"bad-{at}")
        assert text not in f"{caught.value.message}{caught.value.remedy}"
    assert [version.id for version in store.versions("database")] == [store.current("database")] == [before]
    assert sorted(path.name for path in env.own.iterdir()) == kept
    assert env.path.read_text() == "DATABASE=good\n"


def test_a_key_that_stands_there_twice_is_a_conflict_that_names_the_lines(env: Plain) -> None:
    """Programs differ in which one they take; another key that stands there twice is not ours to judge."""
    store = env.open()
    current(store, "database", one("a"), "a1")
    env.path.write_text(f"X=1\nX=2\n{env.path.read_text()}DATABASE='b'\n")
    with pytest.raises(Conflict, match="DATABASE is assigned in lines 3 and 4"):
        store.current("database")
    current(store, "mail", one("a"), "a2")
    assert env.path.read_text().startswith("X=1\nX=2\n")


@pytest.mark.parametrize(
    "line", ["DATABASE=$OTHER", "DATABASE = old", "DATABASE: old", "'DATABASE'=old", "\ufeffDATABASE=old"]
)
def test_a_line_of_ours_without_a_sure_value_is_foreign(line: str, env: Plain) -> None:
    """What only some programs read as it is meant is not what Keyturn wrote, and no second line is put behind it."""
    store = env.open()
    env.path.write_text(f"{line}\n")
    env.path.chmod(0o600)
    with pytest.raises(Conflict, match="did not write"):
        store.stage("database", one("a"), "a1")


def test_behind_a_quote_that_is_not_closed_nothing_is_written(env: Plain) -> None:
    """A line at the end would be part of that value: neither staged nor promoted, and nothing changes."""
    store = env.open()
    store.stage("database", one("a"), "a1")
    env.path.write_text("OTHER='x\n")
    env.path.chmod(0o600)
    with pytest.raises(Conflict, match="line 1: a quote that is not closed"):
        store.stage("mail", one("b"), "b1")
    with pytest.raises(Conflict, match="line 1: a quote that is not closed"):
        store.promote("database", "a1", None)
    assert store.names() == ("database",)
    assert store.current("database") is None
    assert env.path.read_text() == "OTHER='x\n"


def test_an_env_file_that_is_not_text_is_corrupt(env: Plain) -> None:
    """Bytes that are not UTF-8 stop it."""
    env.path.write_bytes(b"A=\xff\n")
    env.path.chmod(0o600)
    with pytest.raises(Corrupt, match="UTF-8"):
        env.open().stage("database", one("a"), "a1")
