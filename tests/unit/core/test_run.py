"""What a run of a job says: read into exactly its shape, proved per version and outcome."""

import json
from dataclasses import replace
from typing import Any

import pytest

from keyturn.core.run import Outcome, Run, Used
from keyturn.core.secret import Bundle

KEY = Bundle({"value": "x"}).proof_key
RUN = Run(
    run="ab" * 16,
    host="night1",
    pid=7,
    start="99",
    boot="boot",
    namespace="pid:[1]",
    started="2026-11-23T02:00:00.000Z",
    ended=None,
    outcome=Outcome.RUNNING,
    secrets={"database": Used("v1", "0" * 64)},
)
ENDED = replace(RUN, ended="2026-11-23T02:10:00.000Z", outcome=Outcome.SUCCEEDED)


def test_a_run_reads_back_as_it_was_written() -> None:
    """Under way and ended."""
    for run in (RUN, ENDED, replace(ENDED, outcome=Outcome.FAILED)):
        assert Run.parse(run.dump()) == run


def test_each_run_under_way_has_a_file_of_its_own() -> None:
    """Two runs of one process at once do not write one file, and are told apart by their names."""
    other = replace(RUN, run="cd" * 16)
    assert (RUN.file, RUN.id) == (f"night1-7-99-{'ab' * 16}.json", "night1-7-99-abababab")
    assert RUN.file != other.file
    assert RUN.id != other.id


def test_a_success_has_a_file_for_its_versions() -> None:
    """The same versions: the same file; others: another one, which takes nothing away; all failures share one."""
    later = replace(ENDED, run="cd" * 16)
    other = replace(later, secrets={"database": Used("v2", "0" * 64)})
    assert ENDED.file == later.file
    assert ENDED.file != other.file
    assert replace(ENDED, outcome=Outcome.FAILED).file == "failed.json"


def test_a_proof_is_of_one_version_one_run_and_one_outcome() -> None:
    """A proof of a run under way proves no success, nor one for another run, process, environment or version."""
    proof = ENDED.words("test", "database", "v1").proof(KEY)
    proven = replace(ENDED, secrets={"database": Used("v1", proof)})
    assert proven.proven("test", "database", KEY)
    assert not proven.proven("production", "database", KEY)
    assert not proven.proven("test", "database", Bundle({"value": "x"}).proof_key)
    other_version = {"database": Used("v2", proof)}
    for change in ({"outcome": Outcome.FAILED}, {"run": "cd" * 16}, {"pid": 8}, {"secrets": other_version}):
        assert not replace(proven, **change).proven("test", "database", KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "keyturn/run/2"},
        {"run": "short"},
        {"run": "../" * 10 + "ab"},
        {"host": "a/b"},
        {"host": "a\n"},
        {"pid": 0},
        {"pid": True},
        {"started": "yesterday"},
        {"ended": "never"},
        {"outcome": "fine"},
        {"outcome": "in-use"},
        {"ended": None},
        {"secrets": {"Data": {"version": "v1", "proof": "0" * 64}}},
        {"secrets": {"database": {"version": "", "proof": "0" * 64}}},
        {"secrets": {"database": {"version": "v1", "proof": "0"}}},
        {"secrets": {"database": {"version": "v1"}}},
        {"more": 1},
    ],
)
def test_anything_else_is_refused(change: dict[str, Any]) -> None:
    """Another schema, key, type or content is no run."""
    with pytest.raises(ValueError, match=r"."):
        Run.parse(json.dumps({**json.loads(ENDED.dump()), **change}).encode())
