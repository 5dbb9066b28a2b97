"""Settings of pydantic-settings: what comes from Keyturn, what is an error, what is known as in use."""

import gc
import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import AliasChoices, BaseModel, Field, SecretBytes, SecretStr, ValidationError, create_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from keyturn.client import Handle, Secrets
from keyturn.client.adapters.pydantic_settings import KeyturnSettingsSource, LiveHandle
from keyturn.core.errors import NotFound, Unavailable, UsageError
from keyturn.core.secret import MASK, SecretValue
from tests.unit.client.place import Place, until

SHOWN = "SecretStr('**********')"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An application with v1 delivered."""
    return Place(tmp_path)


@pytest.fixture
def secrets(place: Place) -> Iterator[Secrets]:
    """Its secrets, open."""
    with place.open() as opened:
        yield opened


def settings(secrets: Secrets, fields: dict[str, Any], *, env_first: bool = False, **options: Any) -> Any:
    """A settings class with these fields, each as (type, default), whose source takes these options."""

    class Sourced(BaseSettings):
        model_config = SettingsConfigDict(env_nested_delimiter="__", env_prefix="CLO_")

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - their signature
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - their signature
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            ours = KeyturnSettingsSource(settings_cls, secrets, **options)
            return (init_settings, env_settings, ours) if env_first else (init_settings, ours, env_settings)

    return create_model("Settings", __base__=Sourced, **fields)


class Database(BaseModel):
    """The bundle `database`, and something that is no secret."""

    username: str
    password: SecretStr
    database_url: LiveHandle
    pool_size: int = 5


class Application(BaseSettings):
    """As an application writes it, for the type checker."""

    database_url: LiveHandle
    api_key: SecretStr
    level: str = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - their signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - their signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keyturn before the environment."""
        return init_settings, KeyturnSettingsSource(settings_cls, _opened[-1]), env_settings


_opened: list[Secrets] = []


def oldest(place: Place) -> str | None:
    """The oldest version of `database` that this process says it uses."""
    return place.instances()[0].oldest


def test_a_handle_in_settings_follows_and_a_text_does_not(place: Place, secrets: Secrets) -> None:
    """The same object gives the new version where it is a handle, and the old one where it is a text."""
    _opened[:] = [secrets]
    made = Application.model_validate({})
    text: SecretStr = made.api_key
    handle: Handle = made.database_url
    place.deliver("v2")
    secrets.refresh()
    assert (handle.version, text.get_secret_value(), made.level) == ("v2", "key", "info")


def test_nothing_that_is_made_shows_a_value(secrets: Secrets) -> None:
    """Not as text, not as JSON, not as a schema."""
    fields = {"database_url": (LiveHandle, ...), "api_key": (SecretStr, ...), "raw": (SecretBytes, ...)}
    made = settings(secrets, fields, names={"raw": "database.password"})()
    assert made.raw.get_secret_value() == b"password-v1"
    assert repr(made) == f"Settings(database_url=Handle(database-url), api_key={SHOWN}, raw=SecretBytes(b'**********'))"
    assert json.loads(made.model_dump_json()) == {"database_url": MASK, "api_key": "**********", "raw": "**********"}
    assert made.model_json_schema()["properties"]["database_url"]["writeOnly"] is True


@pytest.mark.parametrize(
    "field",
    [
        Field(alias="DATABASE_URL"),
        Field(validation_alias=AliasChoices("DB_URL", "database-url")),
        Field(validation_alias="database.password"),
    ],
)
def test_an_alias_is_a_name(secrets: Secrets, field: Any) -> None:
    """As a variable is spelled, as one of several, or with the field of a secret; no prefix is put before it."""
    made = settings(secrets, {"url": (SecretStr, field)})()
    assert made.url.get_secret_value() in {"postgresql://v1", "password-v1"}


def test_a_model_is_a_bundle(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fields and published names; what is no secret is given by the next source."""
    monkeypatch.setenv("CLO_DATABASE__POOL_SIZE", "9")
    monkeypatch.setenv("CLO_DATABASE__PASSWORD", "of-the-environment")
    made = settings(secrets, {"database": (Database, ...)})().database
    assert (made.username, made.password.get_secret_value(), made.pool_size) == ("user-v1", "password-v1", 9)
    assert made.database_url.view[made.database_url.name] == SecretValue("postgresql://v1")


class Meanwhile(dict[str, object]):
    """What an earlier source gave of a model: nothing, and while it is asked for the password a rotation goes by."""

    def __init__(self, rotate: Callable[[], None]) -> None:
        super().__init__()
        self._rotations = [rotate]

    def __contains__(self, key: object) -> bool:
        if key == "password" and self._rotations:
            self._rotations.pop()()
        return False


def test_all_that_is_made_is_of_one_version(place: Place, secrets: Secrets) -> None:
    """Of the new one, if one came before what is kept was known as in use."""

    def rotate() -> None:
        place.deliver("v2")
        until(lambda: secrets["database-url"].version == "v2")

    fields = {"database": (Database, ...), "url": (SecretStr, Field(alias="database-url"))}
    made = settings(secrets, fields)(database=Meanwhile(rotate))
    texts = (made.database.password.get_secret_value(), made.url.get_secret_value())
    assert (made.database.username, *texts) == ("user-v2", "password-v2", "postgresql://v2")


@pytest.mark.parametrize(
    ("fields", "options", "said"),
    [
        ({"token": (SecretStr, ...)}, {}, "Settings.token: this application has no 'token'"),
        ({"token": (SecretStr, "changeme")}, {}, "Settings.token: this application has no 'token'"),
        ({"token": (LiveHandle, ...)}, {}, "Settings.token: this application has no 'token'"),
        ({"url": (str, "x")}, {"names": {"url": "tokens"}}, "Settings.url: this application has no 'tokens'"),
        ({"database": (SecretStr, None)}, {}, "the secret 'database' has several fields"),
        ({"mail": (Database, ...)}, {}, "Settings.mail.password: this application has no value of that name"),
        (
            {"mail": (Database, ...)},
            {"names": {"mail": "mail"}},
            "Settings.mail: this application uses no secret 'mail'",
        ),
    ],
)
def test_what_is_missing_is_an_error_with_its_name(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch, fields: Any, options: Any, said: str
) -> None:
    """No default, and no variable of before, takes its place."""
    monkeypatch.setenv("CLO_TOKEN", "of-the-environment")
    with pytest.raises(NotFound) as raised:
        settings(secrets, fields, **options)()
    assert raised.value.message == said


class Tree(BaseModel):
    """A model without a secret, in itself."""

    name: str = "leaf"
    child: "Tree | None" = None


def test_none_may_stand_for_what_is_not_declared(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that says that it may be None is, whatever the environment has; a model with such a field, too."""
    for name in ("HANDLE", "TEXT", "MAIL__PASSWORD", "MAIL__USERNAME"):
        monkeypatch.setenv(f"CLO_{name}", "of-the-environment")
    fields = {"handle": (LiveHandle | None, None), "text": (SecretStr | None, None), "mail": (Database | None, None)}
    made = settings(secrets, fields)()
    assert (made.handle, made.text, made.mail) == (None, None, None)


def test_other_sources_give_the_rest(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no secret, though a secret has its name, and what they are asked for by `elsewhere`."""
    for name in ("TOKEN", "TREE__CHILD__NAME"):
        monkeypatch.setenv(f"CLO_{name}", "of-the-environment")
    fields = {"token": (SecretStr, ...), "database": (str, "clo"), "tree": (Tree | None, None)}
    made = settings(secrets, fields, elsewhere=["token"])()
    assert (made.database, made.tree.child.name) == ("clo", "of-the-environment")
    assert made.token.get_secret_value() == "of-the-environment"


def test_a_source_before_this_one_is_not_written_over(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever alias it used; and what it gave need not be declared."""
    monkeypatch.setenv("DB_URL", "of-the-environment")
    fields = {
        "url": (SecretStr, Field(validation_alias=AliasChoices("database-url", "DB_URL"))),
        "token": (SecretStr, ...),
    }
    made = settings(secrets, fields, env_first=True)(token="given")
    assert (made.url.get_secret_value(), made.token.get_secret_value()) == ("of-the-environment", "given")
    monkeypatch.setenv("DB_URL", "of-the-environment")
    assert settings(secrets, fields)(token="given").url.get_secret_value() == "postgresql://v1"


@pytest.mark.parametrize("kind", [str, bytes, str | None, Annotated[str, Field(min_length=3)]])
def test_a_field_that_would_show_a_secret_is_refused(secrets: Secrets, kind: Any) -> None:
    """A settings object is printed, and so is what it says about wrong values."""
    with pytest.raises(UsageError, match="database_url would show a secret"):
        settings(secrets, {"database_url": (kind, ...)})()


@pytest.mark.parametrize("options", [{"names": {"urls": "x"}}, {"elsewhere": ["url.deep"]}])
def test_an_option_for_a_field_that_is_not_there_is_refused(secrets: Secrets, options: Any) -> None:
    """It would have no effect, and nobody would notice."""
    with pytest.raises(UsageError, match="Settings has no field"):
        settings(secrets, {"url": (SecretStr | None, None)}, **options)()


def test_a_value_that_will_not_do_is_not_shown(secrets: Secrets) -> None:
    """Neither it nor its neighbours, in the error of a field."""
    fields = {
        "database_url": (Annotated[SecretStr, Field(min_length=99)], ...),
        "api_key": (SecretStr, ...),
        "port": (int, ...),
    }
    with pytest.raises(ValidationError) as raised:
        settings(secrets, fields)()
    for value in ("postgresql", "'key'"):
        assert value not in str(raised.value) + repr(raised.value.errors())


def test_a_source_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Not None, not a default."""
    place = Place(tmp_path, max_stale="100ms")
    with place.open() as opened:
        (place.run / "bundle").rename(place.run / "elsewhere")
        until(lambda: opened.is_stale("database"))
        until(lambda: unavailable(opened))


def unavailable(secrets: Secrets) -> bool:
    """Whether no settings can be made any more."""
    try:
        settings(secrets, {"api_key": (SecretStr | None, None)})()
    except Unavailable:
        return True
    return False


def test_a_text_that_is_kept_holds_the_old_version_in_use(place: Place, secrets: Secrets) -> None:
    """Until every settings object that has it is gone: no rotation ends what somebody would still log in with."""
    kind = settings(secrets, {"url": (SecretStr, Field(alias="database-url"))})
    first, second = kind(), kind()
    until(lambda: oldest(place) == "v1")
    place.deliver("v2")
    until(lambda: place.instances()[0].newest == "v2" and secrets["database-url"].version == "v2")
    third = kind()
    for _ in range(3):
        secrets.refresh()
    assert (first.url.get_secret_value(), third.url.get_secret_value(), oldest(place)) == (
        "postgresql://v1",
        "postgresql://v2",
        "v1",
    )
    del first
    gc.collect()
    secrets.refresh()
    assert oldest(place) == "v1"
    del second
    until(lambda: gc.collect() >= 0 and oldest(place) == "v2")


@pytest.mark.parametrize("kind", [SecretStr, SecretBytes])
def test_a_copy_of_settings_holds_the_old_version_in_use(place: Place, secrets: Secrets, kind: type) -> None:
    """However deep it is: it has the text that is known, which behaves like any other one of its kind."""
    made = settings(secrets, {"url": (kind, Field(alias="database-url"))})()
    until(lambda: oldest(place) == "v1")
    copied = made.model_copy(deep=True)
    plain = kind("postgresql://v1" if kind is SecretStr else b"postgresql://v1")
    assert copied.url == plain == pickle.loads(pickle.dumps(copied.url))  # noqa: S301 - our own bytes
    assert (repr(copied.url), hash(copied.url), copied.url != kind(plain.get_secret_value() * 2)) == (
        repr(plain),
        hash(plain),
        True,
    )
    place.deliver("v2")
    until(lambda: place.instances()[0].newest == "v2" and secrets["database-url"].version == "v2")
    del made
    gc.collect()
    for _ in range(3):
        secrets.refresh()
    assert oldest(place) == "v1"
    del copied
    until(lambda: gc.collect() >= 0 and oldest(place) == "v2")


def test_a_handle_that_is_kept_holds_nothing(place: Place, secrets: Secrets) -> None:
    """It follows, so the process is on the new version at once."""
    made = settings(secrets, {"url": (LiveHandle, Field(alias="database-url"))})()
    place.deliver("v2")
    until(lambda: oldest(place) == "v2")
    assert made.url.version == "v2"


def test_a_child_reports_what_its_parent_kept(place: Place, secrets: Secrets) -> None:
    """It has the same text, so it is a holdout as well, until it drops it."""
    made = [settings(secrets, {"url": (SecretStr, Field(alias="database-url"))})()]
    until(lambda: oldest(place) == "v1")
    dropped, drop = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(drop)
        os.read(dropped, 1)
        made.clear()
        gc.collect()
        os.read(dropped, 1)
        os._exit(0)
    os.close(dropped)

    def of_child() -> list[str | None]:
        return [one.oldest for one in place.instances() if f"-{child}-" in one.id and one.newest == "v2"]

    try:
        place.deliver("v2")
        until(lambda: of_child() == ["v1"])
        os.write(drop, b"1")
        until(lambda: of_child() == ["v2"])
        assert len(made) == 1
    finally:
        os.close(drop)
        os.waitpid(child, 0)


def test_one_field_can_be_asked_for(secrets: Secrets) -> None:
    """As pydantic-settings has it: what it gets, under which key, and that it is no JSON."""
    kind = settings(secrets, {"url": (SecretStr, Field(alias="database-url"))})
    found, key, is_json = KeyturnSettingsSource(kind, secrets).get_field_value(kind.model_fields["url"], "url")
    assert (found.get_secret_value(), key, is_json) == ("postgresql://v1", "database-url", False)
