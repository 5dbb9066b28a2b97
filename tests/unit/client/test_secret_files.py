"""The source `secret-files`: what Docker and Kubernetes mount, read whole and from nobody else."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from keyturn.client.sources import open_source
from keyturn.client.sources.mounted import names
from keyturn.client.sources.secret_files import SecretFiles
from keyturn.core.errors import AdapterError, Conflict, Corrupt, Denied, NotFound, UsageError
from keyturn.core.secret import Bundle, SecretValue
from keyturn.system.files import Directory
from tests.values import reads


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """As Docker mounts it: one file for each secret, with the line break that `echo` leaves."""
    directory = tmp_path / "secrets"
    directory.mkdir(0o755)
    (directory / "database_url").write_text("postgresql://one")
    (directory / "api_key").write_text("key\n")
    return directory


def source(mount: Path, *secrets: str, **environ: str) -> SecretFiles:
    """A source on that directory, for `database-url` unless told otherwise."""
    return SecretFiles({"kind": "secret-files", "directory": str(mount)}, secrets or ("database-url",), environ)


class Kubernetes:
    """A mount as the kubelet makes it: links to files in `..data`, which is a link to one generation."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(0o755)
        self.directory = directory
        self.number = 0

    def write(self, **values: str) -> None:
        """The next generation, by one rename; then the one before is removed."""
        self.number += 1
        fresh = self.directory / f"..2026_{self.number}"
        fresh.mkdir(0o755)
        for name, value in values.items():
            (fresh / name).write_text(value)
            with suppress(FileExistsError):
                (self.directory / name).symlink_to(f"..data/{name}")
        (self.directory / "..data_tmp").symlink_to(fresh.name)
        (self.directory / "..data_tmp").rename(self.directory / "..data")
        shutil.rmtree(self.directory / f"..2026_{self.number - 1}", ignore_errors=True)


def test_each_file_is_a_secret_with_one_value(mount: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line break at the end is left out, which is said once and without the value."""
    opened = source(mount, "database-url", "api-key")
    with caplog.at_level(logging.WARNING, "keyturn.client"):
        first = opened.changed()
        assert opened.changed() is None
        (mount / "api_key").write_text("other\n")
        assert opened.changed() is not None
    assert first is not None
    assert {name: view["value"] for name, view in first.views.items()} == {
        "database-url": SecretValue("postgresql://one"),
        "api-key": SecretValue("key"),
    }
    assert caplog.text.count("line break") == 1
    assert "key\n" not in caplog.text.replace("api_key", "")


def test_only_one_line_break_is_left_out(mount: Path) -> None:
    """What is then still no value is refused."""
    (mount / "database_url").write_text("one\n\n")
    with pytest.raises(Corrupt, match="line break"):
        source(mount).changed()


def test_a_variable_names_the_file_of_a_secret(mount: Path, tmp_path: Path) -> None:
    """Before the directory, and wherever it lies."""
    (tmp_path / "elsewhere").write_text("postgresql://two")
    generation = source(mount, DATABASE_URL_FILE=str(tmp_path / "elsewhere")).changed()
    assert generation is not None
    assert reads(generation.views["database-url"]["value"], "postgresql://two")


@pytest.mark.parametrize(("environ", "why"), [
    ({"DATABASE_URL": "", "DATABASE_URL_FILE": "/a"}, "DATABASE_URL and DATABASE_URL_FILE"),
    ({"DATABASE_URL_FILE": "a"}, "absolute"),
])  # fmt: skip
def test_a_value_that_is_said_twice_or_nowhere_is_refused(mount: Path, environ: Mapping[str, str], why: str) -> None:
    """With the variables, before anything is read."""
    with pytest.raises(UsageError, match=why) as caught:
        source(mount, **environ)
    assert caught.value.remedy


@pytest.mark.parametrize(("content", "kind", "why"), [
    (b"", Corrupt, "is empty"),
    (b"\n", Corrupt, "is empty"),
    (b"\xff", Corrupt, "UTF-8"),
    (b"one\r\n", Corrupt, "line break"),
    (b"one\0", Corrupt, "NUL"),
    (b"x" * 70_000, AdapterError, "more than"),
])  # fmt: skip
def test_what_is_no_value_is_refused(mount: Path, content: bytes, kind: type[AdapterError], why: str) -> None:
    """By the name of its file, never by what it holds."""
    (mount / "database_url").write_bytes(content)
    with pytest.raises(kind, match=why) as caught:
        source(mount).changed()
    assert str(mount / "database_url") in caught.value.message
    assert "one" not in caught.value.message


def test_what_is_missing_or_there_twice_is_an_exception(mount: Path) -> None:
    """A file, or a directory."""
    with pytest.raises(NotFound, match="redis_url"):
        source(mount, "redis-url").changed()
    (mount / "database-url").write_text("postgresql://two")
    with pytest.raises(Conflict, match="database-url"):
        source(mount).changed()
    with pytest.raises(NotFound):
        source(mount / "gone").changed()


@pytest.mark.parametrize("name", [".", "database_url"])
def test_what_others_can_write_to_is_refused(mount: Path, name: str) -> None:
    """They could choose the application's credentials; the remedy says the mode."""
    (mount / name).chmod(0o777)
    with pytest.raises(Denied, match="0777") as caught:
        source(mount).changed()
    assert "chmod 0755" in caught.value.remedy


@pytest.mark.parametrize("name", [".", "database_url"])
def test_what_belongs_to_a_stranger_is_refused(mount: Path, name: str) -> None:
    """Its owner could write it; only root can give a file away, and so only root sees this."""
    if os.geteuid() == 0:
        os.chown(mount / name, 12345, -1)
        with pytest.raises(Denied, match="12345") as caught:
            source(mount).changed()
        assert "chown" in caught.value.remedy


def test_a_link_in_place_of_a_file_is_refused(mount: Path) -> None:
    """It could lead to any file that the application may read."""
    (mount / "database_url").rename(mount / "away")
    (mount / "database_url").symlink_to("away")
    with pytest.raises(Denied, match="a link"):
        source(mount).changed()


def test_a_directory_is_a_secret_of_several_fields(tmp_path: Path) -> None:
    """As Kubernetes mounts a Secret with two keys; what could be no field is left alone."""
    (tmp_path / "secrets").mkdir(0o755)
    Kubernetes(tmp_path / "secrets" / "database").write(username="u", password="p", **{"tls.crt": "x"})
    generation = source(tmp_path / "secrets", "database").changed()
    assert generation is not None
    assert dict(generation.views["database"].bundle) == {"username": SecretValue("u"), "password": SecretValue("p")}
    (tmp_path / "secrets" / "nothing").mkdir(0o755)
    with pytest.raises(NotFound, match="no file that could be a field"):
        source(tmp_path / "secrets", "nothing").changed()


def test_a_version_is_another_one_when_the_content_is(mount: Path) -> None:
    """A file that is written again with what it held is no other version; its name tells nothing of the value."""
    opened = source(mount)
    versions = []
    for text in ("one", "one", "two"):
        (mount / "fresh").write_text(text)
        (mount / "fresh").rename(mount / "database_url")
        generation = opened.changed()
        assert generation is not None
        versions.append(generation.views["database-url"].version)
    assert versions[0] == versions[1] != versions[2]


def password_of(username: str) -> str:
    """The one that lies in the same generation."""
    return "p" + username[1:]


SWITCHING = """
import sys
from pathlib import Path
from tests.unit.client.test_secret_files import Kubernetes
mount = Kubernetes(Path(sys.argv[1]))
while True:
    mount.write(username=f"u{mount.number}", password=f"p{mount.number}")
    if mount.number == 1:
        print("switching", flush=True)
"""


def test_two_files_of_one_mount_are_never_of_two_generations(tmp_path: Path) -> None:
    """Against a process that switches and removes without rest."""
    mount, wrong = tmp_path / "mount", []
    command = [sys.executable, "-c", SWITCHING, str(mount)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            for _ in range(1000):
                generation = source(mount, "username", "password").changed()
                assert generation is not None
                one, other = (generation.views[name]["value"] for name in ("username", "password"))
                if not reads(other, password_of(one.reveal())):
                    wrong.append(generation)
        finally:
            process.kill()
    assert wrong == []


class Overtaken(SecretFiles):
    """Somebody writes the file again after it was read, and before that is noticed."""

    writes: Iterator[str] = iter(())

    def _bundle(self, files: Mapping[str, tuple[Directory, str]]) -> Bundle:
        read = super()._bundle(files)
        for text in islice(self.writes, 1):
            directory, name = files["value"]
            (directory.path / name).write_text(text)
        return read


def test_a_file_that_is_written_while_it_is_read_is_read_again(mount: Path) -> None:
    """What was read may be half of it: it is at rest after a while."""
    table = {"kind": "secret-files", "directory": str(mount)}
    opened = Overtaken(table, ("database-url",), {})
    opened.writes = iter([*("x" * n for n in range(1, 30)), "the last one"])
    generation = opened.changed()
    assert generation is not None
    assert reads(generation.views["database-url"]["value"], "the last one")


def test_a_file_that_is_never_at_rest_is_no_value(mount: Path) -> None:
    """The look ends all the same."""
    opened = Overtaken({"kind": "secret-files", "directory": str(mount)}, ("database-url",), {})
    opened.writes = ("x" * (1 + n % 2) for n in count())
    with pytest.raises(Corrupt, match="change all the time"):
        opened.changed()
    assert next(opened.writes)


def test_names_are_found_by_files_and_by_the_variables_that_name_them(mount: Path) -> None:
    """Directories, links, dotted files and variables that mean something else are none."""
    for name in ("tls.key", "Upper", "-x", "a__b", ".hidden"):
        (mount / name).write_text("x")
    (mount / "rhsm").mkdir()
    (mount / "entitlement").symlink_to("/etc")
    (mount / "prod_dsn").write_text("x")
    environ = {"DATABASE_URL_FILE": str(mount / "prod_dsn"), "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
    (mount / "database_url").unlink()
    assert names(mount, environ) == ("api-key", "database-url")
    assert names(mount / "gone", environ) == ()


@pytest.mark.parametrize("table", [
    {"kind": "secret-files", "directory": "run"}, {"kind": "secret-files", "path": "/run"},
    {"kind": "secret-files", "directory": 1},
])  # fmt: skip
def test_a_table_that_describes_no_directory_is_refused(table: dict[str, Any]) -> None:
    """Before anything is opened."""
    with pytest.raises(ValueError, match=r"."):
        open_source(table, ("database-url",))
