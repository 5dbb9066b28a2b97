"""`secrets_manager`, under the names of the guide's own class: an application moves by one import.

from keyturn.client.guide import secrets_manager

engine = create_engine(secrets_manager.get_database_url())

What the guide's class answers with None, or with an old setting, is an exception here. A text that
is kept goes stale with the next rotation: `secrets_manager.secrets` has what follows (docs/moving.md).
"""

import os
import threading

from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core.errors import NotFound
from keyturn.core.secret import SecretValue

_ONE_SECRET = "publish what belongs together of one secret"  # noqa: S105 - a remedy


class Guide:
    """The guide's methods over `Secrets`, which are opened by the first call. Thread-safe and fork-safe.

    An open that failed is tried again by the next call.
    """

    def __init__(self) -> None:
        self._secrets: Secrets | None = None
        self._opening = threading.Lock()
        os.register_at_fork(after_in_child=self._forked)

    @property
    def secrets(self) -> Secrets:
        """The secrets that all methods read: for handles, views, and pools that live through rotations.

        Raises:
            UsageError: the configuration cannot be used.
            AdapterError: a secret is missing, or the source cannot be read.
        """
        if self._secrets is None:
            with self._opening:
                self._secrets = self._secrets or Secrets.open()
        return self._secrets

    def get_secret(self, secret_name: str) -> str:
        """The text of a published name, of `secret.field`, or of a secret whose only field is `value`.

        Raises:
            NotFound: there is none of that name, or it is empty.
            Unavailable: the source could not be read for longer than `max_stale`.
            UsageError: the configuration cannot be used.
            AdapterError: a secret is missing, or the source cannot be read.
        """
        return _text(secret_name, self.secrets[secret_name].value)

    def get_database_url(self) -> str:
        """The text of `database-url`. Raises as `get_secret` does."""
        return self.get_secret("database-url")

    def get_redis_url(self) -> str:
        """The text of `redis-url`. Raises as `get_secret` does."""
        return self.get_secret("redis-url")

    def get_secret_key(self) -> str:
        """The text of `secret-key`. Raises as `get_secret` does."""
        return self.get_secret("secret-key")

    def get_jwt_keys(self) -> dict[str, str]:
        """`private_key` and `public_key`, both of one version. Raises as `get_secret` does."""
        view = self._view("jwt-private-key", "jwt-public-key")
        return {"private_key": _of(view, "jwt-private-key"), "public_key": _of(view, "jwt-public-key")}

    def get_ssl_certificates(self) -> dict[str, str]:
        """`certificate`, `private_key` and `ca_bundle`, all of one version. Raises as `get_secret` does.

        `ca_bundle` may be empty: the authorities that a client has are enough then.
        """
        view = self._view("ssl-certificate", "ssl-private-key", "ssl-ca-bundle")
        return {
            "certificate": _of(view, "ssl-certificate"),
            "private_key": _of(view, "ssl-private-key"),
            "ca_bundle": _of(view, "ssl-ca-bundle") if view["ssl-ca-bundle"] else "",
        }

    def _view(self, first: str, *others: str) -> View:
        """The version that all these names are published of."""
        view = self.secrets[first].view
        for name in (first, *others):
            if name not in view.published:
                raise NotFound(f"{view.secret} does not publish {name}", _ONE_SECRET)
        return view

    def _forked(self) -> None:
        self._opening = threading.Lock()


def _text(name: str, value: SecretValue) -> str:
    if not value:
        raise NotFound(f"{name} is empty", "give the secret a value: keyturn status")
    return value.reveal()


def _of(view: View, name: str) -> str:
    return _text(name, view[name])


secrets_manager = Guide()
