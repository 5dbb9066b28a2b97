"""A FastAPI service under gunicorn and uvicorn with several workers: each is an instance, and none loses a request."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from keyturn.core.consumer import Grade
from keyturn.core.secret import MASK
from tests.live.client.client_place import Database, Place, until
from tests.live.client.server_place import GUNICORN, UVICORN, Load, Server, kill
from tests.values import stands_in

SERVERS = {
    "gunicorn, uvicorn's workers": ((*GUNICORN, "-k", "uvicorn.workers.UvicornWorker"), 3, True),
    "gunicorn --preload, its own workers": ((*GUNICORN, "-k", "asgi", "--preload"), 3, False),
    "uvicorn --workers": (UVICORN, 2, True),
}
"""The command, how many workers that makes, and whether it writes tracebacks into its log."""
THREADS = 4
PATIENCE = 120.0
"""Seconds. Workers import a framework each, beside whatever else the machine does."""


@pytest.fixture
def application(tmp_path: Path, database: Database) -> Callable[[int], Place]:
    """An application of so many processes, with v1 (slot a) delivered."""

    def made(expect: int) -> Place:
        place = Place(tmp_path, database, expect)
        place.deliver("a", "v1")
        return place

    return made


def settled(place: Place, version: str, gone: set[int]) -> set[int]:
    """Wait until all processes are there, none of those that are gone, and shown to run on that version: which."""
    found: set[int] = set()

    def all_of_them() -> bool:
        seen = place.observe()
        found.clear()
        found.update(int(one.id.split("-")[-2]) for one in seen.instances)
        shown = all(one.runs_on(version) and one.grade is Grade.HOLDS for one in seen.instances)
        return seen.complete and shown and not found & gone

    until(all_of_them, PATIENCE)
    return found


@pytest.mark.parametrize("name", SERVERS)
def test_no_request_fails_while_workers_move_and_one_is_killed(
    tmp_path: Path, application: Callable[[int], Place], name: str
) -> None:
    """The worker that takes the place of the killed one reports as well; then the old role may be ended."""
    argv, workers, traces = SERVERS[name]
    place = application(workers)
    with Server(tmp_path, place.client_file, argv) as server:
        until(server.ready, PATIENCE)
        with Load(server, THREADS) as load:
            first = settled(place, "v1", set())
            assert server.process.pid not in first
            place.deliver("b", "v2")
            victim = min(first)
            kill(victim)
            moved = settled(place, "v2", {victim})
            until(partial(unused, place), PATIENCE)
            place.database.run(f"ALTER ROLE {place.database.role('a')} NOLOGIN")
            until(load.more(40), PATIENCE)
        answered = {one["pid"] for one in load.done[-40:]}
        assert answered <= moved
        assert server.ask("/fail")[0] == 500
    assert load.failed == []
    assert len(load.cut) <= THREADS
    assert load.done[-1]["users"] == [place.database.role("b")] * 2
    assert server.process.returncode == 0
    assert [json.loads(path.read_text())["drained"] for path in reports(place)] == [True] * workers
    assert place.observe().instances == ()
    log = server.log.read_text()
    assert ("GET /fail" in log, f"RuntimeError: {MASK}" in log) == (True, traces)
    assert not any(stands_in(bundle["password"], log) for bundle in place.database.bundles.values())


def reports(place: Place) -> list[Path]:
    """What the processes have written of themselves."""
    return sorted((place.home / "run" / "status").glob("*.json"))


def unused(place: Place) -> bool:
    """Whether the role of v1 has no session."""
    return place.database.sessions("a") == 0
