"""What several servers say together."""

from collections.abc import Iterator

import pytest

from keyturn.core.rotator import Answer, Probe
from keyturn.rotators.postgres.agreement import ROUNDS, unanimous
from keyturn.system.postgres import Server

YES, NO, NOT_SO, SILENT = Answer.ACCEPTED, Answer.REFUSED, Answer.UNUSABLE, Answer.UNREACHABLE
TWO = tuple(Server(host, 5432, "clo", "keyturn/x") for host in ("db1", "db2"))


def told(answers: list[Answer], servers: tuple[Server, ...] = TWO) -> tuple[Probe, int]:
    """What comes of those answers, given in turn, and how many of them were asked for."""
    script: Iterator[Answer] = iter(answers)
    asked: list[str] = []

    def log_in(server: Server) -> Probe:
        asked.append(server.host)
        return Probe(next(script), f"{server.node} said so")

    return unanimous(servers, log_in), len(asked)


@pytest.mark.parametrize("answer", Answer)
def test_all_of_one_mind_each_time(answer: Answer) -> None:
    """What all servers say in every round is the answer, with each server named once."""
    probe, asked = told([answer] * 2 * ROUNDS)
    assert (probe.answer, asked) == (answer, 2 * ROUNDS)
    assert probe.detail == "db1:5432 said so; db2:5432 said so"


@pytest.mark.parametrize("answer", Answer)
def test_a_single_server_is_asked_once(answer: Answer) -> None:
    """One declared server answers for itself, once."""
    assert told([answer], TWO[:1]) == (Probe(answer, "db1:5432 said so"), 1)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([YES, NO], SILENT),
        ([NO, YES], SILENT),
        ([YES, SILENT], SILENT),
        ([NO, SILENT], SILENT),
        ([NOT_SO, SILENT], SILENT),
        ([YES, NOT_SO], NOT_SO),
        ([NO, NOT_SO], NOT_SO),
        ([YES, YES, YES, NO], SILENT),
        ([NO, NO, YES, YES], SILENT),
        ([NO, NO, NO, NO, YES, YES], SILENT),
        ([YES, YES, SILENT, SILENT], SILENT),
        ([YES, YES, NOT_SO, NOT_SO], NOT_SO),
    ],
)
def test_two_minds_prove_nothing(answers: list[Answer], expected: Answer) -> None:
    """Servers that differ, or change their mind, have neither accepted nor refused, and no further round is asked."""
    probe, asked = told(answers)
    assert (probe.answer, asked) == (expected, len(answers))
    assert all(answer in probe.detail for answer in answers[-2:])


def test_lag_is_named() -> None:
    """Where some accept what others refuse, the detail says that a standby may lag, and who said what."""
    probe, _ = told([YES, NO])
    assert probe.detail == (
        "the hosts do not agree, a standby may lag: accepted: db1:5432 said so; refused: db2:5432 said so"
    )
