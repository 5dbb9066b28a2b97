"""An application with one Redis password, that it is delivered."""

import json
import secrets as random
from itertools import count
from pathlib import Path

from keyturn.consumers.application import Application
from keyturn.core.compose import compose
from keyturn.core.consumer import Delivery
from keyturn.core.secret import Bundle
from keyturn.testing.redis_server import USER, RedisServer

TEMPLATE = "redis://{username}:{password}@{host}:{port}/{db}"


class Place:
    """An application with one Redis password, and its deliveries."""

    def __init__(self, home: Path, server: RedisServer) -> None:
        self.server = server
        self.port = server.port
        self.db = "0"
        self.bundles: dict[str, Bundle] = {}
        run = home / "run"
        self.application = Application(
            name="clo-api",
            service="clo",
            environment="test",
            bundle_dir=run / "bundle",
            status_dir=run / "status",
            expect=1,
        )
        self.client_file = home / "keyturn.client.json"
        content = {
            "schema": "keyturn/client/1",
            "source": {"kind": "bundle-dir", "path": str(run / "bundle")},
            "status_dir": str(run / "status"),
            "max_stale": "30s",
            "secrets": ["redis"],
        }
        self.client_file.write_text(json.dumps(content))
        self._fences = count(1)

    def deliver(self, version: str) -> None:
        """Deliver that version, which is made when it is new."""
        bundle = self.bundles.setdefault(version, Bundle({"username": USER, "password": random.token_urlsafe(24)}))
        places = {"host": "127.0.0.1", "port": str(self.port), "db": self.db}
        published = {"redis-url": compose(TEMPLATE, bundle, places)}
        self.application.deliver(Delivery("redis", version, bundle, next(self._fences), published))

    def allow(self, *versions: str) -> None:
        """Let the server take the passwords of these versions."""
        for version in versions:
            self.bundles.setdefault(version, Bundle({"username": USER, "password": random.token_urlsafe(24)}))
        self.server.passwords(*(self.bundles[version]["password"] for version in versions))

    @property
    def oldest(self) -> str | None:
        """What the one instance says is its oldest version in use."""
        (instance,) = self.application.observe("redis", self.bundles).instances
        return instance.oldest

    @property
    def rejection(self) -> tuple[str, str] | None:
        """What the one instance says it rejected, and why."""
        (instance,) = self.application.observe("redis", self.bundles).instances
        return (instance.rejection.version, instance.rejection.reason) if instance.rejection else None
