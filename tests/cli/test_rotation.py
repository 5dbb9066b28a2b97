"""A secret's whole way by the command line, on a real PostgreSQL with a real application."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from keyturn.cli.gather import lasting
from keyturn.core.clock import Moment, SystemClock
from keyturn.journal.record import SYSTEM, Event
from keyturn.journal.sqlite import SqliteJournal
from keyturn.rotation import course
from keyturn.testing.installation import Installation
from tests.cli.conftest import Keyturn, check, furnish, schema, wait_until


def test_plan_of_a_secret_without_a_version_says_that_it_is_the_first(clo: Keyturn) -> None:
    """Before anything was done, plan names slot, steps and consumers, and status says to provision."""
    plan = clo.document("plan", "database")["data"]["plans"][0]
    assert plan["leaving"] is None
    assert [step["step"] for step in plan["steps"]][-1] == "deliver"
    assert plan["consumers"][0]["evidence"] == "holds"
    status = clo.document("status", "database")
    assert status["data"]["secrets"][0]["state"] == "none"
    assert status["findings"][0]["remedy"] == "keyturn provision database"


def test_set_brings_the_admin_credential_by_file_and_stdin(clo: Keyturn, installation: Installation) -> None:
    """One line break is left out and said; the journal knows how it came, and never what it is."""
    assembly = installation.assembly()
    admin = assembly.bundle("postgres-admin")
    assembly.close()
    (installation.folder / "name").write_text(f"{installation.dbname}_admin\n")
    words = ("set", "postgres-admin", f"username=@{installation.folder / 'name'}", "password=-")
    said = clo(*words, stdin=bytes(admin["password"].reveal(), "ascii"))
    assert said.status == 0, said
    assert "one line break at the end of" in said.err
    records = clo.document("audit", "show", "postgres-admin")["data"]["records"]
    assert [one["data"]["how"] for one in records if one["kind"] == "secret.imported"][-1] == "file+stdin"


def test_provision_makes_roles_and_a_first_version_and_may_be_repeated(
    clo: Keyturn, installation: Installation
) -> None:
    """The first version is made by the same machine; a second provision changes nothing."""
    made = clo.document("provision", "database")["data"]
    assert made["rotation"]["outcome"] == "closed"
    assert made["rotation"]["old_version"] is None
    furnish(installation)
    again = clo.document("provision", "database")["data"]
    assert again["rotation"] is None


def test_rotate_as_json_shows_steps_proofs_disuse_and_death(clo: Keyturn) -> None:
    """The report has an id, each step with times and proof, what was sampled, and the old one refused."""
    report = clo.document("rotate", "database")["data"]
    assert report["outcome"] == report["stopped"]["status"] == "closed"
    assert report["death"] == "refused"
    assert report["old_version"] != report["new_version"]
    assert [step["step"] for step in report["steps"]][-4:] == ["death:new", "death:old", "death:again", "retire:old"]
    assert all(step["started"] <= step["ended"] and step["proof"] and step["records"] for step in report["steps"])
    assert re.fullmatch(r"0 sessions seen in \d+ samples, largest gap \d+ ms", report["disuse"]["words"])
    assert report["disuse"]["samples"] > 0
    assert {one["grade"] for one in report["consumers"][0]["instances"]} == {"holds"}
    refused = [probe for probe in report["probes"] if probe["purpose"] == "death:old"]
    assert refused[-1]["answer"] == "refused"


def test_rotate_as_events_streams_lines_of_the_committed_schema(clo: Keyturn) -> None:
    """Each line but the last is an event, the last one is the envelope."""
    said = clo("rotate", "database", "--json=events")
    assert said.status == 0, said
    *events, last = [json.loads(line) for line in said.out.splitlines()]
    assert check(last)["data"]["outcome"] == "closed"
    for event in events:
        jsonschema.validate(event, schema("events"))
    assert {event["event"] for event in events} == {"record", "watching"}


def test_rotate_for_people_names_steps_in_plain_words(clo: Keyturn) -> None:
    """Progress goes to stderr with labels and names of steps, one line of result to stdout."""
    said = clo("rotate", "database")
    assert said.status == 0, said
    assert "✓ making it current (promote)" in said.err
    assert "moving consumers (settle)" in said.err
    assert "clo-api: " in said.err
    assert len(said.out.splitlines()) == 1
    assert "the old one was tried at the target and refused" in said.out


def test_history_tells_every_rotation_and_the_steps_of_the_last(clo: Keyturn) -> None:
    """Each rotation has a line, the last one its steps, consumers and what was sampled."""
    found = clo.document("history", "database")["data"]["rotations"]
    assert [one["outcome"] for one in found] == ["closed"] * len(found)
    said = clo("history", "database")
    assert "0 sessions seen in" in said.out
    assert "clo-api: 2 of 2 instances on" in said.out
    assert "nobody" not in said.out


def test_doctor_is_content_with_a_healthy_installation(clo: Keyturn) -> None:
    """All is looked at, and only notes are found."""
    document = clo.document("doctor")
    assert document["ok"]
    assert {finding["severity"] for finding in document["findings"]} <= {"info"}
    on_disk = lasting(clo.folder) != ""
    assert ("values-on-disk" in {finding["reason"] for finding in document["findings"]}) == on_disk


def test_status_list_and_consumers_of_a_rotated_secret(clo: Keyturn) -> None:
    """Status says since when and how the old one ended, list shows who uses it, consumer list what they use."""
    secret = clo.document("status", "database")["data"]["secrets"][0]
    assert secret["state"] == "ok"
    assert "the old version was refused" in secret["sentence"]
    rows = {row["name"]: row for row in clo.document("list")["data"]["secrets"]}
    assert rows["database"]["consumers"] == ["clo-api"]
    assert rows["database"]["published"] == ["database-url"]
    assert clo.document("consumer", "list")["data"]["consumers"][0]["secrets"] == ["database"]


def test_get_of_a_published_view_is_masked_until_a_reason_is_given(clo: Keyturn, installation: Installation) -> None:
    """The composed address is masked; revealed, it is that of the current version and stands in the journal."""
    assert clo.document("get", "database-url")["data"]["value"] is None
    shown = subprocess.run(
        clo.command("get", "database-url", "--reveal", "--reason", "a test"),
        capture_output=True,
        check=True,
        env=clo.environment(),
    )
    assert shown.stdout.startswith(f"postgresql://{installation.roles[0]}".encode()[:18])
    records = clo.document("audit", "show", "database")["data"]["records"]
    assert [record["data"]["part"] for record in records if record["kind"] == "access.read"] == ["database-url"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_rotation_resumable(clo: Keyturn, number: signal.Signals) -> None:
    """Exit 4 with one line how to go on; status says that nobody is at it; resume closes it."""
    process = clo.start("rotate", "database")
    wait_until(lambda: clo.document("status", "database")["data"]["secrets"][0]["state"] == "open")
    process.send_signal(number)
    said = clo.end(process)
    assert said.status == 4, said
    assert "keyturn resume database" in said.err.splitlines()[-1]
    assert "nobody is at it" in clo.document("status", "database")["data"]["secrets"][0]["sentence"]
    assert clo.document("resume", "database")["data"]["outcome"] == "closed"


@pytest.fixture
def stopped(installation: Installation) -> Callable[[], None]:
    """One process of the application stands still; called, it goes on."""
    pid = installation.processes[0].pid
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


def test_a_stopped_process_is_named_by_status_and_excused(
    clo: Keyturn, installation: Installation, stopped: Callable[[], None]
) -> None:
    """While it stands still: --no-wait exits 0, status names it, a second rotate exits 5, tick waits, revert works."""
    pid = installation.processes[0].pid
    begun = clo.document("rotate", "database", "--no-wait")["data"]
    assert begun["outcome"] == "open"
    assert begun["stopped"]["wake_ms"] is not None
    assert clo.document("tick", "--patience", "5s", status=4)["data"]["touched"][0]["action"] == "resumed"
    sentence = clo.document("status", "database")["data"]["secrets"][0]["sentence"]
    assert f"-{pid}-" in sentence
    assert "moving consumers (settle)" in sentence
    assert "keyturn revert database" in sentence
    second = clo("rotate", "database")
    assert second.status == 5
    assert second.err.splitlines()[-1] == "now:   keyturn resume database"
    late = clo.document("abort", "database", status=5)
    assert late["error"]["remedy"] == "keyturn revert database"
    held = clo.document("hold", "database", "--reason", "looking at it")["data"]
    assert held["rotation"] == begun["id"]
    assert "looking at it" in clo.document("status", "database")["data"]["secrets"][0]["sentence"]
    assert "held by" in clo.document("tick", "--patience", "1s", status=4)["error"]["message"]
    excused = ("consumer", "excuse", "clo-api", "--secret", "database", "--until", "1h", "--reason", "it hangs")
    assert clo.document(*excused)["data"]["consumer"] == "clo-api"
    stopped()
    assert clo.document("revert", "database")["data"]["outcome"] == "reverted"
    assert clo.document("status", "database")["data"]["secrets"][0]["state"] == "ok"


def test_two_rotates_at_once_have_one_winner(clo: Keyturn) -> None:
    """One closes the rotation, the other exits 5 and says why."""
    first, second = clo.start("rotate", "database"), clo.start("rotate", "database")
    ends = sorted((clo.end(first), clo.end(second)), key=lambda said: said.status)
    assert [said.status for said in ends] == [0, 5], ends
    assert len(ends[1].err.splitlines()) == 2


def actions(data: dict[str, Any]) -> dict[str, str]:
    """What a pass did to each secret."""
    return {one["secret"]: one["action"] for one in data["touched"]}


def test_tick_begins_what_is_due_and_leaves_what_is_not(clo: Keyturn, installation: Installation) -> None:
    """Not due: it looks whether all is as decided; with a period of a millisecond it rotates."""
    quiet = clo.document("tick")["data"]
    assert actions(quiet) == {"database": "reconciled", "postgres-admin": "reconciled"}
    assert quiet["left"] == []
    text = installation.manifest_path.read_text()
    installation.manifest_path.write_text(text.replace('every = "30d"', 'every = "1ms"'))
    overdue = clo.document("status", "database")
    assert "rotation-overdue" in {finding["reason"] for finding in overdue["findings"]}
    due = clo.document("tick")["data"]
    installation.manifest_path.write_text(text)
    assert actions(due)["database"] == "begun"


class YearAgo(SystemClock):
    """This host's clock before it jumped a year ahead."""

    def now(self) -> Moment:
        """This moment, as it was told then."""
        return replace(super().now(), wall=super().now().wall - timedelta(days=365))


def test_after_a_clock_jump_tick_begins_nothing_until_somebody_looked(clo: Keyturn, installation: Installation) -> None:
    """What is due is frozen, doctor names the jump; with a person's word it is begun."""
    state = installation.assembly().state
    with SqliteJournal(state.journal, actor="tests", clock=YearAgo(), high_water=state.high_water) as journal:
        journal.append(SYSTEM, journal.head(SYSTEM).seq, Event(course.SEEN, {}))
    text = installation.manifest_path.read_text()
    installation.manifest_path.write_text(text.replace('every = "30d"', 'every = "1ms"'))
    frozen = clo.document("tick", status=4)
    assert actions(frozen["data"])["database"] == "frozen"
    assert "clock-stepped" in {finding["reason"] for finding in frozen["findings"]}
    assert "clock-stepped" in {finding["reason"] for finding in clo.document("doctor", status=1)["findings"]}
    assert clo("resume", "system").status == 2
    assert clo("resume", "system", "--reason", "the battery was empty").status == 0
    assert clo("resume", "system", "--reason", "once more").status == 5
    due = clo.document("tick")["data"]
    installation.manifest_path.write_text(text)
    assert actions(due)["database"] == "begun"


def test_tick_delivers_again_what_a_reboot_took(clo: Keyturn, installation: Installation) -> None:
    """The bundle directory lies on a tmpfs: doctor misses the version there, tick puts it back."""
    installation.stop_application()
    (installation.run / "bundle").unlink()
    for generation in installation.run.glob(".bundle-*"):
        shutil.rmtree(generation)
    missed = clo.document("doctor", status=1)["findings"]
    assert "delivery-missing" in {finding["reason"] for finding in missed}
    assert "repaired" in {finding["reason"] for finding in clo.document("tick")["findings"]}
    installation.start_application()
    wait_until(lambda: clo("doctor").status == 0)


def test_rotate_all_asks_for_a_name_unless_told_yes(clo: Keyturn) -> None:
    """Without a name and a terminal it exits 2 and names the flag; with it, what can be rotated is rotated."""
    asked = clo("rotate")
    assert asked.status == 2
    assert "--yes" in asked.err
    done = clo.document("rotate", "--all", "--yes")["data"]["rotations"]
    assert [one["secret"] for one in done] == ["database"]


def test_a_wrong_admin_credential_exits_3_and_both_credentials_stay(clo: Keyturn, installation: Installation) -> None:
    """Rotate names the admin credential, doctor finds it; with the right one back, resume closes the rotation."""
    assembly = installation.assembly()
    admin, before = assembly.bundle("postgres-admin"), installation.current()
    assembly.close()
    words = ("set", "postgres-admin", f"username=@{installation.folder / 'name'}", "password=-")
    assert clo(*words, stdin=b"not-the-password").status == 0
    said = clo("rotate", "database")
    assert said.status == 3, said
    assert "the admin credential of database" in said.err
    found = {one["reason"] for one in clo.document("doctor", status=1)["findings"]}
    assert "target-refused" in found
    assert installation.current() == before
    assert clo(*words, stdin=bytes(admin["password"].reveal(), "ascii")).status == 0
    assert clo.document("resume", "database")["data"]["outcome"] == "closed"


def test_the_journal_is_whole_and_no_value_was_ever_shown(clo: Keyturn, installation: Installation) -> None:
    """After all of the above the chains hold, and no output has a password that store or vault know."""
    verdict = clo.document("audit", "verify")["data"]
    assert verdict["verdict"] == "self-consistent only"
    assembly = installation.assembly()
    values = [assembly.bundle(name)["password"] for name in ("database", "postgres-admin")]
    assembly.close()
    said = "".join(clo.heard)
    assert len(said) > 10_000
    assert not any(said.__contains__(value.reveal()) for value in values)
