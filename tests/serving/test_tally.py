"""What the oracle counts, and what it excuses: nothing but a write that was in a killed process."""

from dataclasses import replace
from typing import Any

import pytest

from keyturn.rotation.events import Seen
from keyturn.rotation.report import Report, Shown
from tests.serving.proof import Result, of_rotation
from tests.serving.tally import Kill, Phase, tally

KILL = Kill(100.0, "127.0.0.1:8001")
IN_THE_PROCESS = {"at": 100.1, "kind": "failed", "what": "POST /deals", "how": "502", "upstream": "127.0.0.1:8001"}


def line(*events: dict[str, Any], at: float = 1.0, requests: int = 10, ms: tuple[float, ...] = ()) -> dict[str, Any]:
    """A line of a log."""
    return {"at": at, "requests": requests, "resent": 0, "users": 1, "ms": list(ms), "events": list(events)}


def test_each_event_is_counted_as_what_it_is() -> None:
    """A request that failed, a user who was logged out and an answer that forgot a write are three figures."""
    events = [{**IN_THE_PROCESS, "kind": kind} for kind in ("failed", "failed", "logged_out", "wrong")]
    said = tally([[line(*events[:1]), line(*events[1:], requests=20)], [line(requests=7)]])
    assert (said.requests, said.failed, said.logged_out, said.wrong, said.lost) == (27, 2, 1, 1, 0)
    assert said.how["failed: POST /deals 502"] == 2


def test_a_write_in_a_killed_process_is_lost_and_not_failed() -> None:
    """Nginx asked the killed process, says 502 within seconds, and may not ask another one for a POST."""
    said = tally([[line(IN_THE_PROCESS)]], kills=[KILL])
    assert (said.failed, said.lost, said.how) == (0, 1, {})


@pytest.mark.parametrize(
    "other",
    [
        {"what": "GET /me"},
        {"how": "500"},
        {"how": "RemoteDisconnected"},
        {"upstream": "127.0.0.1:8002"},
        {"upstream": ""},
        {"at": 99.9},
        {"at": 106.0},
    ],
)
def test_everything_else_around_a_kill_is_a_failure(other: dict[str, Any]) -> None:
    """A look, another answer, another process, and what was before or long after the kill are not excused."""
    said = tally([[line({**IN_THE_PROCESS, **other})]], kills=[KILL])
    assert (said.failed, said.lost) == (1, 0)


def test_a_user_who_was_logged_out_at_a_kill_is_not_excused() -> None:
    """Tokens and sessions outlive a process of the service."""
    assert tally([[line({**IN_THE_PROCESS, "kind": "logged_out", "how": "401"})]], kills=[KILL]).logged_out == 1


def test_latencies_are_told_by_phase() -> None:
    """The first phase that has the moment counts; outside of all it is calm."""
    phases = [Phase("reload", 5.0, 6.0), Phase("rotating", 4.0, 9.0)]
    said = tally([[line(at=1.0, ms=(1.0,)), line(at=5.5, ms=(5.0, 7.0)), line(at=8.0, ms=(2.0,))]], phases)
    assert said.ms == {"calm": [1.0], "reload": [5.0, 7.0], "rotating": [2.0]}
    assert (said.percentile(0.5), said.percentile(1.0), said.percentile(0.99, "calm")) == (5.0, 7.0, 1.0)
    assert said.percentile(0.99, "none") == 0.0


def test_a_single_event_fails_a_run() -> None:
    """One failed request, one logged-out user, one forgotten write or one violation is enough."""
    good = Result(2, tally([[line()]]), 1.0, 1.0, [])
    bad = [Result(2, tally([[line({**IN_THE_PROCESS, "kind": kind})]]), 1.0, 1.0, []) for kind in ("failed", "wrong")]
    out = Result(2, tally([[line({**IN_THE_PROCESS, "kind": "logged_out"})]]), 1.0, 1.0, [])
    assert (good.passed, [one.passed for one in bad], out.passed) == (True, [False, False], False)
    assert not replace(good, violations=["something"]).passed
    assert [one.last_line for one in (good, *bad, out)] == [
        "rotations=2 requests=10 failed=0 logged_out=0 p99_ms=0",
        "rotations=2 requests=10 failed=1 logged_out=0 p99_ms=0",
        "rotations=2 requests=10 failed=1 logged_out=0 p99_ms=0",
        "rotations=2 requests=10 failed=0 logged_out=1 p99_ms=0",
    ]


def seen(number: int, **other: Any) -> Seen:
    """An instance that is shown to hold the version v2, but for what is other."""
    facts = {"id": f"host-{number}-1", "oldest": "v2", "newest": "v2", "grade": "holds", "since": "", "silent": False}
    return Seen(**{**facts, **other})


def rotated(instances: tuple[Seen, ...]) -> Report:
    """A rotation from v1 to v2 that closed when it had seen these."""
    shown = Shown("clo-api", "v2", "holds", 4, True, 0, instances, ())
    return Report(
        *("id", "database", "rotate", "forward", "closed", "", "clo_b", ""),
        old_version="v1",
        new_version="v2",
        death="refused",
        consumers=(shown,),
    )


FOUR = tuple(seen(number) for number in range(4))


def test_a_rotation_is_shown_by_four_processes() -> None:
    """Four that hold the new version, and one that said goodbye, lack nothing."""
    assert list(of_rotation(rotated(FOUR))) == []
    assert list(of_rotation(rotated((*FOUR, seen(9, oldest="v1", drained=True))))) == []


@pytest.mark.parametrize(
    "instances",
    [FOUR[:3], (*FOUR[:3], seen(3, grade="claimed")), (*FOUR[:3], seen(3, oldest="v1")), (*FOUR, seen(4, oldest="v1"))],
)
def test_a_rotation_that_is_not_shown_by_all_is_named(instances: tuple[Seen, ...]) -> None:
    """One too few, one that only claims it, and one on the old version are told."""
    assert len(list(of_rotation(rotated(instances)))) == 1


def test_a_rotation_whose_old_credential_lives_is_named() -> None:
    """Held, or closed without a refusal, is not what was asked for."""
    good = rotated(FOUR)
    for other in (replace(good, outcome="open"), replace(good, death="unprovable"), replace(good, consumers=())):
        assert len(list(of_rotation(other))) == 1
