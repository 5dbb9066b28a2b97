"""The emulators for the tests: built once from what Go fetched and checked, or said not to be had, or red."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.run_tests import ROOT

GO = """#!/bin/sh
echo "$*" >>"$LOG"
case "$1 $2" in
"env GOVERSION") echo "${GO_VERSION:-go1.26.8}" ;;
"mod download")
  if [ -n "${UNREACHABLE:-}" ]; then echo "{\\"Error\\": \\"$UNREACHABLE\\"}"; exit 1; fi
  if [ -n "${FORGED:-}" ]; then echo 'verifying module: checksum mismatch' >&2; exit 1; fi
  echo "{\\"Dir\\": \\"$PWD\\"}" ;;
"list -deps") [ -z "${NO_PARTS:-}" ] || { echo "$NO_PARTS" >&2; exit 1; } ;;
"build -mod=readonly")
  if [ -n "${BROKEN:-}" ]; then echo 'main.go:7:2: undefined: answer' >&2; exit 1; fi
  [ "$GOPROXY $GOTOOLCHAIN" = "off local" ] || exit 1
  while [ "$1" != -o ]; do shift; done
  mkdir -p "$(dirname "$2")" && printf '#!/bin/sh\\n' >"$2" && chmod 755 "$2" ;;
*) exit 64 ;;
esac
"""
NAMED = "their tests will be named as missing"


class Place:
    """A user's cache, and a Go that writes down what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.cache, self.path, self.log = folder / "cache", folder / "bin", folder / "log"
        self.path.mkdir()
        (self.path / "go").write_text(GO)
        (self.path / "go").chmod(0o755)
        self.log.touch()

    def obtain(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """What the script says, and its exit status."""
        environ = {**os.environ, "XDG_CACHE_HOME": str(self.cache), "LOG": str(self.log), "PIP_NO_INDEX": "1"}
        environ |= {"PATH": f"{self.path}:/usr/bin:/bin", **environment}
        command = [sys.executable, "-m", "scripts.emulators"]
        return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)

    def kept(self) -> list[str]:
        """What stands in the cache afterwards."""
        return sorted(str(path.relative_to(self.cache / "keyturn")) for path in self.cache.glob("keyturn/*/*"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place of the test's own."""
    return Place(tmp_path)


def test_built_once(place: Place) -> None:
    """Both programs lie in the user's cache afterwards, and a later run asks nobody."""
    assert place.obtain().returncode == 0
    home = "emulators-v0.7.0-v0.8.1"
    assert place.kept() == [f"{home}/azure-keyvault-emulator", f"{home}/entra-emulator"]
    place.log.write_text("")
    assert place.obtain().returncode == 0
    assert place.log.read_text() == ""


def test_pinned(place: Place) -> None:
    """Each module is asked for by its version."""
    place.obtain()
    asked = [line for line in place.log.read_text().splitlines() if line.startswith("mod download")]
    assert [line.rpartition("/")[2] for line in asked] == ["azure-keyvault-emulator@v0.7.0", "entra-emulator@v0.8.1"]


SAID = (
    "m@v0.7.0: reading https://modules.example/m/@v/v0.7.0.info: 403 Forbidden",
    "Get https://modules.example/m: dial tcp 127.0.0.1:1: connect: connection refused",
    "dial tcp: lookup modules.example: no such host",
    "net/http: TLS handshake timeout",
)


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("what", ["UNREACHABLE", "NO_PARTS"])
def test_not_to_be_had(place: Place, what: str, said: str) -> None:
    """Modules that cannot be reached are said, are no failure, and nothing is kept."""
    done = place.obtain(**{what: said})
    assert (done.returncode, place.kept()) == (0, [])
    assert f"{NAMED}: azure-keyvault-emulator v0.7.0 could not be fetched" in done.stderr


@pytest.mark.parametrize("said", ["no space left on device", "requires go >= 1.99 (running go 1.26.8)", "usage: go"])
@pytest.mark.parametrize("what", ["UNREACHABLE", "NO_PARTS"])
def test_any_other_word_of_the_installer_is_a_failure(place: Place, what: str, said: str) -> None:
    """What is wrong here, and not on the way there, is not taken for a machine without a network."""
    done = place.obtain(**{what: said})
    assert (done.returncode, place.kept()) == (1, [])
    assert f"could not be fetched: {said}" in done.stderr.replace('{"Error": "', "")
    assert NAMED not in done.stderr


def test_a_cache_that_cannot_be_made_is_a_failure(place: Place) -> None:
    """A file stands where the cache should be."""
    place.cache.write_text("")
    assert place.obtain().returncode == 1


def test_does_not_build(place: Place) -> None:
    """What was fetched and does not build is a failure that says why, and nothing is kept."""
    done = place.obtain(BROKEN="1")
    assert (done.returncode, place.kept()) == (1, [])
    assert "azure-keyvault-emulator does not build: main.go:7:2: undefined: answer" in done.stderr
    assert NAMED not in done.stderr


def test_another_checksum(place: Place) -> None:
    """A module that is not what its checksum says is a failure."""
    done = place.obtain(FORGED="1")
    assert (done.returncode, place.kept()) == (1, [])
    assert "is not what its checksum says" in done.stderr


@pytest.mark.parametrize("version", ["go1.25.10", "go1.22", "devel"])
def test_go_that_is_too_old(place: Place, version: str) -> None:
    """An older Go builds nothing; where no other one can be fetched that is the reason."""
    done = place.obtain(GO_VERSION=version)
    assert (done.returncode, place.kept()) == (0, [])
    assert f"{NAMED}: no Go from 1.25.11 on, and pip could not fetch one" in done.stderr
    assert "mod download" not in place.log.read_text()
