"""An application that secrets are delivered to, and the client file of its processes."""

import json
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from keyturn.client import Secrets, View
from keyturn.consumers.application import Application
from keyturn.core.consumer import Delivery, Instance
from keyturn.core.secret import Bundle, SecretValue


class Place:
    """Deliveries of `database` (fields username, password; view database-url) and `api-key` (value)."""

    def __init__(self, home: Path, *, reports: bool = True, max_stale: str = "30s") -> None:
        self.run = home / "run"
        status_dir = self.run / "status" if reports else None
        self.application = Application(
            name="clo-api",
            service="clo",
            environment="test",
            bundle_dir=self.run / "bundle",
            status_dir=status_dir,
            expect=1,
        )
        self.file = home / "keyturn.client.json"
        content = {
            "schema": "keyturn/client/1",
            "source": {"kind": "bundle-dir", "path": str(self.run / "bundle")},
            "status_dir": str(status_dir) if status_dir else None,
            "max_stale": max_stale,
            "secrets": ["database", "api-key"],
        }
        self.file.write_text(json.dumps(content))
        self.bundles: dict[str, Bundle] = {}
        self._fences = count(1)
        self.deliver("v1")
        self.application.deliver(Delivery("api-key", "k1", Bundle({"value": "key"}), 1))

    def deliver(self, version: str) -> None:
        """A version whose every part says which it is."""
        bundle = self.bundles.setdefault(
            version, Bundle({"username": f"user-{version}", "password": f"password-{version}"})
        )
        view = SecretValue(f"postgresql://{version}")
        self.application.deliver(Delivery("database", version, bundle, next(self._fences), {"database-url": view}))

    def open(self) -> Secrets:
        """The secrets as an application opens them."""
        return Secrets.open(self.file)

    def instances(self) -> tuple[Instance, ...]:
        """What Keyturn sees."""
        return self.application.observe("database", self.bundles).instances


def consistent(view: View) -> bool:
    """Whether all parts of `database` say that they are of its version."""
    said = {"username": "user-", "password": "password-", "database-url": "postgresql://"}
    return all(view[name] == SecretValue(text + view.version) for name, text in said.items())


def until(seen: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until it is so; fail when it never is."""
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.01)
