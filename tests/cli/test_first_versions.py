"""`init --from-guide`, `provision --missing`, and kinds without a rotator in `set`, `status` and `tick`."""

import stat
from pathlib import Path

import pytest

from keyturn.manifest import load
from keyturn.manifest.guide import NAMES
from keyturn.manifest.guide_template import guide_consumers
from tests.cli.conftest import Keyturn

VALUE = "a-value-that-nobody-sees"


def begin(keyturn: Keyturn, *more: str | Path) -> Keyturn:
    """The manifest of the guide in that folder."""
    run = keyturn.folder / "run"
    said = keyturn(
        "init", "--from-guide", "--service", "clo", "--run", run, "--recovery-file", keyturn.folder / "recovery", *more
    )
    assert said.status == 0, said
    keyturn.manifest = keyturn.folder / "keyturn.toml"
    return keyturn


@pytest.fixture
def guide(keyturn: Keyturn) -> Keyturn:
    """The command on a fresh manifest of the guide."""
    return begin(keyturn)


def mode(path: Path) -> int:
    """Who may do what with it."""
    return stat.S_IMODE(path.stat().st_mode)


def bring(keyturn: Keyturn, name: str, *fields: str) -> None:
    """Set each field of a secret from a file."""
    (keyturn.folder / "value").write_text(VALUE)
    words = [f"{field}=@{keyturn.folder / 'value'}" for field in fields]
    said = keyturn("set", name, *words)
    assert said.status == 0, said


def test_the_manifest_of_the_guide_publishes_each_of_its_names(guide: Keyturn) -> None:
    """Under the guide's variable, in both profiles, and no kind in it is unknown."""
    for profile in (None, "dev"):
        declared = load(guide.folder / "keyturn.toml", profile)
        views = {name: view.env for table in declared.secrets.values() for name, view in table.publish.items()}
        assert {one.published: one.variable for one in NAMES}.items() <= views.items()
        assert {one.by_hand for one in declared.missing} == {True}


def test_every_secret_of_the_guide_has_a_comment_that_says_what_is_not_available(guide: Keyturn) -> None:
    """Each kind that this version cannot rotate is named, and no mark of the template is left."""
    text = (guide.folder / "keyturn.toml").read_text()
    for kind in ("redis", "app-key", "jwt", "tls", "azure-keys", "smtp", "grafana", "prometheus"):
        assert text.count(f"Rotating kind {kind} is not available in this version.") == 1
    assert "Rotating kind postgres" not in text
    assert "#!" not in text
    assert "$" not in text


def test_directories_of_the_guide_are_for_their_owner_alone(guide: Keyturn) -> None:
    """Those of the guide, and one for each consumer."""
    made = [guide.folder / name for name in ("secrets", "config", "run")]
    made += [guide.folder / "run" / name for name in guide_consumers()]
    assert {mode(path) for path in made} == {0o700}
    assert len(guide_consumers()) == 3


def test_what_is_there_is_left_as_it_is_and_looked_at(keyturn: Keyturn) -> None:
    """A directory with files stays; one that others can look into is named with its chmod."""
    kept = keyturn.folder / "config"
    kept.mkdir(mode=0o755)
    kept.chmod(0o755)
    (kept / ".env.production").write_text("A=1\n")
    said = keyturn("init", "--from-guide", "--service", "clo", "--run", keyturn.folder / "run", "--recovery-file", "r")
    assert said.status == 0
    assert f"{kept} is 0755, others can look into it: chmod 700 {kept}" in said.err
    assert (kept / ".env.production").read_text() == "A=1\n"
    assert mode(kept) == 0o755


def test_a_manifest_that_is_there_is_never_overwritten(guide: Keyturn) -> None:
    """Exit 5, the file stays to the letter, and no second recovery code is left."""
    assert guide.manifest is not None
    before = guide.manifest.read_bytes()
    said = guide("init", "--from-guide", "--service", "clo", "--recovery-file", "again")
    assert said.status == 5
    assert guide.manifest.read_bytes() == before
    assert not (guide.folder / "again").exists()


def test_a_place_for_consumers_that_is_not_there_is_refused_before_anything_of_keyturn_is_made(
    keyturn: Keyturn,
) -> None:
    """Exit 2, the option is named, and there is no vault whose recovery code nobody has."""
    said = keyturn(
        "init", "--from-guide", "--service", "clo", "--run", keyturn.folder / "a/b/c", "--recovery-file", "r"
    )
    assert said.status == 2
    assert "--run PATH" in said.err
    assert not (keyturn.folder / ".keyturn").exists()


def test_the_place_for_consumers_belongs_to_the_guide(keyturn: Keyturn) -> None:
    """--run alone would be ignored, so it is an error."""
    said = keyturn("init", "--service", "clo", "--run", "x", "--recovery-file", "r")
    assert said.status == 2


def test_provision_missing_makes_keys_and_says_what_a_person_must_bring(guide: Keyturn) -> None:
    """Keys are made and delivered, the rest is asked for, each with its command; repeated, all is there."""
    data = guide.document("provision", "--missing", "--yes")["data"]
    assert {one["secret"] for one in data["made"]} == {"app-key", "jwt"}
    wanted = {one["secret"]: one["command"] for one in data["bring"]}
    assert wanted["smtp"] == "keyturn set smtp"
    assert wanted["database"] == "keyturn provision database"
    assert len(data["made"]) + len(wanted) == 11
    assert (guide.folder / "run/clo-api/bundle/secret-key").exists()
    again = guide.document("provision", "--missing", "--yes")["data"]
    assert again["made"] == []
    assert set(again["there"]) == {"app-key", "jwt"}
    assert guide("provision", "jwt", "--yes").out.startswith("jwt: version ")


def test_instructions_of_the_manifest_stand_below_what_a_person_must_bring(guide: Keyturn) -> None:
    """What the owner wrote down is what the person is told."""
    said = guide("provision", "--missing", "--yes")
    lines = said.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("azure-client: a person must bring"))
    assert lines[at + 1] == "  make a second client secret of the app registration"


def test_new_keys_of_a_production_service_are_made_only_when_somebody_says_so(guide: Keyturn) -> None:
    """Without a terminal it is exit 2 and names the flag; the database's first version needs no such word."""
    for words in (("--missing",), ("app-key",)):
        said = guide("provision", *words)
        assert said.status == 2
        assert "--yes" in said.err
        assert "keyturn import them" in said.err
    assert "postgres-admin has no version yet" in guide("provision", "database").err
    assert guide.document("status")["data"]["managed"] == 0


def test_outside_of_production_keys_are_made_without_asking(keyturn: Keyturn) -> None:
    """Nobody's session ends there."""
    staging = begin(keyturn, "--environment", "staging")
    assert staging.document("provision", "jwt")["data"]["secret"] == "jwt"


def test_provision_wants_a_name_or_missing(guide: Keyturn) -> None:
    """Neither and both are exit 2; a secret that only a person can bring names the command."""
    assert guide("provision").status == 2
    assert guide("provision", "jwt", "--missing").status == 2
    said = guide("provision", "postgres-admin")
    assert (said.status, "keyturn set postgres-admin" in said.err) == (5, True)
    said = guide("provision", "smtp")
    assert (said.status, "keyturn set smtp" in said.err) == (2, True)


def test_one_target_that_cannot_be_reached_keeps_nothing_else_from_its_turn(guide: Keyturn) -> None:
    """The database is away: its failure is the exit code, the keys are made."""
    assert guide.manifest is not None
    text = guide.manifest.read_text().replace("db.internal:5432", "127.0.0.1:1")
    guide.manifest.write_text(text)
    bring(guide, "postgres-admin", "username", "password")
    document = guide.document("provision", "--missing", "--yes", status=3)
    assert [one["secret"] for one in document["data"]["failed"]] == ["database"]
    assert {one["secret"] for one in document["data"]["made"]} == {"app-key", "jwt"}


def test_a_value_of_a_kind_without_a_rotator_is_set_delivered_and_replaced(guide: Keyturn) -> None:
    """Only what cannot be known is asked for; the user is the declared one, and the view is composed."""
    document = guide.document("set", "smtp", "password=-", stdin=VALUE.encode())
    assert document["data"]["fields"] == ["password", "username"]
    assert document["data"]["delivered"]
    bundle = guide.folder / "run/clo-api/bundle"
    assert (bundle / "smtp-password").read_text() == VALUE
    assert (bundle / "smtp.username").read_text() == "clo@example.com"
    assert guide("set", "smtp", "password=-", stdin=b"another-value").status == 0
    assert (bundle / "smtp-password").read_text() == "another-value"


def test_a_url_of_a_kind_without_a_rotator_is_composed_from_the_manifest(guide: Keyturn) -> None:
    """Host, port and number of the database come from the target's table."""
    bring(guide, "redis", "password")
    said = guide("get", "redis-url", "--reveal", "--reason", "test")
    assert said.out == f"redis://:{VALUE}@cache.internal:6379/0"


def test_a_signing_key_that_is_set_brings_its_public_half(guide: Keyturn) -> None:
    """What is no key is refused without a word of it, and nothing is stored."""
    said = guide("set", "jwt", "private_key=-", stdin=VALUE.encode())
    assert said.status == 2
    assert VALUE not in said.err
    assert guide.document("status", "jwt")["data"]["secrets"][0]["state"] == "none"


def test_a_delivery_that_fails_is_told_and_the_value_is_kept(guide: Keyturn) -> None:
    """Exit 3 with the way on; tick delivers when the place is there again."""
    bundle = guide.folder / "run/monitoring"
    bundle.rmdir()
    (guide.folder / "run").rename(guide.folder / "away")
    said = guide("set", "grafana", "password=-", stdin=VALUE.encode())
    assert said.status == 3
    assert "the version is current, and not delivered" in said.err
    assert "keyturn tick" in said.err
    (guide.folder / "away").rename(guide.folder / "run")
    assert guide("tick").status == 0
    assert (bundle / "bundle/grafana_admin_password").read_text() == VALUE


def test_tick_delivers_what_a_reboot_took(guide: Keyturn) -> None:
    """Of kinds without a rotator, too; the second pass has nothing to do."""
    bring(guide, "prometheus", "password")
    link = guide.folder / "run/monitoring/bundle"
    link.unlink()
    touched = {one["secret"]: one["action"] for one in guide.document("tick")["data"]["touched"]}
    assert touched["prometheus"] == "reconciled"
    assert touched["grafana"] == "left"
    assert (link / "prometheus_admin_password").read_text() == VALUE
    assert "delivered" not in guide("tick").out


def test_status_counts_what_is_managed_and_says_who_changes_it(guide: Keyturn) -> None:
    """A sentence for each secret, and one line for all of them."""
    bring(guide, "redis", "password")
    said = guide("status")
    assert "a person changes it: rotating kind redis is not available in this version" in said.out
    assert said.out.splitlines()[-1] == "1 of 11 secrets are managed"
    assert guide.document("status")["data"]["managed"] == 1
    assert "are managed" not in guide("status", "redis").out


def test_history_tells_a_key_that_was_made_from_a_value_that_was_brought(guide: Keyturn) -> None:
    """Each with who did it, and the second one with the way it came."""
    guide("provision", "app-key", "--yes")
    bring(guide, "smtp", "password")
    assert "  made by " in guide("history", "app-key").out
    assert " (file): version " in guide("history", "smtp").out
    assert guide.document("history", "smtp")["data"]["brought"][0]["how"] == "file"


def test_no_word_of_a_value_is_in_what_was_said(guide: Keyturn) -> None:
    """After each way in: set, provision, status, plan, doctor, list."""
    bring(guide, "smtp", "password")
    for words in (("status",), ("plan",), ("list",), ("doctor",), ("tick",), ("history", "smtp")):
        guide(*words)
    assert VALUE not in "".join(guide.heard)
    assert VALUE.encode() not in (guide.folder / ".keyturn/journal.db").read_bytes()


def test_what_eject_wrote_is_taken_in_again_with_its_empty_fields(
    guide: Keyturn, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No former key, no name of a key: the way back is the one command that the page beside the files names."""
    assert guide("provision", "app-key", "--yes").status == 0
    bring(guide, "azure-storage", "key")
    assert guide("eject", "out", "--reason", "a test", "--yes").status == 0
    other = begin(Keyturn(tmp_path_factory.mktemp("elsewhere")))
    said = other("import", "--yes", guide.folder / "out/secrets")
    assert said.status == 0, said
    for part in ("app-key.value", "azure-storage.key"):
        values = {one("get", part, "--reveal", "--reason", "a test").out for one in (guide, other)}
        assert len(values) == 1
    assert other("get", "app-key.fallbacks", "--reveal", "--reason", "a test").out == ""


def test_import_over_a_key_that_was_made_names_the_command_that_brings_another(guide: Keyturn) -> None:
    """Whoever provisions first and imports then is told how to bring what the application uses."""
    assert guide("provision", "app-key", "--yes").status == 0
    (guide.folder / "secret_key").write_text(VALUE * 2)
    said = guide("import", "--yes", "secret_key")
    assert said.status == 5
    assert "keyturn set app-key brings another" in said.out
