"""Streams that are closed, full or gone: no traceback, and nothing under way is stopped."""

import subprocess

import pytest

from tests.cli.conftest import Keyturn


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"], autouse=True)
def buffering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is full fails at once, or not before what is held back is written."""
    monkeypatch.setenv("PYTHONUNBUFFERED", request.param)


def under_shell(keyturn: Keyturn, redirected: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command as a shell starts it with these redirections."""
    shell = ["sh", "-c", f'exec "$@" {redirected}', "sh", *keyturn.command(*words)]
    return subprocess.run(
        shell,
        env=keyturn.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(begun: Keyturn, closed: str) -> None:
    """With any of its streams closed a command does its work and exits as ever."""
    ended = under_shell(begun, closed, "status")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("doctor", "--json")])
def test_a_full_disk_behind_stdout_is_no_traceback(begun: Keyturn, words: tuple[str, ...]) -> None:
    """Output that cannot be written is said in two lines, with exit 3."""
    ended = under_shell(begun, "> /dev/full", *words)
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") == 2


def test_a_full_disk_behind_stderr_stops_nothing(begun: Keyturn) -> None:
    """An error that cannot be told still has its exit status."""
    assert under_shell(begun, "2> /dev/full", "history", "no-such-secret").returncode == 2
