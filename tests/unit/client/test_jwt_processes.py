"""Several processes of one service that sign and check each other's tokens, while the keys change."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from keyturn.core.consumer import Grade
from tests.unit.client.key_place import KeyPlace, Pair
from tests.unit.client.place import until

PROCESSES = ("1", "2", "3")


def test_three_processes_accept_each_others_tokens_through_two_rotations(tmp_path: Path) -> None:
    """Each publication is shown to be in use by all of them, by proof, before the next; no token is refused."""
    first, second = Pair("ES256"), Pair("EdDSA")
    place = KeyPlace(tmp_path, "jwt", first.signs(), reports=True)
    program = Path(__file__).with_name("token_process.py")
    root = str(Path(__file__).parents[3])
    running = [
        subprocess.Popen([sys.executable, str(program), str(tmp_path), number], env={**os.environ, "PYTHONPATH": root})
        for number in PROCESSES
    ]

    def in_use(version: str) -> bool:
        seen = place.application.observe("jwt", place.bundles).instances
        return len(seen) == len(running) and all(one.runs_on(version) and one.grade is Grade.HOLDS for one in seen)

    def turns() -> list[int]:
        return [int((tmp_path / f"checked-{number}").read_text()) for number in PROCESSES]

    def went_on(before: list[int]) -> bool:
        return all(now > then + 2 for now, then in zip(turns(), before, strict=True))

    try:
        until(lambda: len(list(tmp_path.glob("checked-?"))) == len(PROCESSES), 60)
        for old, new in ((first, second), (second, first)):
            for fields in (old.signs(new), new.signs(old), new.signs()):
                until(partial(in_use, place.deliver(fields)), 60)
                until(partial(went_on, turns()), 60)  # what any of them signed before is not looked at any more
    finally:
        (tmp_path / "over").touch()
        ended = [one.wait(60) for one in running]
    assert ended == [0, 0, 0]
    assert list(tmp_path.glob("refused-?")) == []
