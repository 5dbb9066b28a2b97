"""A real Flask application whose key changes while its users are logged in."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from flask import Flask, current_app, session
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient

from keyturn.client import Secrets
from keyturn.client.adapters.flask_app import live_secret_key
from tests.unit.client.key_place import APP_KEYS, KeyPlace, app_key
from tests.unit.client.place import until

FIRST, SECOND, _ = APP_KEYS


@pytest.fixture
def place(tmp_path: Path) -> KeyPlace:
    """An application key in its first version."""
    return KeyPlace(tmp_path, "app-key", app_key(FIRST))


@pytest.fixture
def secrets(place: KeyPlace) -> Iterator[Secrets]:
    """Its secrets."""
    with place.open() as secrets:
        yield secrets


@pytest.fixture
def app(secrets: Secrets) -> Flask:
    """Logs in, says who is logged in, and does both for an extension that reads the configuration."""
    app = Flask("clo")
    live_secret_key(app, secrets, "app-key")

    @app.get("/login")
    def login() -> str:
        session["user"] = "user-1"
        return "in"

    @app.get("/user")
    def user() -> str:
        return str(session.get("user", "nobody"))

    @app.get("/configured")
    def configured() -> str:
        keys = (*current_app.config["SECRET_KEY_FALLBACKS"], current_app.secret_key)
        return " ".join(str(key).partition(" ")[0] for key in keys)

    return app


def taken(secrets: Secrets, place: KeyPlace, fields: Mapping[str, str]) -> None:
    """Deliver this and wait until reads give it."""
    version = place.deliver(fields)
    secrets.refresh()
    until(lambda: secrets.bundle("app-key").version == version)


def logged_in(app: Flask) -> FlaskClient:
    """A browser after its log-in."""
    client = app.test_client()
    assert client.get("/login").text == "in"
    return client


def user(client: FlaskClient) -> str:
    """Who is logged in."""
    return client.get("/user").text


def cookie(client: FlaskClient) -> str:
    """What the browser holds."""
    found = client.get_cookie("session")
    assert found is not None
    return found.value


def by(key: str, text: str) -> bool:
    """Whether Flask itself, with this one key, accepts that session."""
    other = Flask("other")
    other.secret_key = key
    client = other.test_client()

    @other.get("/user")
    def user() -> str:
        return str(session.get("user", "nobody"))

    client.set_cookie("session", text)
    return client.get("/user").text == "user-1"


def test_sessions_live_through_a_change_of_the_key(app: Flask, secrets: Secrets, place: KeyPlace) -> None:
    """Accept, use, drop: nobody is logged out before the key of the session is dropped."""
    old = logged_in(app)
    taken(secrets, place, app_key(FIRST, [SECOND]))
    assert by(FIRST, cookie(logged_in(app)))
    assert user(old) == "user-1"
    taken(secrets, place, app_key(SECOND, [FIRST]))
    young = logged_in(app)
    assert by(SECOND, cookie(young))
    assert [user(old), user(young)] == ["user-1", "user-1"]
    taken(secrets, place, app_key(SECOND))
    assert [user(old), user(young)] == ["nobody", "user-1"]


def test_a_process_that_is_behind_accepts_the_session_of_one_that_is_ahead(
    app: Flask, secrets: Secrets, place: KeyPlace
) -> None:
    """That is what the first of the three publications is for."""
    taken(secrets, place, app_key(FIRST, [SECOND]))
    ahead = Flask("ahead")
    ahead.secret_key = SECOND
    text = SecureCookieSessionInterface().get_signing_serializer(ahead)
    assert text is not None
    client = app.test_client()
    client.set_cookie("session", str(text.dumps({"user": "user-1"})))
    assert user(client) == "user-1"


def test_what_reads_the_configuration_finds_the_keys_of_the_request(
    app: Flask, secrets: Secrets, place: KeyPlace
) -> None:
    """Key and fallbacks are read one by one there, so the fallbacks hold the key in use as well."""
    client = app.test_client()
    assert client.get("/configured").text == "first first"
    taken(secrets, place, app_key(SECOND, [FIRST]))
    assert client.get("/configured").text == "first second second"
