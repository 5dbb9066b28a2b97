"""Facts in, findings out: each reason code comes from the facts that it is for, and from no healthy ones."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.checks import (
    agent,
    checkpoints,
    clock,
    consumers,
    containers,
    declared,
    journal,
    places,
    plain,
    protection,
    proxies,
    rights,
    rotations,
    slots,
    stores,
    targets,
    versions,
)
from keyturn.cli import composing, render_answer
from keyturn.core.agreement import Agreement
from keyturn.core.consumer import Grade, Instance, Observation
from keyturn.core.errors import Corrupt, Denied, Disabled, Unavailable
from keyturn.core.finding import Finding, Severity
from keyturn.core.protection import Protection
from keyturn.core.rights import Leave, Right
from keyturn.core.rotator import Answer, Probe, SlotLook
from keyturn.importing import plan
from keyturn.manifest.unavailable import Unavailable as Missing

AWAY, SHUT, DAMAGED = Unavailable("nobody answers", "look"), Denied("not you", "ask"), Corrupt("other bytes", "restore")
PLACE = places.Place("/s/x", "the file", 0o077, user=1000, mode=0o600, owner=1000)
CLEAR = plain.Plain("/s/secrets/x", 0o640, "readers", "readers")
AGENT = agent.AgentLook(
    "/run/keyturn/agent.sock", 1000, answers=True, owner=1000, directory_owner=0, directory_mode=0o755
)
ONE = Instance("h-1-2", "v2", "v2", Grade.HOLDS, "2026-01-01T00:00:00.000Z")
LOOK = consumers.ConsumerLook("api", "database", True, "v2", "v2", False, Observation((ONE,), 1, complete=True))
STANDING = rotations.Standing("database", rotatable=True, age=60.0, every=3600.0)
OUTSIDE = checkpoints.Place("/mnt/audit/clo", declared=True, newest=3)
BOTH = {"main": {"host": "key-file", "paper": "recovery", "alice": "passphrase"}}
WAYS = slots.Ways("/s/vault.key", key_file_stands=True, vaults=BOTH)
IDLE = SlotLook("b", exists=True, enabled=False, sessions=0, fence=3)
HELD = versions.Holding("smtp", "v2", "v2")
RIGHT = Right("write to it", Leave.DENIED, "grant it")
ROOM = places.Space("/s", "the directory", free=2**30, wanted=2**20)
KEPT = Protection("t", pinned=True, hardware=True, logged=True, declared=True)
SERVICE = containers.ContainerLook("api", "/s/compose.yaml: api", restarts=True, replicas=2)
PROXY = proxies.ProxyLook("api", "/etc/nginx/nginx.conf", 11.0, (("api", 10.0),))
AGREED = Agreement("database", "v2", "v2", Probe(Answer.ACCEPTED), (IDLE,))


def seen(**changes: object) -> Observation:
    """What was observed, with one instance that differs."""
    return Observation((replace(ONE, **changes),), 1, complete=True)  # type: ignore[arg-type] # fields of Instance


CASES: list[tuple[str, tuple[Finding, ...]]] = [
    ("group-docker", plain.findings((replace(CLEAR, group="docker", declared="docker"),))),
    ("group-docker", plain.findings((replace(CLEAR, mode=None, declared="docker"),))),
    ("group-docker", plain.findings((replace(CLEAR, group="docker", declared=None),))),
    ("group-other", plain.findings((replace(CLEAR, group="games"),))),
    ("plain-linked", plain.findings((replace(CLEAR, linked=True),))),
    ("journal-broken", journal.findings(journal.Chains("", ("a#1: edited",), None))),
    ("journal-broken", journal.findings(journal.Chains("", (), DAMAGED))),
    ("journal-unreadable", journal.findings(journal.Chains("", (), AWAY))),
    ("checkpoint-spoilt", checkpoints.findings(replace(OUTSIDE, blemishes=("x, line 1: edited",)), 3)),
    ("checkpoint-unreadable", checkpoints.findings(replace(OUTSIDE, failure=AWAY), 3)),
    ("checkpoint-behind", checkpoints.findings(OUTSIDE, 4)),
    ("checkpoint-behind", checkpoints.findings(replace(OUTSIDE, declared=False), 4)),
    ("checkpoint-foreign", checkpoints.findings(replace(OUTSIDE, foreign=2), 3)),
    ("checkpoint-missing", (checkpoints.missing("self-consistent only"),)),
    ("checkpoint-not-made", (checkpoints.not_made(SHUT),)),
    ("checkpoint-not-sent", (checkpoints.not_sent("audit-host", 3, AWAY),)),
    ("checkpoint-not-sent", (checkpoints.not_sent("audit-host", 0, SHUT),)),
    ("clock-stepped", clock.findings(31_536_000.0)),
    ("place-missing", places.findings((replace(PLACE, mode=None, owner=None),))),
    ("place-open", places.findings((replace(PLACE, mode=0o640),))),
    ("values-on-disk", places.findings((replace(PLACE, disk="ext4"),))),
    ("place-foreign", places.findings((replace(PLACE, owner=7),))),
    ("place-unreadable", places.findings((replace(PLACE, failure="no"),))),
    ("space-short", places.space_findings((replace(ROOM, free=5),))),
    ("right-missing", rights.findings(rights.RightsLook("main", (RIGHT,)))),
    ("right-missing", rights.findings(rights.RightsLook("main", (replace(RIGHT, needed=False),)))),
    ("right-unknown", rights.findings(rights.RightsLook("main", (replace(RIGHT, leave=Leave.UNKNOWN),)))),
    ("right-unknown", rights.findings(rights.RightsLook("main", failure=AWAY))),
    ("key-beside-vault", places.key_findings(places.Key("/s/vault.key", beside=True))),
    ("slots-attended", slots.findings(replace(WAYS, key_file_stands=False, vaults=None))),
    ("slots-no-way-back", slots.findings(replace(WAYS, vaults={"main": {"host": "key-file"}}))),
    ("slots-one-way-back", slots.findings(replace(WAYS, vaults={"main": {"host": "key-file", "paper": "recovery"}}))),
    ("key-in-software", places.key_findings(places.Key("/k/vault.key", beside=False, plain=True))),
    ("checkpoint-at-home", checkpoints.home_findings(checkpoints.Home(()))),
    ("checkpoint-at-home", checkpoints.home_findings(checkpoints.Home((False,)))),
    ("checkpoint-at-home", checkpoints.home_findings(checkpoints.Home((None, False)))),
    ("tenant-unpinned", protection.findings(protection.ProtectionLook("main", replace(KEPT, pinned=False)))),
    ("keys-in-software", protection.findings(protection.ProtectionLook("main", replace(KEPT, hardware=False)))),
    ("no-access-log", protection.findings(protection.ProtectionLook("main", replace(KEPT, logged=False)))),
    ("protection-unseen", protection.findings(protection.ProtectionLook("main", replace(KEPT, unseen="no")))),
    ("protection-unseen", protection.findings(protection.ProtectionLook("main", replace(KEPT, declared=False)))),
    (
        "slots-differ",
        slots.findings(replace(WAYS, vaults={**BOTH, "own": {"paper": "recovery", "alice": "passphrase"}})),
    ),
    ("slot-exposed", slots.findings(replace(WAYS, exposed=(slots.Exposed("database", "bob", rotatable=True),)))),
    ("slot-exposed", slots.findings(replace(WAYS, exposed=(slots.Exposed("smtp", "bob", rotatable=False),)))),
    ("not-available", declared.findings((Missing(("stores", "main"), "kind 'vault'"),))),
    ("store-unreachable", stores.findings(stores.StoreLook("main", AWAY))),
    ("store-refused", stores.findings(stores.StoreLook("main", DAMAGED))),
    ("target-unreachable", targets.findings(targets.TargetLook("database", "verify-full", AWAY))),
    ("target-unreachable", targets.agreement_findings(replace(AGREED, probe=Probe(Answer.UNREACHABLE)))),
    ("target-refused", targets.findings(targets.TargetLook("database", "verify-full", SHUT))),
    ("tls-weak", targets.findings(targets.TargetLook("database", "require", None))),
    ("slot-missing", targets.agreement_findings(replace(AGREED, idle=(replace(IDLE, exists=False),)))),
    ("idle-slot-enabled", targets.agreement_findings(replace(AGREED, idle=(replace(IDLE, enabled=True),)))),
    ("idle-slot-enabled", targets.agreement_findings(replace(AGREED, idle=(replace(IDLE, sessions=1),)))),
    ("current-refused", targets.agreement_findings(replace(AGREED, probe=Probe(Answer.REFUSED)))),
    ("current-unusable", targets.agreement_findings(replace(AGREED, probe=Probe(Answer.UNUSABLE)))),
    ("copy-differs", targets.agreement_findings(replace(AGREED, copies={"database-url": None}))),
    ("store-differs", targets.agreement_findings(replace(AGREED, stored="v9"))),
    ("store-differs", targets.store_findings("smtp", "v2", "v9")),
    ("store-differs", targets.store_findings("smtp", "v2", None)),
    ("newest-disabled", versions.findings(replace(HELD, stored=None, failure=Disabled("off", "enable it")))),
    ("value-not-taken-in", versions.findings(replace(HELD, decided=None, stored=None, waiting=True))),
    ("repaired", targets.agreement_findings(replace(AGREED, repaired=("it was late",)))),
    ("consumer-unreadable", consumers.findings(replace(LOOK, failure=AWAY))),
    ("consumer-incomplete", consumers.findings(replace(LOOK, observation=Observation((ONE,), 2, complete=False)))),
    ("instance-silent", consumers.findings(replace(LOOK, observation=seen(silent=True)))),
    ("instance-behind", consumers.findings(replace(LOOK, observation=seen(oldest="v1")))),
    ("delivery-missing", consumers.findings(replace(LOOK, delivered=None))),
    (
        "consumer-note",
        consumers.findings(replace(LOOK, observation=Observation((ONE,), 1, complete=True, notes=("a bad file",)))),
    ),
    ("compose-unreadable", containers.findings(replace(SERVICE, failure=DAMAGED))),
    ("secret-in-environment", containers.findings(replace(SERVICE, environment=("DATABASE_URL",)))),
    ("secret-external", containers.findings(replace(SERVICE, external=("jwt-key",)))),
    ("mount-fixed", containers.findings(replace(SERVICE, fixed=("./secrets/x",)))),
    ("mount-stale", containers.findings(replace(SERVICE, stale=("/run/secrets of clo-api-1",)))),
    ("replica-alone", containers.findings(replace(SERVICE, replicas=1))),
    ("replica-unwatched", containers.findings(replace(SERVICE, watched=False))),
    ("proxy-impatient", proxies.findings(replace(PROXY, pause=10.0))),
    ("proxy-unreadable", proxies.findings(replace(PROXY, failure=SHUT))),
    ("no-version", rotations.findings(replace(STANDING, age=None))),
    ("rotation-open", rotations.findings(replace(STANDING, open_step="settle"))),
    ("rotation-held", rotations.findings(replace(STANDING, open_step="settle", held="held by me"))),
    ("undeclared-user", rotations.findings(replace(STANDING, open_step="settle", held="1 of nobody", undeclared=True))),
    ("rotation-drift", rotations.findings(replace(STANDING, open_step="settle", drift="foreign value"))),
    ("rotation-failing", rotations.findings(replace(STANDING, open_step="apply", failing="apply: no"))),
    ("rotation-overdue", rotations.findings(replace(STANDING, age=7200.0))),
    ("journal-gap", rotations.findings(replace(STANDING, gap=True))),
    ("agent-down", agent.findings(replace(AGENT, answers=False))),
    ("agent-down", agent.findings(replace(AGENT, answers=False, owner=None, directory_owner=None, directory_mode=0))),
    ("agent-unseen", agent.findings(replace(AGENT, failure="Permission denied"))),
    ("socket-open", agent.findings(replace(AGENT, directory_owner=1001))),
    ("socket-open", agent.findings(replace(AGENT, directory_mode=0o775))),
    ("socket-open", agent.findings(replace(AGENT, owner=1001))),
    ("stream-unsupported", rotations.findings(replace(STANDING, unsupported="x.y version 2"))),
]
MODULES = (
    agent,
    checkpoints,
    clock,
    consumers,
    containers,
    declared,
    journal,
    places,
    plain,
    protection,
    proxies,
    rights,
    rotations,
    slots,
    stores,
    targets,
    versions,
)
REASONS = sorted(reason for module in MODULES for reason in module.REASONS)


@pytest.mark.parametrize(("reason", "found"), CASES, ids=[reason for reason, _ in CASES])
def test_facts_give_the_finding_that_they_are_for(reason: str, found: tuple[Finding, ...]) -> None:
    """Exactly this one, with a subject and a message."""
    assert [one.reason for one in found] == [reason]
    assert found[0].subject
    assert found[0].message


def test_every_reason_has_a_case_and_no_two_checks_share_one() -> None:
    """The table above covers all codes."""
    assert sorted({reason for reason, _ in CASES}) == REASONS


def test_healthy_facts_give_no_finding() -> None:
    """Nothing is said of what is as it should be."""
    assert not journal.findings(journal.Chains("self-consistent only", (), None))
    assert not checkpoints.findings(OUTSIDE, 3)
    assert not clock.findings(None)
    assert not places.findings((PLACE, replace(PLACE, owner=0), replace(PLACE, mode=None, needed=False)))
    assert not places.key_findings(places.Key("/elsewhere/vault.key", beside=False))
    assert not plain.findings((CLEAR, replace(CLEAR, mode=0o600, group="docker"), replace(CLEAR, declared=None)))
    assert not slots.findings(WAYS)
    assert not slots.findings(replace(WAYS, vaults=None))
    assert not stores.findings(stores.StoreLook("main", None))
    assert not targets.findings(targets.TargetLook("database", "verify-full", None))
    assert not targets.agreement_findings(AGREED)
    assert not places.space_findings((ROOM,))
    assert not rights.findings(rights.RightsLook("main", (replace(RIGHT, leave=Leave.GRANTED),)))
    assert not checkpoints.home_findings(checkpoints.Home((False, True)))
    assert not protection.findings(protection.ProtectionLook("main", KEPT))
    assert not protection.findings(protection.ProtectionLook("main", replace(KEPT, hardware=None, logged=None)))
    assert not versions.findings(HELD)
    assert not versions.findings(replace(HELD, decided=None, stored=None))
    assert not targets.store_findings("smtp", "v2", "v2")
    assert not targets.target_findings(replace(AGREED, stored="v9"))
    assert not versions.findings(replace(HELD, decided=None, stored=None, moving=True, waiting=True))
    assert not consumers.findings(LOOK)
    assert not containers.findings(SERVICE)
    assert not containers.findings(replace(SERVICE, restarts=False, replicas=1, watched=False))
    assert not proxies.findings(PROXY)
    assert not rotations.findings(STANDING)
    assert not agent.findings(AGENT)


def test_a_fixed_mount_is_a_note_where_replicas_are_started_anew() -> None:
    """A restart looks the mount up again; without one the change never arrives."""
    (note,) = containers.findings(replace(SERVICE, fixed=("./x",)))
    (fault,) = containers.findings(replace(SERVICE, restarts=False, fixed=("./x",)))
    assert (note.severity, fault.severity) == (Severity.INFO, Severity.CRITICAL)


def test_the_pause_that_is_asked_for_is_longer_than_the_time_out() -> None:
    """What the remedy says leaves no finding."""
    (found,) = proxies.findings(replace(PROXY, groups=(("api", 30.0),)))
    assert 'pause = "31s"' in found.remedy
    assert not proxies.findings(replace(PROXY, pause=31.0, groups=(("api", 30.0),)))


def test_while_a_rotation_moves_older_versions_are_in_order() -> None:
    """An instance on the former version and a delivery that differs are no findings then."""
    moving = replace(LOOK, moving=True, delivered="v3", observation=seen(oldest="v1"))
    assert not consumers.findings(moving)


def test_drained_instances_and_consumers_that_cannot_report_are_not_counted() -> None:
    """A drained one may be on any version; who cannot report is not asked."""
    assert not consumers.findings(replace(LOOK, observation=seen(drained=True, oldest="v1")))
    assert not consumers.findings(replace(LOOK, reports=False, observation=seen(oldest="v1")))


def test_what_could_not_be_looked_at_is_unknown_and_fails() -> None:
    """Each of the codes for it has severity unknown."""
    unknown = {one.reason for _, found in CASES for one in found if one.severity is Severity.UNKNOWN}
    assert unknown == {
        "journal-unreadable",
        "checkpoint-unreadable",
        "place-unreadable",
        "store-unreachable",
        "target-unreachable",
        "right-unknown",
        "protection-unseen",
        "consumer-unreadable",
        "compose-unreadable",
        "proxy-unreadable",
        "agent-unseen",
    }
    assert all(one.fails for _, found in CASES for one in found if one.severity is Severity.UNKNOWN)


def test_what_a_fresh_installation_lacks_is_told_and_fails_nothing() -> None:
    """One way back, a key in a file, and no checkpoint off this host: notes, which nobody could switch off."""
    found = (
        *slots.findings(replace(WAYS, vaults={"main": {"host": "key-file", "paper": "recovery"}})),
        *places.key_findings(places.Key("/k/vault.key", beside=False, plain=True)),
        *checkpoints.home_findings(checkpoints.Home(())),
    )
    assert [one.fails for one in found] == [False] * 3


def test_every_reason_is_described_in_the_documentation() -> None:
    """docs/findings.md has one row for each code, those of `import` and `render` with them, and none besides."""
    text = (Path(__file__).parents[3] / "docs" / "findings.md").read_text()
    reasons = [*REASONS, *plan.REASONS, *composing.REASONS, render_answer.STALE]
    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)) == sorted(reasons)


def test_a_kind_that_a_person_changes_meanwhile_is_a_note() -> None:
    """It is kept and delivered: no alarm that nobody can switch off, and the way is named."""
    (found,) = declared.findings((Missing(("secrets", "smtp"), "rotating kind 'smtp'", by_hand=True),))
    assert not found.fails
    assert (found.subject, found.severity) == ("smtp", Severity.INFO)
    assert found.remedy.endswith("keyturn set smtp")
