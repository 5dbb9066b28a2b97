"""Processes of an application under load, while their database credential changes."""

import signal
from functools import partial
from typing import Any

from keyturn.core.consumer import Grade
from tests.live.client.client_place import Place, until


def settled(place: Place, version: str) -> bool:
    """Whether all expected instances are shown to run on it."""
    seen = place.observe()
    return seen.complete and all(i.runs_on(version) and i.grade is Grade.HOLDS for i in seen.instances)


def unused(place: Place, slot: str) -> bool:
    """Whether the role of that slot has no session."""
    return place.database.sessions(slot) == 0


def failures(lines: list[dict[str, Any]]) -> list[tuple[int, int, int]]:
    """Failed log-ins, first log-ins that were turned down, failed queries, of each process."""
    return [(x["logins"]["failed"], x["logins"]["refused_first"], x["queries"]["failed"]) for x in lines]


def test_a_rotation_there_and_back_fails_no_request(place: Place) -> None:
    """Two processes move to the other role and back under load; then the one they left has no session."""
    place.start()
    place.start()
    until(lambda: settled(place, "v1"))
    for slot, other, version in (("b", "a", "v2"), ("a", "b", "v1")):
        place.deliver(slot, version)
        until(partial(settled, place, version))
        until(partial(unused, place, other))
        place.database.run(f"ALTER ROLE {place.database.role(other)} NOLOGIN")
        until(lambda: place.observe().complete)
        place.database.run(f"ALTER ROLE {place.database.role(other)} LOGIN")
    lines = place.stop()
    assert failures(lines) == [(0, 0, 0), (0, 0, 0)], lines
    assert all(line["logins"]["ok"] > 0 and line["queries"]["ok"] > 0 and line["version"] == "v1" for line in lines)


def test_a_role_without_connections_is_rejected_and_the_old_stays_in_use(place: Place) -> None:
    """CONNECTION LIMIT 0 on the new role: both reject it by SQLSTATE, stay on v1, and lose no request."""
    place.database.run(f"ALTER ROLE {place.database.role('b')} CONNECTION LIMIT 0")
    place.start()
    place.start()
    until(lambda: settled(place, "v1"))
    place.deliver("b", "v2")
    until(lambda: sum(i.rejection is not None for i in place.observe().instances) == 2)
    seen = place.observe().instances
    assert {(i.rejection.version, "53300" in i.rejection.reason) for i in seen if i.rejection} == {("v2", True)}
    assert {i.oldest for i in seen} == {"v1"}
    place.deliver("a", "v1")
    until(lambda: settled(place, "v1"))
    assert failures(place.stop()) == [(0, 0, 0), (0, 0, 0)]


def test_a_missing_grant_is_found_by_the_applications_own_check(place: Place) -> None:
    """A new role that may log in but not read the table is rejected with 42501."""
    database = place.database
    database.run(f"REVOKE {database.name}_owner FROM {database.role('b')}")
    database.run(f"ALTER ROLE {database.role('b')} IN DATABASE {database.name} RESET role")
    place.start()
    place.start()
    until(lambda: settled(place, "v1"))
    place.deliver("b", "v2")
    until(lambda: [i.rejection.reason for i in place.observe().instances if i.rejection] == _GRANT * 2)
    database.run(f"GRANT {database.name}_owner TO {database.role('b')}")
    until(lambda: settled(place, "v2"))
    assert failures(place.stop()) == [(0, 0, 0), (0, 0, 0)]


_GRANT = ["InsufficientPrivilege 42501"]


def test_a_stopped_process_is_a_holdout_until_it_goes_on(place: Place) -> None:
    """SIGSTOP on the old version: it never counts as moved; after SIGCONT it moves by itself."""
    stopped = place.start()
    place.start()
    until(lambda: settled(place, "v1"))
    stopped.send_signal(signal.SIGSTOP)
    place.deliver("b", "v2")
    until(lambda: [i.silent for i in place.observe().instances if f"-{stopped.pid}-" in i.id] == [True])
    until(lambda: [i.oldest for i in place.observe().instances if f"-{stopped.pid}-" not in i.id] == ["v2"])
    seen = place.observe()
    assert [i.oldest for i in seen.instances if f"-{stopped.pid}-" in i.id] == ["v1"]
    assert any("is silent since" in note for note in seen.notes)
    stopped.send_signal(signal.SIGCONT)
    until(lambda: settled(place, "v2"))
    assert failures(place.stop()) == [(0, 0, 0), (0, 0, 0)]


def test_a_killed_process_is_left_out_and_one_that_ends_says_drained(place: Place) -> None:
    """SIGKILL: gone from the next observation, and its file with it; SIGTERM: drained, then gone."""
    killed, ended = place.start(), place.start()
    until(lambda: settled(place, "v1"))
    killed.kill()
    killed.wait()
    seen = place.observe()
    assert [f"-{ended.pid}-" in i.id for i in seen.instances] == [True]
    assert not seen.complete
    assert [path.name.split("-")[1] for path in (place.home / "run" / "status").glob("*.json")] == [str(ended.pid)]
    ended.terminate()
    assert ended.wait(30) == 0
    assert place.observe().instances == ()
