"""A real Django site whose key changes while its users are logged in."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import django
import pytest
from django.conf import LazySettings, settings
from django.core import signing
from django.core.checks import run_checks
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.test.utils import override_settings
from django.urls import path

from keyturn.client import Secrets
from keyturn.client.adapters.django_settings import live_secret_key
from tests.unit.client.key_place import APP_KEYS, KeyPlace, app_key
from tests.unit.client.place import until

FIRST, SECOND, _ = APP_KEYS


def login(request: HttpRequest) -> HttpResponse:
    """Log the only user in."""
    from django.contrib.auth import login
    from django.contrib.auth.models import User

    login(request, User.objects.get())
    return HttpResponse("in")


def user(request: HttpRequest) -> HttpResponse:
    """Who is logged in."""
    return HttpResponse(request.user.get_username() or "nobody")


urlpatterns = [path("login", login), path("user", user)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> LazySettings:
    """Sessions in signed cookies; one user, in a database of its own."""
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path_factory.mktemp("site") / "db"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="of before",
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User

    User.objects.create_user("user-1", password="a password")
    return settings


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
def live(site: LazySettings, secrets: Secrets) -> Iterator[None]:
    """The two settings, set once."""
    assert site.SECRET_KEY == "of before"
    key, fallbacks = live_secret_key(secrets, "app-key")
    with override_settings(SECRET_KEY=key, SECRET_KEY_FALLBACKS=fallbacks):
        yield


def taken(secrets: Secrets, place: KeyPlace, fields: Mapping[str, str]) -> None:
    """Deliver this and wait until reads give it."""
    version = place.deliver(fields)
    secrets.refresh()
    until(lambda: secrets.bundle("app-key").version == version)


def logged_in() -> Client:
    """A browser after its log-in."""
    client = Client()
    assert client.get("/login").content == b"in"
    return client


def name(client: Client) -> str:
    """Who is logged in."""
    return str(client.get("/user").content.decode())


@pytest.mark.usefixtures("live")
def test_sessions_live_through_a_change_of_the_key(secrets: Secrets, place: KeyPlace) -> None:
    """Cookie and the hash in it, which both are made with the key: nobody is logged out before it is dropped."""
    old, idle = logged_in(), logged_in()
    taken(secrets, place, app_key(FIRST, [SECOND]))
    assert name(old) == "user-1"
    taken(secrets, place, app_key(SECOND, [FIRST]))
    young = logged_in()
    assert [name(old), name(young)] == ["user-1", "user-1"]
    taken(secrets, place, app_key(SECOND))
    assert [name(old), name(young), name(idle)] == ["user-1", "user-1", "nobody"]


@pytest.mark.usefixtures("live")
def test_signatures_are_made_with_the_key_in_use_and_accepted_by_the_others(secrets: Secrets, place: KeyPlace) -> None:
    """`django.core.signing`, and a signer that was made before the change."""
    kept = signing.TimestampSigner()
    old = kept.sign("old")
    taken(secrets, place, app_key(SECOND, [FIRST]))
    assert kept.unsign(old) == "old"
    assert signing.TimestampSigner(key=SECOND, fallback_keys=[]).unsign(kept.sign("young")) == "young"
    taken(secrets, place, app_key(SECOND))
    with pytest.raises(signing.BadSignature):
        kept.unsign(old)


@pytest.mark.usefixtures("live")
def test_a_link_to_reset_a_password_lives_through_a_change(secrets: Secrets, place: KeyPlace) -> None:
    """By the generator that Django makes when it is imported."""
    from django.contrib.auth.models import User
    from django.contrib.auth.tokens import default_token_generator

    someone = User.objects.get()
    token = default_token_generator.make_token(someone)
    taken(secrets, place, app_key(SECOND, [FIRST]))
    assert default_token_generator.check_token(someone, token)
    taken(secrets, place, app_key(SECOND))
    assert not default_token_generator.check_token(someone, token)


@pytest.mark.usefixtures("live")
def test_a_change_between_key_and_fallbacks_refuses_nothing(secrets: Secrets, place: KeyPlace) -> None:
    """A signer has the key of one version and the fallbacks of the next: between them stands the key of both."""
    taken(secrets, place, app_key(FIRST, [SECOND]))
    young = signing.Signer(key=SECOND, fallback_keys=[]).sign("young")
    key = str(settings.SECRET_KEY)
    taken(secrets, place, app_key(SECOND, [FIRST]))
    assert signing.Signer(key=key, fallback_keys=settings.SECRET_KEY_FALLBACKS).unsign(young) == "young"


@pytest.mark.usefixtures("live")
def test_the_checks_of_a_deployment_read_the_key(secrets: Secrets, place: KeyPlace) -> None:
    """Both settings pass where they are good, and are named where they are not."""
    found = {warning.id for warning in run_checks(include_deployment_checks=True)}
    assert not found & {"security.W009", "security.W025"}
    taken(secrets, place, app_key("short", ["django-insecure-" + FIRST]))
    found = {warning.id for warning in run_checks(include_deployment_checks=True)}
    assert found >= {"security.W009", "security.W025"}


@pytest.mark.usefixtures("live")
def test_the_two_settings_are_used_as_text_and_list(secrets: Secrets, place: KeyPlace) -> None:
    """By programs beside Django; what shows them to a person shows a mask."""
    taken(secrets, place, app_key(SECOND, [FIRST]))
    key, accepted = settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS
    assert key.encode() == SECOND.encode()
    assert len(key) == len(SECOND)
    assert "".join(key) == str(key)
    assert isinstance(accepted, list)
    assert (len(accepted), accepted[0] == FIRST, accepted[-1:] == [SECOND], FIRST in accepted) == (2, True, True, True)
    assert "application key" not in f"{key!r} {accepted!r}"
