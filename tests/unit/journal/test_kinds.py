"""The table of kinds: every reserved name, and names that can never mean two things."""

import re
from pathlib import Path

import pytest

from keyturn.core.errors import UsageError
from keyturn.journal.kinds import KINDS, Registry

# A text reads as the list in the design does.
RESERVED = """
secret.declared secret.adopted secret.imported secret.owner_changed secret.exception_granted secret.retired
version.staged version.promoted version.seen version.retired version.suspended version.compromised version.destroyed
version.copying version.copied
rotation.planned rotation.claimed rotation.intended rotation.done rotation.failed rotation.outcome_unknown
rotation.held rotation.reverted rotation.aborted rotation.drift rotation.closed
delivery.sent delivery.observed delivery.rejected target.probed disuse.observed access.read access.denied
finding.opened finding.resolved alert.queued alert.delivered alert.failed incident.* approval.* freeze.* drill.run
review.* consumer.excused vault.* containment.* observation.made attestation.made attestation.expired
checkpoint.made snapshot system.* gap
""".split()  # noqa: SIM905 - see above
CRITICAL_FAMILIES = {"rotation", "version", "secret", "vault", "containment", "freeze", "gap", "snapshot"}


def test_the_table_holds_exactly_the_reserved_names() -> None:
    """No reserved name is missing and none was added in passing."""
    assert {kind.name for kind in KINDS} == set(RESERVED)


def test_what_changes_the_next_step_is_critical_and_nothing_else() -> None:
    """Criticality follows the family."""
    assert {kind.name.partition(".")[0] for kind in KINDS if kind.critical} == CRITICAL_FAMILIES
    assert not [kind.name for kind in KINDS if not kind.critical and kind.name.partition(".")[0] in CRITICAL_FAMILIES]


def test_the_format_document_lists_every_kind() -> None:
    """A kind that is not documented does not exist, and the other way round."""
    text = (Path(__file__).parents[3] / "docs/formats/journal.md").read_text()
    table = text[text.index("## Kinds") :]
    documented = dict(re.findall(r"^\| `([a-z_.*]+)` \| 1 \| (yes|no) \|", table, re.MULTILINE))
    assert documented == {kind.name: "yes" if kind.critical else "no" for kind in KINDS}


@pytest.mark.parametrize("name", ["rotation.planned", "system.clock_jumped", "system.*", "delivery.*"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    """Neither a kind, nor a word of an open family, nor a family over kinds can be given away again."""
    with pytest.raises(UsageError):
        KINDS.reserve(name, critical=False)


@pytest.mark.parametrize("name", ["", "Rotation.x", "a.b.c", "a..b", "a.b\n", "a.*b", "*"])
def test_a_name_of_another_form_is_refused(name: str) -> None:
    """Kinds are words of lower-case letters."""
    with pytest.raises(UsageError):
        Registry().reserve(name, critical=False)


def test_a_version_below_one_is_refused() -> None:
    """Versions count from 1."""
    with pytest.raises(UsageError):
        Registry().reserve("a.b", critical=False, version=0)


def test_words_of_an_open_family_are_known() -> None:
    """An open family answers for each of its words, a closed one only for those in the table."""
    found = KINDS.find("vault.slot_added")
    assert found is not None
    assert found.critical
    assert KINDS.find("vault.*") is None
    assert KINDS.find("rotation.never") is None
    assert KINDS.find("no kind") is None


def test_a_later_version_of_a_kind_is_not_known() -> None:
    """What a newer Keyturn writes under a known name is told from what this one knows."""
    assert KINDS.knows("gap", 1)
    assert not KINDS.knows("gap", 2)
    assert not KINDS.knows("gap.closed", 1)


def test_the_fingerprint_tells_tables_apart() -> None:
    """Another name, version or criticality is another table; the order of lines is not."""
    tables = [Registry() for _ in range(5)]
    for table in tables:
        table.reserve("a", critical=True)
    tables[1].reserve("b", critical=True)
    tables[2].reserve("b", critical=False)
    tables[3].reserve("b", critical=False, version=2)
    assert len({table.fingerprint() for table in tables}) == 4
    assert tables[0].fingerprint() == tables[4].fingerprint()
