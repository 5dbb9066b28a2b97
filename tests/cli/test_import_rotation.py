"""From a line of a `.env` file to a rotation: the credential that was imported is left and ended, under load."""

from urllib.parse import quote

import pytest

from keyturn.core.rotator import Answer
from keyturn.core.secret import Bundle, SecretValue
from keyturn.testing.installation import SECRET_NAME, Installation
from tests.cli.conftest import Keyturn, furnish

PASSWORD = "canary-import-7f2e/9@x"


@pytest.fixture(scope="module")
def in_use(installation: Installation, clo: Keyturn) -> Bundle:
    """A database whose first role has a password that only a file knows."""
    assembly = installation.assembly()
    rotator = assembly.rotator(SECRET_NAME)
    bundle = Bundle({"username": installation.roles[0], "password": PASSWORD})
    assembly.rotator(SECRET_NAME).provision()  # type: ignore[attr-defined] # this one can
    rotator.apply(bundle, 1)
    assembly.close()
    server = installation.postgres
    where = f"{installation.roles[0]}:{quote(PASSWORD, safe='')}@{server.host}:{server.port}/{installation.dbname}"
    env = clo.folder / ".env"
    env.write_text(f"DATABASE_URL=postgresql://{where}?sslmode=require\nPOSTGRES_PASSWORD='{PASSWORD}'\n")
    env.chmod(0o600)
    return bundle


def test_an_imported_credential_is_delivered_and_rotated(
    in_use: Bundle, installation: Installation, clo: Keyturn
) -> None:
    """It serves the application at once; a rotation moves it to the other role, and the imported one is refused."""
    (secret,) = clo.document("import", ".env")["data"]["secrets"]
    assert (secret["secret"], secret["state"], secret["rotatable"]) == ("database", "new", True)
    assert "is there already" in clo("provision", "database").out
    assert clo("tick").status == 0
    furnish(installation)
    ended = clo.document("rotate", "database")["data"]
    assert (ended["outcome"], ended["death"], ended["old_version"]) == ("closed", "refused", secret["version"])
    assembly = installation.assembly()
    assert assembly.rotator(SECRET_NAME).accepts(in_use).answer is Answer.REFUSED
    assert assembly.bundle(SECRET_NAME)["username"] == SecretValue(installation.roles[1])
    assembly.close()


def test_an_old_file_does_not_come_back(in_use: Bundle, clo: Keyturn) -> None:
    """After the rotation the file holds what is dead: it is refused, and --replace does not help."""
    assert "username" in in_use
    for words in ((), ("--replace",)):
        said = clo("import", ".env", *words)
        assert said.status == 5
        assert "import-exists" in said.out
