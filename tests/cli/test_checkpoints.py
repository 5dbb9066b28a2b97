"""Checkpoints by the command line: made, sent to a file and to syslog, and a journal held against them."""

import shutil
from pathlib import Path

import pytest

from keyturn.cli.outside import checkpoints_of, is_due
from keyturn.journal.record import Event
from keyturn.manifest import load
from keyturn.wiring import assemble
from tests.cli.conftest import Keyturn
from tests.syslog_receiver import Receiver

TARGETS = """
[keyturn.checkpoints.targets.audit-host]
kind = "file"
path = "{folder}/outside/clo"

[keyturn.checkpoints.targets.log-host]
kind = "syslog"
address = "unix:{folder}/outside/log"
"""


@pytest.fixture
def watched(begun: Keyturn) -> Keyturn:
    """With two targets, and a secret with one version."""
    assert begun.manifest is not None
    (begun.folder / "outside").mkdir()
    begun.manifest.write_text(begun.manifest.read_text() + TARGETS.format(folder=begun.folder))
    put(begun)
    return begun


def put(keyturn: Keyturn) -> None:
    """One more version of the secret."""
    (keyturn.folder / "p").write_text("x")
    assert keyturn("set", "smtp", "username=@p", "password=@p").status == 0


def reasons(keyturn: Keyturn, *words: str | Path, status: int) -> set[str]:
    """The codes of all findings."""
    return {one["reason"] for one in keyturn.document(*words, status=status)["findings"]}


def test_tick_sends_what_is_due_and_the_journal_is_anchored(watched: Keyturn) -> None:
    """To the file and to syslog, once; a second tick has nothing to send; verify names checkpoint, time and place."""
    assert reasons(watched, "audit", "verify", "--require-anchor", status=1) == {"checkpoint-missing"}
    with Receiver(watched.folder / "outside" / "log") as receiver:
        assert not watched.document("tick")["findings"]
        assert not watched.document("tick")["findings"]
        (heard,) = receiver.heard()
    file = watched.folder / "outside" / "clo"
    assert file.read_bytes() == heard.text + b"\n"
    data = watched.document("audit", "verify", "--require-anchor")["data"]
    assert data["verdict"] == f"anchored to checkpoint 1 of {data['anchor']['time']} from {file}"
    exported = watched.folder / "syslog"
    exported.write_bytes(b"Nov 23 09:00:00 host keyturn[1]: " + heard.text + b"\nNov 23 09:00:01 host cron[2]: x\n")
    said = watched("audit", "verify", "--checkpoints", exported, "--require-anchor")
    assert (said.status, str(exported) in said.out) == (0, True)


def test_a_checkpoint_is_due_after_its_interval_and_after_a_rotation_that_closed(watched: Keyturn) -> None:
    """Other records alone make none due before its time."""
    assert watched.manifest is not None
    watched("audit", "checkpoint")
    put(watched)
    assembly = assemble(load(watched.manifest))
    journal, part = assembly.journal, checkpoints_of(assembly)
    assert not is_due(journal, part.made(), 3600.0, assembly.clock)
    assert is_due(journal, part.made(), 0.0, assembly.clock)
    journal.append("other", 0, Event("rotation.closed", {"rotation": "r", "version": "v"}))
    assert is_due(journal, part.made(), 3600.0, assembly.clock)
    part.make()
    assert not is_due(journal, part.made(), 3600.0, assembly.clock)
    assembly.close()


def test_a_receiver_that_is_down_is_a_finding_of_tick_and_hears_all_later(watched: Keyturn) -> None:
    """Tick exits 0 and names it, audit checkpoint exits 1; what was missed comes in order."""
    with Receiver(watched.folder / "outside" / "log") as receiver:
        watched.document("tick")
        receiver.heard()
    (watched.folder / "outside" / "log").unlink()
    assert reasons(watched, "audit", "checkpoint", status=1) == {"checkpoint-not-sent"}
    assert reasons(watched, "tick", status=0) == {"checkpoint-not-sent"}
    with Receiver(watched.folder / "outside" / "log") as receiver:
        sent = watched.document("audit", "checkpoint")["data"]["sent"]
        assert [one["reached"] for one in sent] == [3, 3]
        heard = [one.text for one in receiver.heard(2)]
    assert heard == (watched.folder / "outside" / "clo").read_bytes().splitlines()[1:]


def test_a_state_that_was_put_back_is_found_and_its_file_is_left_alone(watched: Keyturn) -> None:
    """All that was put back fits itself, and not what lies outside: broken, and nothing is sent over it."""
    state, file = watched.folder / ".keyturn", watched.folder / "outside" / "clo"
    watched("audit", "checkpoint")
    shutil.copytree(state, watched.folder / "backup")
    put(watched)
    watched("audit", "checkpoint")
    content = file.read_bytes()
    shutil.rmtree(state)
    shutil.copytree(watched.folder / "backup", state)
    said = watched.document("audit", "verify", "--require-anchor", status=1)
    assert said["data"]["verdict"].startswith("broken at ")
    assert {flaw["how"] for flaw in said["data"]["flaws"]} == {"truncated"}
    assert watched("audit", "checkpoint").status == 1
    assert file.read_bytes() == content


def test_what_was_done_to_the_file_is_named(watched: Keyturn) -> None:
    """Edited, shortened, gone: each with its code, and never anchored by mistake."""
    file = watched.folder / "outside" / "clo"
    for _ in range(2):
        watched("audit", "checkpoint")
    content = file.read_bytes()
    file.write_bytes(content.replace(b'"n":1,', b'"n":9,'))
    assert reasons(watched, "audit", "verify", status=1) == {"checkpoint-spoilt"}
    file.write_bytes(content.splitlines()[0] + b"\n")
    assert reasons(watched, "audit", "verify", status=1) == {"checkpoint-behind"}
    assert "checkpoint-not-sent" in reasons(watched, "audit", "checkpoint", status=1)
    file.unlink()
    assert reasons(watched, "audit", "verify", status=1) == {"checkpoint-unreadable"}
    file.write_bytes(content)
    assert watched("audit", "verify", "--checkpoints", watched.folder / "none").status == 1


def test_another_key_than_the_pinned_one_makes_no_checkpoint(watched: Keyturn) -> None:
    """Refused with exit 5; tick goes on and says so; without a pin, the command says which one to write."""
    assert watched.manifest is not None
    text = watched.manifest.read_text()
    pin = text.partition('key = "')[2].partition('"')[0]
    watched.manifest.write_text(text.replace(pin, "ed25519:" + "0" * 64))
    said = watched("audit", "checkpoint")
    assert said.status == 5
    assert pin in said.err
    assert reasons(watched, "tick", status=0) == {"checkpoint-not-made"}
    lines = text.partition("[keyturn.checkpoints]")
    watched.manifest.write_text(lines[0] + "[stores" + lines[2].partition("[stores")[2].partition("[keyturn.ch")[0])
    said = watched("audit", "checkpoint")
    assert (said.status, pin in said.err) == (2, True)
    assert watched("audit", "verify").status == 0
    assert watched("audit", "verify", "--checkpoints", "p").status == 2
    assert reasons(watched, "audit", "verify", "--require-anchor", status=1) == {"checkpoint-missing"}
