"""The secrets of the guide as an application finds them."""

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from keyturn.consumers.application import Application
from keyturn.core.consumer import Delivery
from keyturn.core.secret import Bundle, SecretValue


class GuidePlace:
    """Deliveries of all that the guide's class reads; each value says which version it is of.

    Args:
        home: an empty directory.
        apart: the two halves of the signing key are two secrets.
    """

    def __init__(self, home: Path, *, apart: bool = False) -> None:
        run = home / "run"
        self.status_dir = run / "status"
        self.application = Application(
            name="clo-api",
            service="clo",
            environment="test",
            bundle_dir=run / "bundle",
            status_dir=self.status_dir,
            expect=1,
        )
        self._apart = apart
        self._fences = count(1)
        self.deliver("v1")
        content = {
            "schema": "keyturn/client/1",
            "source": {"kind": "bundle-dir", "path": str(run / "bundle")},
            "status_dir": str(self.status_dir),
            "secrets": sorted(self._contents("v1", "")),
        }
        self.file = home / "keyturn.client.json"
        self.file.write_text(json.dumps(content))

    def deliver(self, version: str, *, key: str | None = None) -> None:
        """All secrets in this version; `key` is the application's own key, if another one."""
        for secret, views in self._contents(version, f"key-{version}" if key is None else key).items():
            published = {name: SecretValue(text) for name, text in views.items()}
            bundle = Bundle({name.replace("-", "_"): text for name, text in views.items()})
            self.application.deliver(Delivery(secret, version, bundle, next(self._fences), published))

    def max_stale(self, bound: str) -> None:
        """Reads fail after so long without a look."""
        self.file.write_text(json.dumps({**json.loads(self.file.read_text()), "max_stale": bound}))

    def vanish(self) -> None:
        """What was delivered is not there any more."""
        (self.status_dir.parent / "bundle").rename(self.status_dir.parent / "elsewhere")

    def _contents(self, version: str, key: str) -> Mapping[str, Mapping[str, str]]:
        private, public = {"jwt-private-key": f"private_key-{version}"}, {"jwt-public-key": f"public_key-{version}"}
        jwt = {"jwt": private, "jwt-two": public} if self._apart else {"jwt": {**private, **public}}
        certificate = {"ssl-certificate": f"certificate-{version}", "ssl-private-key": f"private_key-{version}"}
        return {
            "app-key": {"secret-key": key},
            "database": {"database-url": f"postgresql://{version}"},
            "redis": {"redis-url": f"redis://{version}"},
            "smtp": {"smtp-password": f"mail-{version}"},
            "tls": {**certificate, "ssl-ca-bundle": ""},
            **jwt,
        }
