"""An import that was cut off comes before whatever would make the first version otherwise."""

import pytest

from keyturn.core.secret import Bundle
from keyturn.manifest import load
from keyturn.rotation.events import Planned, encode
from keyturn.rotation.intake import announce
from keyturn.wiring import assemble
from tests.cli.conftest import Keyturn

DATABASE = """
[secrets.database]
kind = "postgres"
owner = "ops@example.com"
purpose = "deals"
used_by = "keyturn"
target = { hosts = ["127.0.0.1:1"], dbname = "clo", owner_role = "clo", roles = ["a", "b"], admin = "smtp" }
"""


@pytest.fixture
def cut(begun: Keyturn) -> Keyturn:
    """The credential of a database was sealed, and never written."""
    assert begun.manifest is not None
    begun.manifest.write_text(begun.manifest.read_text() + DATABASE)
    (begun.folder / "value").write_text("one")
    (begun.folder / "value").chmod(0o600)
    assert begun("set", "smtp", "username=@value", "password=@value").status == 0
    assembly = assemble(load(begun.manifest))
    bundle = Bundle({"username": "a", "password": "the one in use"})
    announce(assembly.journal, "database", "attempt-1", "import", bundle)
    assembly.escrow.seal_all({"attempt-1": bundle})
    assembly.close()
    return begun


@pytest.mark.parametrize("words", [("database",), ("--missing",)])
def test_provision_makes_no_other_one(cut: Keyturn, words: tuple[str, ...]) -> None:
    """It says which command goes on, and asks the target for nothing; that command makes it the first version."""
    said = cut("provision", *words)
    assert said.status == 5
    assert "an import of database was cut off" in said.err
    assert "keyturn resume database" in said.err
    assert cut("resume", "database").status == 0
    said = cut("get", "database.password", "--reveal", "--reason", "a test")
    assert said.out == "the one in use"


def test_a_rotation_that_is_open_all_the_same_is_gone_on_with(cut: Keyturn) -> None:
    """Resume looks at the target of the rotation, and does not refuse because one is open."""
    assert cut.manifest is not None
    assembly = assemble(load(cut.manifest))
    assembly.journal.append("database", 1, encode(Planned("r1", "a", "attempt-2")))
    assembly.close()
    said = cut("resume", "database")
    assert said.status == 3
    assert "looking at the idle slot" in said.err
