"""A reader of plain files: whole switches, a program that is told once and no other, and words that are no proof."""

import grp
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.consumers.files import Files
from keyturn.consumers.files.layout import PlainLayout
from keyturn.consumers.files.program import Program, Signal
from keyturn.core.consumer import Delivery, Grade
from keyturn.core.errors import AdapterError, Conflict, Denied, FenceLost, NotFound, Unavailable
from keyturn.core.secret import Bundle, SecretValue
from keyturn.system.loopback import Request

BUNDLE = Bundle({"username": "clo_a", "password": "first"})
OTHER = Bundle({"username": "clo_b", "password": "second"})
SECRET = "database"
VARIABLES = {"KEYTURN_CONSUMER": "proxy"}
HUP_SCRIPT = """
import os, signal, sys
got = open(sys.argv[1], "a", buffering=1)
signal.signal(signal.SIGHUP, lambda *_: got.write("HUP\\n"))
print(os.getpid(), file=open(sys.argv[2], "w"))
print("ready", flush=True)
while True:
    signal.pause()
"""


def program(
    reload: tuple[str, ...] = (),
    confirm: tuple[str, ...] = (),
    signalled: Signal | None = None,
    timeout: float = 5.0,
    http: Request | None = None,
) -> Program:
    """What a manifest may declare of it."""
    return Program(signalled, reload, confirm, timeout, VARIABLES, http)


def files(home: Path, told: Program | None = None, group: str | None = None, env_file: str | None = None) -> Files:
    """A reader of files below `home`."""
    return Files(
        name="proxy",
        service="clo",
        environment="test",
        bundle_dir=home / "run" / "secrets",
        program=told or program(),
        layout=PlainLayout(env_file),
        grace=4.0,
        group=group,
    )


def delivery(version: str, fence: int, bundle: Bundle = BUNDLE, secret: str = SECRET) -> Delivery:
    """A delivery with one published view."""
    return Delivery(secret, version, bundle, fence, {f"{secret}-url": SecretValue(f"postgresql://{secret}/{version}")})


def read(home: Path, name: str) -> str:
    """One file of those that lie there."""
    return (home / "run" / "secrets" / name).read_text()


def script(home: Path, body: str) -> tuple[str, ...]:
    """An argv of a shell script that does that."""
    path = home / f"script-{len(tuple(home.glob('script-*')))}"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return (str(path),)


def test_each_value_lies_in_a_file_of_its_own_under_the_name_that_docker_secrets_have(tmp_path: Path) -> None:
    """Fields and views with underscores, and nothing else that is not hidden: no proof key."""
    files(tmp_path).deliver(delivery("v1", 1))
    files(tmp_path).deliver(delivery("k1", 1, Bundle({"value": "key"}), "api-key"))
    lying = {path.name for path in (tmp_path / "run" / "secrets").iterdir() if not path.name.startswith(".")}
    assert lying == {"database_username", "database_password", "database_url", "api_key", "api_key_url"}
    assert (read(tmp_path, "database_username"), read(tmp_path, "api_key")) == ("clo_a", "key")
    assert read(tmp_path, "database_url") == "postgresql://database/v1"


def test_all_files_change_by_one_switch(tmp_path: Path) -> None:
    """Whoever has opened the directory goes on seeing the old set whole; the name leads to the new one."""
    reader = files(tmp_path, env_file="app.env")
    reader.deliver(delivery("v1", 1))
    opened = os.open(tmp_path / "run" / "secrets", os.O_DIRECTORY)
    reader.deliver(delivery("v2", 2, OTHER))
    with os.fdopen(os.open("database_username", os.O_RDONLY, dir_fd=opened)) as old:
        assert old.read() == "clo_a"
    os.close(opened)
    assert (read(tmp_path, "database_username"), reader.delivered("database")) == ("clo_b", "v2")
    assert "DATABASE_USERNAME='clo_b'\n" in read(tmp_path, "app.env")


@pytest.mark.parametrize(("grouped", "directory", "file"), [(False, 0o700, 0o600), (True, 0o750, 0o640)])
def test_files_are_no_wider_than_declared(tmp_path: Path, *, grouped: bool, directory: int, file: int) -> None:
    """Only the owner reads them, or the declared group as well, whatever the umask is."""
    before = os.umask(0)
    try:
        group = grp.getgrgid(os.getegid()).gr_name if grouped else None
        files(tmp_path, group=group, env_file="app.env").deliver(delivery("v1", 1))
    finally:
        os.umask(before)
    lying = tmp_path / "run" / "secrets"
    assert stat.S_IMODE(lying.stat().st_mode) == directory
    assert {stat.S_IMODE(path.stat().st_mode) for path in lying.iterdir()} == {file}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660])
def test_files_that_somebody_opened_are_refused(tmp_path: Path, mode: int) -> None:
    """A file wider than declared stops the next delivery, with the command that mends it."""
    files(tmp_path).deliver(delivery("v1", 1))
    (tmp_path / "run" / "secrets" / "database_password").chmod(mode)
    with pytest.raises(Denied) as refused:
        files(tmp_path).deliver(delivery("v2", 2, OTHER))
    assert refused.value.remedy.startswith("chmod 0600 ")
    assert files(tmp_path).delivered("database") == "v1"


def test_a_late_delivery_changes_nothing_and_tells_nobody(tmp_path: Path) -> None:
    """A lower fence is refused before the program hears of it."""
    reader = files(tmp_path, program(script(tmp_path, f"echo told >> {tmp_path}/told")))
    reader.deliver(delivery("v0", 0))
    reader.deliver(delivery("v2", 2, OTHER))
    with pytest.raises(FenceLost):
        reader.deliver(delivery("v1", 1))
    assert read(tmp_path, "database_username") == "clo_b"
    assert (tmp_path / "told").read_text() == "told\n"


def test_what_is_not_ours_is_not_followed(tmp_path: Path) -> None:
    """A link that leads elsewhere is refused, and what it leads to is untouched."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run" / "secrets").symlink_to(elsewhere)
    with pytest.raises(Conflict):
        files(tmp_path).deliver(delivery("v1", 1))
    assert list(elsewhere.iterdir()) == []


def test_a_command_is_told_after_the_switch_and_once(tmp_path: Path) -> None:
    """It finds the new files there, knows which version it is; the same delivery again runs it no more."""
    lines = (
        f'echo "$KEYTURN_SECRET $KEYTURN_VERSION $(cat {tmp_path}/run/secrets/database_username)" >> {tmp_path}/told'
    )
    reader = files(tmp_path, program(script(tmp_path, lines)))
    for version, fence, bundle in (("v0", 0, OTHER), ("v1", 1, BUNDLE), ("v1", 1, BUNDLE), ("v2", 2, OTHER)):
        reader.deliver(delivery(version, fence, bundle))
    assert (tmp_path / "told").read_text() == "database v1 clo_a\ndatabase v2 clo_b\n"


def test_a_second_version_is_told_where_the_files_of_the_first_are_lost(tmp_path: Path) -> None:
    """That nothing lies there says nothing of what the program runs on."""
    (tmp_path / "run").mkdir()
    reader = files(tmp_path, program(script(tmp_path, f"echo told >> {tmp_path}/told")))
    reader.deliver(delivery("v1", 1))
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "run").mkdir()
    reader.deliver(replace(delivery("v2", 2, OTHER), former="v1"))
    assert (tmp_path / "told").read_text() == "told\n"


def test_the_first_version_of_a_secret_is_told_to_nobody(tmp_path: Path) -> None:
    """A program that needs it cannot run yet; of another secret's change it hears, also if that failed before."""
    reader = files(tmp_path, program(("/nonexistent/reload",)))
    for secret in ("database", "replica"):
        reader.deliver(delivery("v1", 1, secret=secret))
        assert reader.delivered(secret) == "v1"
    with pytest.raises(NotFound):
        reader.deliver(delivery("v2", 2, OTHER))
    with pytest.raises(NotFound):
        reader.deliver(delivery("v1", 1, secret="third"))
    mended = files(tmp_path, program(script(tmp_path, f"echo told >> {tmp_path}/told")))
    assert mended.delivered("database") is None
    mended.deliver(delivery("v2", 2, OTHER))
    assert (mended.delivered("database"), mended.delivered("third")) == ("v2", "v1")
    assert (tmp_path / "told").read_text() == "told\n"


def test_a_command_sees_no_value_and_no_variable_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arguments are those of the manifest; its environment is short and known."""
    monkeypatch.setenv("KEYTURN_VAULT_KEY_FILE", "/nowhere")
    monkeypatch.setenv("LD_PRELOAD", "")
    told = script(tmp_path, f"tr '\\0' '\\n' < /proc/$$/environ > {tmp_path}/environ; tr '\\0' ' ' < /proc/$$/cmdline")
    files(tmp_path).deliver(delivery("v0", 0, OTHER))
    files(tmp_path, program(told)).deliver(delivery("v1", 1))
    environ = dict(line.split("=", 1) for line in (tmp_path / "environ").read_text().splitlines())
    assert environ.keys() == {"PATH", "LANG", "KEYTURN_CONSUMER", "KEYTURN_SECRET", "KEYTURN_VERSION"}
    output = (tmp_path / "run" / ".secrets.reload-output").read_text()
    assert output.split() == ["/bin/sh", *told]


@pytest.mark.parametrize(
    ("body", "words"),
    [("echo secret-in-output; exit 3", "exit status 3"), ("kill -9 $$", "signal 9"), ("exec sleep 60", "too long")],
)
def test_a_command_that_fails_or_hangs_is_a_failed_delivery(tmp_path: Path, body: str, words: str) -> None:
    """It is said how it ended and never what it wrote; nothing counts as delivered, and the next try runs it again."""
    told = script(tmp_path, f"[ -e {tmp_path}/mended ] && exit 0\n{body}")
    reader = files(tmp_path, program(told, timeout=0.3))
    reader.deliver(delivery("v0", 0, OTHER))
    for _ in range(2):
        with pytest.raises(Unavailable) as failed:
            reader.deliver(delivery("v1", 1))
        assert words in failed.value.message
        assert "secret-in-output" not in failed.value.message + failed.value.remedy
        assert reader.delivered("database") is None
    (tmp_path / "mended").touch()
    reader.deliver(delivery("v1", 1))
    assert reader.delivered("database") == "v1"


def test_what_a_command_wrote_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    """The remedy names a file 0600, bounded, however much was written."""
    told = script(tmp_path, "head -c 1000000 /dev/zero; exit 1")
    files(tmp_path).deliver(delivery("v0", 0, OTHER))
    with pytest.raises(Unavailable) as failed:
        files(tmp_path, program(told)).deliver(delivery("v1", 1))
    kept = tmp_path / "run" / ".secrets.reload-output"
    assert str(kept) in failed.value.remedy
    assert (stat.S_IMODE(kept.stat().st_mode), kept.stat().st_size) == (0o600, 16 * 1024)


@pytest.mark.parametrize("status", [200, 503])
def test_a_request_tells_the_program_and_its_answer_counts(tmp_path: Path, status: int) -> None:
    """2xx is told; anything else is a failed delivery that is told again, and names the status alone."""
    answers = [b"HTTP/1.1 %d x\r\n\r\nwords of its own" % one for one in ((status, 200) if status != 200 else (200,))]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        asked: list[bytes] = []
        thread = threading.Thread(target=answer, args=(listener, answers, asked))
        thread.start()
        reader = files(tmp_path, program(http=Request("POST", "http://127.0.0.1/reload", tmp_path / "s")))
        reader.deliver(delivery("v0", 0, OTHER))
        if status != 200:
            with pytest.raises(Unavailable, match=f"answered {status}(\n|$)"):
                reader.deliver(delivery("v1", 1))
            assert reader.delivered("database") is None
        reader.deliver(delivery("v1", 1))
        assert reader.delivered("database") == "v1"
        thread.join()
    assert len(asked) == len(answers)
    assert b"first" not in b"".join(asked)


def answer(listener: socket.socket, answers: list[bytes], asked: list[bytes]) -> None:
    """One connection for each answer."""
    for one in answers:
        with listener.accept()[0] as connected:
            asked.append(connected.recv(4096))
            connected.sendall(one)


def test_a_missing_program_is_a_failed_delivery(tmp_path: Path) -> None:
    """The error names it; the files lie there, and the version is not called delivered."""
    reader = files(tmp_path, program(("/nonexistent/reload", "now")))
    reader.deliver(delivery("v0", 0, OTHER))
    with pytest.raises(NotFound, match="/nonexistent/reload"):
        reader.deliver(delivery("v1", 1))
    assert (read(tmp_path, "database_username"), reader.delivered("database")) == ("clo_a", None)


KILLED = """
import sys
from pathlib import Path
from tests.unit.consumers.test_files import BUNDLE, delivery, files, program
files(Path(sys.argv[1]), program((sys.argv[2],))).deliver(delivery("v1", 1))
"""


def test_a_delivery_that_was_killed_before_the_command_is_made_up_for(tmp_path: Path) -> None:
    """Files that the program was not told of are not delivered; delivering again only tells it."""
    files(tmp_path).deliver(delivery("v0", 0, OTHER))
    (killer,) = script(tmp_path, "kill -9 $PPID")
    command = [sys.executable, "-c", KILLED, str(tmp_path), killer]
    assert subprocess.run(command, check=False, cwd=Path(__file__).parents[3]).returncode == -signal.SIGKILL
    lying = (tmp_path / "run" / "secrets").readlink()
    assert read(tmp_path, "database_username") == "clo_a"
    reader = files(tmp_path, program(script(tmp_path, f"echo told >> {tmp_path}/told")))
    assert reader.delivered("database") is None
    reader.deliver(delivery("v1", 1))
    assert (reader.delivered("database"), (tmp_path / "run" / "secrets").readlink()) == ("v1", lying)
    assert (tmp_path / "told").read_text() == "told\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes its pid file and notes each SIGHUP."""
    command = [sys.executable, "-c", HUP_SCRIPT, str(tmp_path / "heard"), str(tmp_path / "pid")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_process_gets_its_signal_once_for_each_switch(tmp_path: Path, daemon: subprocess.Popen[str]) -> None:
    """The process that the pid file names hears SIGHUP after a switch, and not for the same delivery again."""
    reader = files(tmp_path, program(signalled=Signal(tmp_path / "pid", signal.SIGHUP)))
    for version, fence, bundle in (("v0", 0, OTHER), ("v1", 1, BUNDLE), ("v1", 1, BUNDLE)):
        reader.deliver(delivery(version, fence, bundle))
    heard = tmp_path / "heard"
    while heard.read_text() != "HUP\n":
        assert daemon.poll() is None
    assert reader.delivered("database") == "v1"


def test_without_its_process_a_delivery_fails(tmp_path: Path) -> None:
    """No pid file: one cannot know whether the program reads again, so nothing was delivered."""
    reader = files(tmp_path, program(signalled=Signal(tmp_path / "pid", signal.SIGHUP)))
    reader.deliver(delivery("v0", 0, OTHER))
    with pytest.raises(AdapterError):
        reader.deliver(delivery("v1", 1))
    assert reader.delivered("database") is None


def test_what_a_command_confirms_is_claimed_and_no_more(tmp_path: Path) -> None:
    """Exit status 0 is one instance on the delivered version, graded claimed; it is told which version is asked."""
    confirm = script(tmp_path, '[ "$KEYTURN_VERSION" = v1 ]')
    reader = files(tmp_path, program(confirm=confirm))
    assert reader.reports
    assert not reader.observe("database", {}).complete
    reader.deliver(delivery("v1", 1))
    seen = reader.observe("database", {})
    assert (seen.complete, [(one.grade, one.runs_on("v1")) for one in seen.instances]) == (
        True,
        [(Grade.CLAIMED, True)],
    )
    reader.deliver(delivery("v2", 2, OTHER))
    seen = reader.observe("database", {})
    assert (seen.notes, [one.runs_on("v2") for one in seen.instances]) == (("confirm: exit status 1",), [False])


def test_without_confirmation_nothing_is_shown(tmp_path: Path) -> None:
    """It does not report: its grace is waited."""
    reader = files(tmp_path)
    reader.deliver(delivery("v1", 1))
    seen = reader.observe("database", {})
    assert (reader.reports, reader.grace, seen.complete, seen.instances) == (False, 4.0, False, ())
