"""A database's credential moves to another store while its application runs: nobody is told, nothing is lost."""

import json
from pathlib import Path

import pytest

from keyturn.testing.installation import Installation
from tests.cli.conftest import Keyturn, furnish

COPY = ("copy", "database", "--from", "main", "--to", "files", "--yes")


@pytest.fixture
def folder(installation: Installation) -> Path:
    """Where everything lies; nobody else may write beside it."""
    installation.folder.chmod(0o700)
    return installation.folder


def _declare(clo: Keyturn) -> None:
    assert clo.manifest is not None
    text = clo.manifest.read_text()
    more = f'\n[stores.files]\nkind = "files"\npath = "{clo.folder}/secrets"\ndev = true\n'
    for table in ("[secrets.database]", "[secrets.postgres-admin]"):
        text = text.replace(f"{table}\n", f'{table}\nstore = "main"\n')
    clo.manifest.write_text(text + more)


def _live_in(clo: Keyturn, store: str) -> None:
    assert clo.manifest is not None
    before, table, after = clo.manifest.read_text().partition("[secrets.database]\nstore = ")
    clo.manifest.write_text(f'{before}{table}"{store}"\n{after.partition(chr(10))[2]}')


def test_a_credential_moves_and_is_rotated_there(clo: Keyturn, installation: Installation, folder: Path) -> None:
    """Copied and declared, nothing differs and nothing is delivered anew; then it is rotated there."""
    _declare(clo)
    assert clo("provision", "database").status == 0
    furnish(installation)
    assert clo("rotate", "database").status == 0
    version = clo.document("get", "database")["data"]["version"]
    delivered = (folder / "run/bundle").readlink()
    _live_in(clo, "files")
    said = clo("rotate", "database")
    assert said.status == 5
    assert "keyturn copy database --from" in said.err
    _live_in(clo, "main")
    assert clo(*COPY).status == 0
    _live_in(clo, "files")
    assert clo.document("get", "database")["data"]["version"] == version
    said = clo("tick")
    assert said.status == 0, said
    assert "store-differs" not in clo("doctor").out
    assert (folder / "run/bundle").readlink() == delivered
    report = clo.document("rotate", "database")["data"]
    assert (report["outcome"], report["death"], report["old_version"]) == ("closed", "refused", version)
    lines = [json.loads(path.read_text().splitlines()[-1]) for path in installation.logs]
    assert [(line["logins"]["failed"], line["queries"]["failed"]) for line in lines] == [(0, 0), (0, 0)]


def test_the_former_store_is_behind_and_says_so(clo: Keyturn, folder: Path) -> None:
    """Back in the former store no rotation begins; another copy leads there."""
    assert folder.exists()
    _live_in(clo, "main")
    said = clo("rotate", "database")
    assert said.status == 5
    assert "and the journal says" in said.err
    assert clo("copy", "database", "--from", "files", "--to", "main", "--yes").status == 0
    assert clo.document("rotate", "database")["data"]["outcome"] == "closed"


def test_leaving_names_the_slot_that_is_in_use(clo: Keyturn, installation: Installation, folder: Path) -> None:
    """The page says which role works and which stays disabled, and the URL is composed."""
    said = clo.document("eject", "out", "--reason", "a test", "--yes")
    assert said["data"]["missing"] == []
    page = (folder / "out/README.md").read_text()
    assert any(f"`{role}` is in use" in page for role in installation.roles)
    assert "cannot log in, and is to stay so" in page
    assert (folder / "out/secrets/database_url").read_text().startswith("postgresql://")
