"""From what a team has to a plan: matched, compared, judged, and never guessed."""

import pytest

from keyturn.core.errors import UsageError
from keyturn.core.secret import SecretValue
from keyturn.importing.leads import leads_of
from tests.unit.importing.drafts import (
    CANARY,
    DATABASE_URL,
    ENV,
    FILES,
    PASSWORD,
    drafted,
    guide,
    obstacles,
    row,
    warnings,
)
from tests.values import reads

GOOD = f"{CANARY}-0123456789"


def test_a_url_becomes_the_fields_of_its_secret() -> None:
    """The published name says which; what is written twice must be the same, and is said to be."""
    made = drafted({"DATABASE_URL": DATABASE_URL, "POSTGRES_USER": "clo_a", "POSTGRES_PASSWORD": PASSWORD})
    assert obstacles(made) == []
    (ready,) = made.ready
    assert ready.secret == "database"
    assert reads(ready.bundle["username"], "clo_a")
    assert reads(ready.bundle["password"], PASSWORD)
    assert ready.sources == (str(ENV),)
    assert [one.what for one in made.rows] == ["taken", "agrees", "agrees"]
    assert row(made, "DATABASE_URL").to == ("database.username", "database.password")


def test_two_places_that_do_not_agree_are_refused_by_name() -> None:
    """Both are named with their lines, and neither value is anywhere."""
    made = drafted({"DATABASE_URL": DATABASE_URL, "POSTGRES_PASSWORD": f"{CANARY}-another"})
    assert obstacles(made) == [("import-differs", "database")]
    assert f"DATABASE_URL ({ENV}:1) and POSTGRES_PASSWORD ({ENV}:2) do not agree" in made.obstacles[0].message
    assert made.ready == ()
    assert {one.what for one in made.rows} == {"refused"}


@pytest.mark.parametrize(
    ("part", "other"),
    [("db.internal", "elsewhere"), (":5432", ":5433"), ("/clo?", "/other?")],
    ids=["host", "port", "db"],
)
def test_a_url_that_leads_to_another_target_is_refused(part: str, other: str) -> None:
    """The manifest says where the database is, and the file says otherwise."""
    made = drafted({"DATABASE_URL": DATABASE_URL.replace(part, other)})
    assert [reason for reason, _ in obstacles(made)] == ["import-differs"]


def test_a_host_is_the_same_in_any_case() -> None:
    """And a setting that says the same as the manifest is a setting."""
    made = drafted({"DATABASE_URL": DATABASE_URL.replace("db.internal", "DB.internal"), "POSTGRES_HOST": "db.internal"})
    assert obstacles(made) == []
    assert row(made, "POSTGRES_HOST").what == "setting"


def test_settings_of_another_target_are_told() -> None:
    """A placeholder of a setting is a warning, any other place stands in the way."""
    made = drafted({"POSTGRES_HOST": "your-postgres-host", "POSTGRES_PORT": "6543"})
    assert warnings(made) == ["import-doubt"]
    assert [reason for reason, _ in obstacles(made)] == ["import-differs"]


def test_a_user_that_is_not_declared_is_refused_with_the_way_out() -> None:
    """A database in use has a role that is none of the two: adopt, and provision."""
    made = drafted({"DATABASE_URL": DATABASE_URL.replace("clo_a", "app")})
    assert obstacles(made) == [("import-undeclared", "database")]
    assert "keyturn adopt database" in made.obstacles[0].remedy
    left = drafted({"DATABASE_URL": DATABASE_URL.replace("clo_a", "app")}, maps=["DATABASE_URL=ignore"])
    assert obstacles(left) == []
    assert row(left, "DATABASE_URL").what == "ignored"


@pytest.mark.parametrize(
    "text",
    ["your-client-secret", "changeme", "", "azure-service-principal-secret"],
    ids=["your", "changeme", "empty", "guide"],
)
def test_what_was_never_filled_in_is_refused(text: str) -> None:
    """A placeholder and an empty value; nothing of that secret is taken."""
    made = drafted({"AZURE_CLIENT_SECRET": text})
    assert [reason for reason, _ in obstacles(made)] == ["import-placeholder" if text else "import-empty"]
    assert made.ready == ()
    assert row(made, "AZURE_CLIENT_SECRET").what == "refused"


def test_the_examples_of_the_guide_are_refused() -> None:
    """Inside a URL as well."""
    made = drafted({"DATABASE_URL": "postgresql://user:pass@db.internal:5432/clo?sslmode=verify-full"})
    assert ("import-placeholder", f"{ENV}:1 DATABASE_URL") in obstacles(made)


def test_a_log_in_of_one_user_needs_no_name_of_it() -> None:
    """The manifest says who it is; with two users it has to be found."""
    made = drafted({"SMTP_PASSWORD": GOOD, "REDIS_PASSWORD": f"{GOOD}-redis"})
    (ready,) = made.ready
    assert (ready.secret, ready.filled) == ("smtp", ("username",))
    assert reads(ready.bundle["username"], "clo@example.com")
    assert obstacles(made) == [("import-incomplete", "cache")]
    assert "--map NAME=cache.username" in made.obstacles[0].remedy


def test_what_no_file_says_is_empty_and_told() -> None:
    """Nothing is accepted beside the key, and nobody knows which of both keys of the account it is."""
    made = drafted({"SECRET_KEY": GOOD * 2, "AZURE_STORAGE_KEY": f"{GOOD}-storage"})
    assert {one.secret: one.filled for one in made.ready} == {"app": ("fallbacks",), "storage": ("key_name",)}
    assert all(reads(one.bundle[field], "") for one in made.ready for field in one.filled)


def test_what_looks_like_a_secret_is_named_and_what_is_a_setting_is_left() -> None:
    """By its name or its value; nothing is guessed, and the line to give is told."""
    made = drafted({"STRIPE_API_KEY": GOOD, "BROKER": f"amqp://u:{GOOD}@h", "DEBUG": "false", "LOG_LEVEL": "INFO"})
    assert [one.what for one in made.rows] == ["open", "open", "setting", "setting"]
    assert warnings(made) == ["import-unmatched"] * 2
    assert "--map STRIPE_API_KEY=SECRET.FIELD" in made.findings[0].remedy
    assert made.ready == ()


def test_a_prefix_and_an_ending_do_not_count() -> None:
    """The environment before the name, and what says that a file is PEM text."""
    made = drafted({"PRODUCTION_SMTP_PASSWORD": GOOD}, {"grafana-admin-password.txt": GOOD + "x"})
    assert sorted(one.secret for one in made.ready) == ["grafana", "smtp"]


def test_map_says_where_a_name_belongs() -> None:
    """To a field, to a published name, or nowhere; it stands above every other rule."""
    made = drafted(
        {"MAIL": GOOD, "DB": DATABASE_URL, "SMTP_PASSWORD": "changeme"},
        maps=["MAIL=smtp.password", "DB=database-url", "SMTP_PASSWORD=ignore"],
    )
    assert obstacles(made) == []
    assert sorted(one.secret for one in made.ready) == ["database", "smtp"]


@pytest.mark.parametrize("word", ["X", "X=", "=smtp", "X=smtp", "X=smtp.nothing", "X=nobody", "X=nobody.x"])
def test_a_map_that_leads_nowhere_is_an_error(word: str) -> None:
    """Before anything is read."""
    with pytest.raises(UsageError):
        leads_of(guide(), [word])


def test_what_a_map_was_given_is_not_repeated() -> None:
    """Somebody may have typed a value."""
    for word in (f"X={CANARY}", f"X=smtp.{CANARY}"):
        with pytest.raises(UsageError) as caught:
            leads_of(guide(), [word])
        assert CANARY not in f"{caught.value.message}{caught.value.remedy}"


@pytest.mark.parametrize("code", ["%00", "%0A", "%1b", "%7F"])
def test_a_code_for_what_no_target_takes_is_refused(code: str) -> None:
    """A password would be cut at a NUL by libpq, and nobody would see it."""
    made = drafted({"DATABASE_URL": DATABASE_URL.replace("%40", code)})
    assert [reason for reason, _ in obstacles(made)] == ["import-form"]
    assert made.ready == ()


def test_one_value_in_two_secrets_and_a_short_one_are_told() -> None:
    """By their names."""
    made = drafted({"SMTP_PASSWORD": GOOD, "GRAFANA_ADMIN_PASSWORD": GOOD, "PROMETHEUS_ADMIN_PASSWORD": "hunter2"})
    assert not [one for one in made.findings if "keyturn plan" in one.remedy or "rotate" in one.remedy]
    assert warnings(made) == ["import-short", "import-shared"]
    assert "grafana.password and smtp.password are one and the same" in made.findings[-1].message
    assert obstacles(made) == []


def test_a_line_that_cannot_be_read_is_in_the_way_where_it_is_a_secret() -> None:
    """A name that leads to one, or looks like one; any other is told."""
    made = drafted({"SMTP_PASSWORD": "a\0b", "SESSION_TOKEN": "a\0b", "BANNER": "a\0b"})
    severities = [(one.reason, one.severity.value) for one in made.findings]
    assert severities == [("import-unread", "critical"), ("import-unread", "critical"), ("import-unread", "warning")]


def test_a_query_that_differs_is_told_and_taken() -> None:
    """Readers get what the manifest says."""
    made = drafted({"DATABASE_URL": DATABASE_URL.replace("verify-full", "require")})
    assert warnings(made) == ["import-doubt"]
    assert [one.secret for one in made.ready] == ["database"]


def test_a_variable_that_names_a_file_is_not_its_value() -> None:
    """Without --root it is a setting that says so."""
    made = drafted({"DATABASE_URL_FILE": "/run/secrets/database_url"})
    assert row(made, "DATABASE_URL_FILE").what == "setting"
    assert "--root" in row(made, "DATABASE_URL_FILE").note


def test_a_file_is_told_by_its_path_alone() -> None:
    """It has no lines."""
    made = drafted(files={"smtp_password": GOOD})
    assert row(made, "smtp_password").where == str(FILES / "smtp_password")
    assert made.ready[0].bundle["password"] == SecretValue(GOOD)
