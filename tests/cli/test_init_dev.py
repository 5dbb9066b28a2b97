"""`keyturn init --dev`: a program has secrets at once, and they are good for nothing else."""

from pathlib import Path

import pytest

from keyturn.client import Secrets
from keyturn.manifest import load
from tests.cli.conftest import Keyturn


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Keyturn:
    """Such an environment."""
    keyturn = Keyturn(tmp_path_factory.mktemp("app"))
    document = keyturn.document("init", "--dev", "--service", "app")
    assert document["data"]["client_file"] == str(keyturn.folder / "keyturn.client.json")
    assert document["data"]["environment"] == "dev"
    keyturn.manifest = keyturn.folder / "keyturn.toml"
    return keyturn


def variables(keyturn: Keyturn) -> dict[str, str]:
    """What a program finds, without any word on where to look."""
    said = keyturn("run", "--pristine", "--", "env", HERE="x")
    assert said.status == 0, said
    return dict(line.split("=", 1) for line in said.out.splitlines())


def test_a_program_starts_with_them_at_once(made: Keyturn) -> None:
    """In the directory, without another word; an application opens the same."""
    found = variables(made)
    assert {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "API_KEY"} <= found.keys()
    assert len({found[name] for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "API_KEY")}) == 4
    with Secrets.open(made.folder / "keyturn.client.json") as secrets:
        assert secrets["database-url"].version
        assert (made.folder / ".keyturn" / "run" / "app" / "status").is_dir()


def test_a_place_that_is_not_there_is_told_with_what_now(tmp_path: Path) -> None:
    """The path may be a slip, and the directory above is not made."""
    said = Keyturn(tmp_path)("init", "--dev", tmp_path / "nowhere" / "app")
    assert (said.status, "No such file" in said.err, "\nnow:   check the path" in said.err) == (3, True, True)


def test_values_are_made_up_for_each_anew(made: Keyturn, tmp_path: Path) -> None:
    """Two environments share none, and neither of them is written down outside the state directory."""
    other = Keyturn(tmp_path)
    assert other("init", "--dev", "--service", "app").status == 0
    mine, yours = variables(made), variables(other)
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "API_KEY"):
        assert mine[name] != yours[name]
        outside = [path for path in made.folder.iterdir() if path.is_file()]
        assert not any(mine[name] in path.read_text() for path in outside)
        assert mine[name] not in "".join(made.heard[:2])


def test_it_says_that_they_may_be_thrown_away_and_stays_out_of_version_control(made: Keyturn) -> None:
    """The state directory by itself, the rest by a word; no place names a host."""
    said = Keyturn(made.folder / "inner")
    said.folder.mkdir()
    told = said("init", "--dev", "--service", "app")
    assert "may be thrown away" in told.out
    assert "keep them out of version control" in told.err
    assert (made.folder / ".keyturn" / ".gitignore").read_text() == "*\n"
    assert load(made.folder / "keyturn.toml", None).environment == "dev"
    assert "do not commit it" in (made.folder / "keyturn.toml").read_text().splitlines()[0]


def test_all_is_managed_and_doctor_finds_nothing(made: Keyturn) -> None:
    """And one of them can be set to something that works."""
    assert "all 4 secrets are managed" in made("status").out
    assert made("doctor").status == 0
    assert made("set", "api-key", "-", stdin=b"mine").status == 0
    assert variables(made)["API_KEY"] == "mine"


@pytest.mark.parametrize("there", ["keyturn.toml", "keyturn.client.json", ".keyturn"])
def test_what_is_there_is_not_overwritten(keyturn: Keyturn, there: str) -> None:
    """Refused before anything is made."""
    (keyturn.folder / there).write_text("mine")
    said = keyturn("init", "--dev", "--service", "app")
    assert (said.status, [path.name for path in keyturn.folder.iterdir()]) == (5, [there])
    assert (keyturn.folder / there).read_text() == "mine"


@pytest.mark.parametrize(
    "words", [["--from-guide"], ["--run", "x"], ["--state", "x"], ["--recovery-file", "x"], ["--environment", "Off"]]
)
def test_it_takes_no_word_on_what_it_makes_by_itself(keyturn: Keyturn, words: list[str]) -> None:
    """A name of its environment it takes, if it is one."""
    assert keyturn("init", "--dev", "--service", "app", *words).status == 2
    assert list(keyturn.folder.iterdir()) == []
