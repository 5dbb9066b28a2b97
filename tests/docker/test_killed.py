"""A worker that is killed at a point of a roll, and the one after it."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from keyturn.core.consumer import Delivery
from keyturn.core.secret import Bundle
from keyturn.testing.docker_engine import DockerEngine
from keyturn.testing.rolling_restart import SECRET, Fleet, settle
from tests.docker import killed_roll
from tests.docker.conftest import clear

KILLER = """#!/bin/sh
# the engine, and a kill of whoever called it, before or after the first call with that word
echo "$2" >>{home}/calls
[ "$(grep -c '^{word}$' {home}/calls)" = 1 ] && [ "$2" = {word} ] && mine=yes
[ "$mine-{when}" = yes-before ] && kill -9 $PPID && exit 1
{engine} "$@"
status=$?
[ "$mine-{when}" = yes-after ] && kill -9 $PPID
exit $status
"""


def work(fleet: Fleet, engine: Path, number: int) -> int:
    """A worker that delivers that version and rolls; its status."""
    said = {
        "kind": "compose",
        "file": str(fleet.home / "compose.yaml"),
        "service": "api",
        "engine": [str(engine)],
        "bundle_dir": str(fleet.home / "run" / "bundle"),
        "proof": "claimed",
        "pause": "50ms",
    }
    table = fleet.home / "table.json"
    table.write_text(json.dumps(said))
    argv = [sys.executable, killed_roll.__file__, str(table), f"v{number}", str(number), f"word-{number}"]
    return subprocess.run(argv, check=False, timeout=100).returncode


def program(path: Path, text: str) -> Path:
    """That text as a program."""
    path.write_text(text)
    path.chmod(0o700)
    return path


@pytest.fixture(scope="module")
def fleet(one_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Two containers that run on a first version, for all tests of this file."""
    clear(one_engine)
    fleet = Fleet(one_engine, tmp_path_factory.mktemp("killed"), 2)
    rolling = fleet.consumer(pause=0.05)
    rolling.deliver(Delivery(SECRET, "v1", Bundle({"password": "word-1"}), 1))
    fleet.start()
    settle(rolling)
    return fleet


@pytest.mark.parametrize(
    ("number", "word", "when"),
    [(2, "ls", "before"), (3, "restart", "before"), (4, "restart", "after")],
    ids=["before anybody was counted", "before the first restart", "after it"],
)
def test_each_replica_is_moved_once_whenever_the_worker_is_killed(
    fleet: Fleet, tmp_path: Path, number: int, word: str, when: str
) -> None:
    """The next worker finds what was done, and moves only the rest; all read the new version in the end."""
    engine = " ".join(fleet.engine.argv)
    text = KILLER.format(home=tmp_path, word=word, when=when, engine=engine)
    assert work(fleet, program(tmp_path / "killer", text), number) == -9
    recorder = f'#!/bin/sh\necho "$2" >>{tmp_path}/calls\nexec {engine} "$@"\n'
    assert work(fleet, program(tmp_path / "recorder", recorder), number) == 0
    assert [fleet.content(one) for one in (1, 2)] == [f"word-{number}"] * 2
    calls = Counter((tmp_path / "calls").read_text().split())
    called_in_vain = (word, when) == ("restart", "before")
    assert calls["restart"] == 2 + called_in_vain
