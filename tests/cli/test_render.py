"""`keyturn render`: files of templates, and the client file of a consumer."""

import grp
import json
import os
from pathlib import Path

import pytest

from keyturn.client import Secrets
from keyturn.client.opening import find, source_of
from tests.cli.conftest import Keyturn, Said
from tests.cli.test_run import MANIFEST, deliver
from tests.unit.client.test_run import Night

URL = "postgresql://v1"


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A bundle directory with two secrets, and its client file."""
    return Night(tmp_path)


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """Two templates, and a file that is none."""
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "app.env.tmpl").write_text("URL={database-url}\n")
    (folder / "app.json.tmpl").write_text('{{"key": "{api-key}"}}\n')
    (folder / "README").write_text("{none}")
    return folder


def render(keyturn: Keyturn, night: Night, templates: Path, *words: str) -> Said:
    """Into `out` beside them."""
    return keyturn("render", templates, "--into", templates.parent / "out" / "files", "--config", night.file, *words)


def out(templates: Path) -> Path:
    """Where they are."""
    return templates.parent / "out" / "files"


def test_files_are_written_as_one_generation_for_their_owner_alone(
    keyturn: Keyturn, night: Night, templates: Path
) -> None:
    """Behind one link; 0600, and nothing of a template that is none."""
    said = render(keyturn, night, templates)
    assert said.status == 0, said
    place = out(templates)
    assert place.is_symlink()
    assert sorted(path.name for path in place.iterdir()) == [".index.json", "app.env", "app.json"]
    assert (place / "app.env").read_text() == f"URL={URL}\n"
    assert json.loads((place / "app.json").read_text()) == {"key": "key"}
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}
    assert place.resolve().stat().st_mode & 0o777 == 0o700
    assert URL not in said.out + said.err + (place / ".index.json").read_text()


def test_equal_content_is_not_written_again(keyturn: Keyturn, night: Night, templates: Path) -> None:
    """So that nothing is reloaded for nothing; a new version is, and its files are switched together."""
    render(keyturn, night, templates)
    first = out(templates).readlink()
    assert "up to date" in render(keyturn, night, templates).out
    assert out(templates).readlink() == first
    night.deliver("v2")
    said = render(keyturn, night, templates)
    assert "app.env: database is v2, was v1" in said.out
    assert "app.json:" not in said.out
    assert out(templates).readlink() != first
    assert (out(templates) / "app.env").read_text() == "URL=postgresql://v2\n"


def test_check_names_what_is_stale_and_changes_nothing(keyturn: Keyturn, night: Night, templates: Path) -> None:
    """Exit 1, and 0 where all is as it would be written; no value is shown."""
    missing = render(keyturn, night, templates, "--check")
    assert (missing.status, missing.out.count("is not there [rendered-stale]")) == (1, 2)
    assert not out(templates).exists()
    render(keyturn, night, templates)
    assert render(keyturn, night, templates, "--check").status == 0
    before = {path: path.read_bytes() for path in out(templates).iterdir()}
    night.deliver("v2")
    (templates / "app.json.tmpl").unlink()
    (templates / "new.env.tmpl").write_text("KEY={api-key}\n")
    (out(templates) / "app.env").chmod(0o600)
    document = json.loads(render(keyturn, night, templates, "--check", "--json").out)
    assert {one["name"]: one["why"] for one in document["data"]["differs"]} == {
        "app.env": "database is v2, was v1",
        "app.json": "has no template",
        "new.env": "is not there",
    }
    assert {path: path.read_bytes() for path in out(templates).iterdir()} == before
    assert URL not in json.dumps(document)


def test_a_file_that_somebody_changed_is_stale(keyturn: Keyturn, night: Night, templates: Path) -> None:
    """So is one whose template changed; the next call writes it anew."""
    render(keyturn, night, templates)
    (out(templates) / "app.env").write_text("URL=mine\n")
    assert (
        "app.env: its template has changed, or somebody changed it" in render(keyturn, night, templates, "--check").out
    )
    assert render(keyturn, night, templates).status == 0
    assert (out(templates) / "app.env").read_text() == f"URL={URL}\n"


def test_one_template_that_is_off_switches_nothing(keyturn: Keyturn, night: Night, templates: Path) -> None:
    """What lies there stays as it is, and the error names file and line."""
    render(keyturn, night, templates)
    first = out(templates).readlink()
    night.deliver("v2")
    (templates / "bad.env.tmpl").write_text("A=1\nB={nothing}\n")
    said = render(keyturn, night, templates)
    assert said.status == 3
    assert "bad.env.tmpl:2: no name 'nothing' was delivered" in said.err
    assert out(templates).readlink() == first


def test_a_group_may_read_what_is_rendered_for_it(keyturn: Keyturn, night: Night, templates: Path) -> None:
    """0640 and 0750, and not one bit for others; a group that this host has not is refused."""
    group = grp.getgrgid(os.getegid()).gr_name
    assert render(keyturn, night, templates, "--group", group).status == 0
    assert (out(templates) / "app.env").stat().st_mode & 0o777 == 0o640
    assert out(templates).resolve().stat().st_mode & 0o777 == 0o750
    assert render(keyturn, night, templates, "--group", "no-such-group").status == 3


def test_a_directory_that_is_not_ours_is_left_alone(keyturn: Keyturn, night: Night, templates: Path) -> None:
    """Whoever made it may need what lies in it."""
    out(templates).mkdir(parents=True)
    (out(templates) / "app.env").write_text("mine")
    assert render(keyturn, night, templates).status == 3
    assert (out(templates) / "app.env").read_text() == "mine"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["templates"],
        ["--into", "out"],
        ["templates", "--into", "out", "--client", "c"],
        ["--client", "c"],
        ["--client", "c", "--consumer", "web", "--format", "json"],
        ["nowhere", "--into", "out"],
        ["templates", "--into", "out", "--processes", "2"],
        ["--compose", "c", "--processes", "0"],
    ],
)
def test_words_that_do_not_belong_together_are_refused(
    keyturn: Keyturn, night: Night, templates: Path, words: list[str]
) -> None:
    """Nothing is written."""
    assert templates.exists()
    assert keyturn("render", *words).status in {2, 3}
    assert not (keyturn.folder / "out").exists()
    assert night.file.exists()


@pytest.fixture
def declared(keyturn: Keyturn, tmp_path: Path) -> Keyturn:
    """A manifest, and what was delivered to one of its consumers."""
    keyturn.manifest = tmp_path / "keyturn.toml"
    text = MANIFEST.format(environment="test", state=tmp_path / "no-state", home=tmp_path / "run")
    keyturn.manifest.write_text(
        text.replace("/run/plain", "/run-plain/bundle").replace("/run/idle", "/run-idle/bundle")
    )
    deliver(tmp_path, "smtp-url")
    return keyturn


def test_a_client_file_is_what_the_application_opens(declared: Keyturn) -> None:
    """Written once, by the manifest, for everybody to read: no value is in it."""
    file = declared.folder / "keyturn.client.json"
    document = declared.document("render", "--client", file, "--consumer", "web")
    assert document["data"] == {
        "what": "client",
        "place": str(file),
        "names": ["web"],
        "changed": True,
        "differs": [{"name": file.name, "why": "is not there"}],
    }
    assert file.stat().st_mode & 0o777 == 0o644
    assert json.loads(file.read_text())["env"] == {"smtp-url": "MAIL"}
    with Secrets.open(file) as secrets:
        assert secrets["smtp-url"].version == "v1"
    assert declared.document("render", "--client", file, "--consumer", "web")["data"]["changed"] is False


def test_who_is_served_by_the_agent_gets_a_file_that_names_it(declared: Keyturn) -> None:
    """Its directories are Keyturn's alone: a file that named them would be of no use, and so would their mounts."""
    assert declared.manifest is not None
    text = declared.manifest.read_text()
    web = '[consumers.web]\nkind = "application"\n'
    assert web in text
    declared.manifest.write_text(text.replace(web, f'{web}agent_user = "root"\n'))
    file = declared.folder / "agent.json"
    assert "where it listens" in declared("render", "--client", file, "--consumer", "web").err
    socket = '[keyturn]\nagent_socket = "/run/keyturn/agent.sock"\n'
    declared.manifest.write_text(declared.manifest.read_text().replace("[keyturn]\n", socket))
    assert declared("render", "--client", file, "--consumer", "web").status == 0
    content = json.loads(file.read_text())
    source = {"kind": "agent", "socket": "/run/keyturn/agent.sock", "consumer": "web", "user": str(os.geteuid())}
    assert (content["source"], "status_dir" in content) == (source, False)
    assert source_of(find(file)) is not None
    said = declared("render", "--compose", declared.folder / "agent.yml", "--consumer", "web")
    assert (said.status, "served by the agent" in said.err) == (2, True)
    said = declared("render", "--compose", declared.folder / "agent.yml")
    assert "is not there" not in said.out
    assert (said.status, "web: served by the agent" in said.err) == (0, True)
    assert "  web:" not in (declared.folder / "agent.yml").read_text()


def test_a_client_file_that_is_stale_is_found_and_mended(declared: Keyturn) -> None:
    """Check exits 1; something else of that name is not overwritten."""
    file = declared.folder / "keyturn.client.json"
    words = ("render", "--client", file, "--consumer", "web")
    assert declared.document(*words, "--check", status=1)["findings"][0]["reason"] == "rendered-stale"
    declared(*words)
    assert declared(*words, "--check").status == 0
    file.write_text(file.read_text().replace("30s", "10s"))
    assert "says something else" in declared(*words, "--check").out
    declared(*words)
    assert "30s" in file.read_text()
    file.write_text("mine")
    assert declared(*words).status == 5
    assert file.read_text() == "mine"


@pytest.mark.parametrize(("consumer", "status"), [("nobody", 2), ("plain", 2), ("idle", 2)])
def test_no_client_file_for_who_reads_no_bundle(declared: Keyturn, consumer: str, status: int) -> None:
    """One that is not declared, one that reads plain files, one that no secret names."""
    file = declared.folder / "keyturn.client.json"
    assert declared("render", "--client", file, "--consumer", consumer).status == status
    assert not file.exists()


COMPOSE = """services:
  web:
    image: web   # pinned elsewhere
    environment:
      LOG: info
"""


def test_a_compose_file_is_brought_up_to_date_once(declared: Keyturn) -> None:
    """With the client file that it names; its mode stays, and a second time writes nothing."""
    file = declared.folder / "compose.yml"
    file.write_text(COMPOSE)
    file.chmod(0o640)
    document = declared.document("render", "--compose", file)
    assert (document["data"]["names"], document["data"]["changed"]) == (["web"], True)
    assert {one["name"] for one in document["data"]["differs"]} == {"web", "web.keyturn.client.json"}
    assert file.read_text().startswith(COMPOSE)
    assert file.stat().st_mode & 0o777 == 0o640
    assert (declared.folder / "web.keyturn.client.json").is_file()
    inode = file.stat().st_ino
    assert declared.document("render", "--compose", file)["data"]["changed"] is False
    assert file.stat().st_ino == inode


def test_a_stale_compose_file_is_found(declared: Keyturn) -> None:
    """So is a client file beside it; nothing is written."""
    file = declared.folder / "compose.yml"
    file.write_text(COMPOSE)
    found = declared.document("render", "--compose", file, "--check", status=1)["findings"]
    assert [one["subject"] for one in found] == ["web", "web.keyturn.client.json"]
    assert file.read_text() == COMPOSE
    declared("render", "--compose", file)
    assert declared("render", "--compose", file, "--check").status == 0
    (declared.folder / "web.keyturn.client.json").unlink()
    assert declared("render", "--compose", file, "--check").status == 1


def test_a_compose_file_with_a_value_in_it_is_not_touched(declared: Keyturn) -> None:
    """A person takes it out first; the value is not shown."""
    file = declared.folder / "compose.yml"
    file.write_text(text := COMPOSE + "      MAIL: smtp://u:canary@mail\n")
    document = declared.document("render", "--compose", file, status=1)
    assert [one["reason"] for one in document["findings"]] == ["compose-plain-value"]
    assert document["data"]["changed"] is False
    assert file.read_text() == text
    assert not (declared.folder / "web.keyturn.client.json").exists()
    assert "canary" not in "".join(declared.heard)


def test_a_new_compose_file_has_every_consumer_that_could_live_in_it(declared: Keyturn) -> None:
    """But those that no secret names; of an existing one only those that it has, and what is asked for."""
    file = declared.folder / "compose.yml"
    assert declared.document("render", "--compose", file)["data"]["names"] == ["web", "plain"]
    file.write_text(COMPOSE)
    said = declared("render", "--compose", file)
    assert "plain: no service plain in it; --consumer plain adds one" in said.err
    assert "web: no healthcheck" in said.err
    assert declared.document("render", "--compose", file, "--consumer", "plain")["data"]["names"] == ["plain"]
    assert "  plain:\n    image:" in file.read_text()


@pytest.mark.parametrize(
    ("text", "consumer", "status"),
    [(COMPOSE, "nobody", 2), (COMPOSE, "idle", 2), ("services: {other: {image: x}}\n", None, 2), ("a: [", None, 3)],
)
def test_a_compose_file_without_a_place_for_it_is_refused(
    declared: Keyturn, text: str, consumer: str | None, status: int
) -> None:
    """A consumer that is none, or uses nothing; a file with no service of ours; one that is no YAML."""
    file = declared.folder / "compose.yml"
    file.write_text(text)
    assert declared("render", "--compose", file, *(["--consumer", consumer] if consumer else [])).status == status
    assert file.read_text() == text
