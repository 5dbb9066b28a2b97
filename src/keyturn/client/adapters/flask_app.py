"""A Flask application whose key changes under it: `live_secret_key(app, secrets, "app-key")`.

Flask's own session interface reads key and fallbacks one after the other from the configuration, and in 3.1.0
it signs with the oldest (CVE-2025-47278). This one takes all keys of one version, at each use. What else reads the
configuration (Flask-WTF, Flask-Login) finds there what was in use when the request began.
"""

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer

from keyturn.client.app_key import AppKey, Keys
from keyturn.client.reader import Secrets


def live_secret_key(app: Flask, secrets: Secrets, name: str) -> None:
    """Have the application sign with the key in use and accept its fallbacks, now and after each change.

    Args:
        app: its session interface is replaced.
        secrets: the application's secrets.
        name: a secret with the fields `value` and, if there are any, `fallbacks`.

    Raises:
        NotFound: there is no such secret, or it has no value.
        Corrupt: its fallbacks cannot be read.
    """
    key = AppKey(secrets, name)
    app.session_interface = LiveSessions(key)
    configured = Configured(app, key)
    configured.follow()
    app.before_request(configured.follow)


class LiveSessions(SecureCookieSessionInterface):
    """Sessions in signed cookies, by the keys of one version."""

    def __init__(self, key: AppKey) -> None:
        self._key = key

    def signing_serializer(self, app: Flask) -> URLSafeTimedSerializer:  # noqa: ARG002 - Flask's signature
        """What signs and checks now. Raises Unavailable when the source could not be read for too long."""
        return URLSafeTimedSerializer(
            self._key.now().oldest_first(),
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs={"key_derivation": self.key_derivation, "digest_method": self.digest_method},
        )

    get_signing_serializer = signing_serializer
    """The name by which Flask calls it."""


class Configured:
    """The two settings, for what reads them. They are read one by one: so the fallbacks hold the key in use as well."""

    def __init__(self, app: Flask, key: AppKey) -> None:
        self._app = app
        self._key = key
        self._keys: Keys | None = None

    def follow(self) -> None:
        """Before each request: write them, if they changed."""
        keys = self._key.now()
        if keys is not self._keys:
            current, *accepted = keys.newest_first()
            self._app.config.update(SECRET_KEY=current, SECRET_KEY_FALLBACKS=[*accepted, current])
            self._keys = keys
