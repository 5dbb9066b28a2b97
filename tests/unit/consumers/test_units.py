"""Units of systemd, as `systemctl show` tells of them."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.consumers.rolling.asking import Asking
from keyturn.consumers.rolling.units import Units
from keyturn.core.errors import NotFound, Unavailable
from keyturn.core.rolling import Replica
from keyturn.system.processes import identity_of, this_process

ONE = """MainPID=41
ExecMainStartTimestampMonotonic=7000
Id=worker@1.service
LoadState=loaded
ActiveState=active
SubState=running
InvocationID=aa
"""
TWO = ONE.replace("worker@1", "worker@2").replace("=aa", "=bb").replace("=active", "=activating")


def units(home: Path, said: str, *names: str, status: int = 0) -> Units:
    """Units of a systemd that says that."""
    (home / "said").write_text(said)
    program = home / "systemctl"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{home}/argv\ncat {home}/said\nexit {status}\n')
    program.chmod(0o700)
    return Units(Asking((str(program),), 5.0), names or ("worker@1.service", "worker@2.service"))


def test_each_unit_is_one_with_its_invocation(tmp_path: Path) -> None:
    """What a start changes is part of its id; one that is not active is not ready, and says why."""
    first, second = units(tmp_path, f"{ONE}\n{TWO}").present()
    assert (first.id, first.pid, first.ready) == ("worker@1.service@aa", 41, True)
    assert (second.id, second.ready, second.state) == ("worker@2.service@bb", False, "activating, running")


def test_a_name_is_no_option(tmp_path: Path) -> None:
    """Names come after `--`, whatever they begin with."""
    some = units(tmp_path, ONE, "--force")
    (one,) = some.present()
    some.restart(replace(one, handle="--now"))
    some.tell(replace(one, handle="--now"))
    lines = (tmp_path / "argv").read_text().split("\n")
    assert lines[1].startswith("--property=")
    assert lines[2:-1] == ["--", "--force", "restart", "--", "--now", "reload", "--", "--now"]


@pytest.mark.parametrize(
    ("said", "status", "error"),
    [
        (ONE.replace("=loaded", "=not-found"), 0, NotFound),
        (ONE.replace("MainPID", "Other"), 0, Unavailable),
        (ONE.replace("=41", "=forty-one"), 0, Unavailable),
        (ONE, 1, Unavailable),
    ],
)
def test_what_is_not_told_is_not_guessed(tmp_path: Path, said: str, status: int, error: type[Exception]) -> None:
    """A unit that is not loaded, an answer with a hole, and no answer are errors."""
    with pytest.raises(error):
        units(tmp_path, said, status=status).present()


@pytest.mark.parametrize(
    ("names", "expect", "number"),
    [(("a.service", "b.service", "a.service"), None, 2), (("w@*.service",), None, None), (("w@*.service",), 3, 3)],
)
def test_how_many_there_must_be(tmp_path: Path, names: tuple[str, ...], expect: int | None, number: int) -> None:
    """All that are named; of a pattern what is declared."""
    assert Units(Asking((str(tmp_path),), 5.0), names, expect).expected() == number


def test_a_process_belongs_to_the_unit_whose_group_it_is_in(tmp_path: Path) -> None:
    """Here by its main process; one of another namespace, or that has ended, belongs to none, nor is it gone."""
    me = Replica("w@1", "w.service", "w.service", True, "active", "1", pid=os.getpid())
    some, here = units(tmp_path, ONE), this_process()
    assert some.home(here, (me,)) == (me, False)
    assert some.home(replace(here, namespace="pid:[1]"), (me,)) == (None, False)
    assert some.home(replace(here, start="1"), (me,)) == (None, False)
    assert some.home(identity_of(os.getppid()), (me,)) == (None, False)
