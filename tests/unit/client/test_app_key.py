"""An application's own key with its fallbacks, for itsdangerous and for what else takes several keys."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from itsdangerous import BadSignature, URLSafeTimedSerializer

from keyturn.client import Secrets
from keyturn.client.app_key import AppKey, keys_of
from keyturn.client.made import Made
from keyturn.client.view import View
from keyturn.core.errors import Corrupt, NotFound
from keyturn.core.secret import Bundle, SecretValue
from keyturn.manifest.kinds.app_key import Options
from keyturn.rotators.app_key.key import minted
from tests.unit.client.key_place import APP_KEYS, KeyPlace, app_key
from tests.unit.client.place import until

FIRST, SECOND, THIRD = APP_KEYS


@pytest.fixture
def place(tmp_path: Path) -> KeyPlace:
    """An application key in its first version."""
    return KeyPlace(tmp_path, "app-key", app_key(FIRST))


@pytest.fixture
def secrets(place: KeyPlace) -> Iterator[Secrets]:
    """Its secrets."""
    with place.open() as secrets:
        yield secrets


def taken(secrets: Secrets, place: KeyPlace, fields: Mapping[str, str]) -> None:
    """Deliver this and wait until reads give it."""
    version = place.deliver(fields)
    secrets.refresh()
    until(lambda: secrets.bundle("app-key").version == version)


def test_itsdangerous_signs_with_the_key_in_use_and_accepts_the_others(place: KeyPlace, secrets: Secrets) -> None:
    """Accept, use, drop: what the former key signed is accepted until it is dropped."""
    key = AppKey(secrets, "app-key")

    def serializer() -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(key.now().oldest_first(), salt="invitation")

    old = serializer().dumps("old")
    taken(secrets, place, app_key(FIRST, [SECOND]))
    next_one = URLSafeTimedSerializer(SECOND, salt="invitation").dumps("of a process that went ahead")
    assert serializer().loads(next_one) == "of a process that went ahead"
    URLSafeTimedSerializer(FIRST, salt="invitation").loads(serializer().dumps("still by the first"))
    taken(secrets, place, app_key(SECOND, [FIRST]))
    young = serializer().dumps("young")
    URLSafeTimedSerializer(SECOND, salt="invitation").loads(young)
    assert [serializer().loads(text) for text in (old, young)] == ["old", "young"]
    taken(secrets, place, app_key(SECOND))
    assert serializer().loads(young) == "young"
    with pytest.raises(BadSignature):
        serializer().loads(old)


def test_a_serializer_can_be_made_once_for_each_version(place: KeyPlace, secrets: Secrets) -> None:
    """Where making one at each use is too much."""
    live = Made(secrets, "app-key", lambda view: URLSafeTimedSerializer(keys_of(view).oldest_first()))
    before = live.now()
    assert live.now() is before
    taken(secrets, place, app_key(SECOND, [FIRST]))
    assert live.now().loads(before.dumps("old")) == "old"


def test_multi_fernet_encrypts_with_the_key_in_use_and_reads_what_the_others_wrote(tmp_path: Path) -> None:
    """It takes the keys the other way round: the first one makes."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    place = KeyPlace(tmp_path, "app-key", app_key(old))
    with place.open() as secrets:
        key = AppKey(secrets, "app-key")

        def fernet() -> MultiFernet:
            return MultiFernet([Fernet(text) for text in key.now().newest_first()])

        written = fernet().encrypt(b"old")
        taken(secrets, place, app_key(new, [old]))
        assert fernet().decrypt(written) == b"old"
        assert Fernet(new).decrypt(fernet().encrypt(b"young")) == b"young"
        taken(secrets, place, app_key(new))
        with pytest.raises(InvalidToken):
            fernet().decrypt(written)


def test_all_keys_are_of_one_version(place: KeyPlace, secrets: Secrets) -> None:
    """What was asked for stays what it was; the next call gives the next version."""
    key = AppKey(secrets, "app-key")
    before = key.now()
    taken(secrets, place, app_key(SECOND, [FIRST]))
    assert (before.version, before.fallbacks) == ("v1", ())
    after = key.now()
    assert (after.version, after.fallbacks) == ("v2", (SecretValue(FIRST),))


def test_a_version_with_fallbacks_that_cannot_be_read_is_not_used(place: KeyPlace, secrets: Secrets) -> None:
    """Taken as no fallbacks, it would log everybody out."""
    key = AppKey(secrets, "app-key")
    place.deliver({"value": SECOND, "fallbacks": FIRST})
    secrets.refresh()
    until(lambda: secrets["app-key.value"].stale)
    assert key.now().version == "v1"
    key.close()


def test_a_fallback_that_cannot_be_read_is_an_error_without_a_key_in_it() -> None:
    """Neither in words nor behind them."""
    with pytest.raises(Corrupt, match="the fallbacks of app-key are not a JSON list") as caught:
        keys_of(View("app-key", "v1", Bundle({"value": SECOND, "fallbacks": FIRST})))
    assert FIRST not in str(caught.value)


@pytest.mark.parametrize("fields", [{"value": ""}, {"secret_key": FIRST}])
def test_a_secret_without_a_value_is_no_key(fields: Mapping[str, str]) -> None:
    """An empty key would sign, and everybody could sign like it."""
    with pytest.raises(NotFound, match="has no value to make with"):
        keys_of(View("app-key", "v1", Bundle(fields)))


def test_a_manual_secret_of_one_value_has_no_fallbacks() -> None:
    """The kind `manual` with its only field."""
    assert keys_of(View("app-key", "v1", Bundle({"value": FIRST}))).fallbacks == ()


def test_the_key_in_use_stands_among_its_fallbacks_only_once() -> None:
    """A list that names it anyway changes nothing."""
    keys = keys_of(View("app-key", "v1", Bundle(app_key(FIRST, [FIRST, SECOND]))))
    assert keys.fallbacks == (SecretValue(SECOND),)
    assert SecretValue("|".join(keys.oldest_first())) == SecretValue(f"{SECOND}|{FIRST}")


def test_what_provision_makes_is_what_applications_read() -> None:
    """A first version of the kind `app-key`."""
    table = {"kind": "app-key", "owner": "a@example.com", "purpose": "sessions", "store": "main"}
    options = Options.model_validate({**table, "target": {"longest_life": "14d"}})
    assert keys_of(View("app-key", "v1", minted(options))).fallbacks == ()


def test_no_key_shows_itself() -> None:
    """In a repr, which lands in logs and tracebacks."""
    assert "application key" not in repr(keys_of(View("app-key", "v1", Bundle(app_key(FIRST, [SECOND])))))
    assert THIRD not in repr(Bundle(app_key(THIRD)))
