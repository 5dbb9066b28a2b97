"""A rolling restart of real containers behind a real nginx, under load, and what it costs.

    python -m keyturn.testing.rolling_restart [--replicas 4] [--pause 11] [--fail-timeout SECONDS] [--users 8]

Each replica reads its secret at its start and never again. One version is delivered, then another one; the load goes on
from before that until a while after the last replica is back. The last line: `requests=N failed=N moved=N seconds=N`.
Without `--fail-timeout` nginx's own defaults hold (10 s, one failure).
"""

import argparse
import contextlib
import http.client
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keyturn.consumers.rolling import Rolling
from keyturn.consumers.rolling.declared import compose
from keyturn.core.clock import SystemClock
from keyturn.core.consumer import Delivery
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.compose import Options
from keyturn.manifest.surroundings import Surroundings
from keyturn.testing import replica_process
from keyturn.testing.docker_engine import PROJECT, DockerEngine
from keyturn.testing.nginx_server import NginxServer
from keyturn.testing.watcher import free_port

SECRET = "database"  # noqa: S105 - the name of one
AFTER = 1.0
LIMIT = 300.0
_OK = 200
_NO_BUNDLES: dict[str, Bundle] = {}


@dataclass(slots=True)
class Count:
    """What came of the requests, and from which version the answers were."""

    requests: int = 0
    failed: int = 0
    moved: int = 0
    seconds: float = 0.0

    def line(self) -> str:
        """For scripts."""
        return f"requests={self.requests} failed={self.failed} moved={self.moved} seconds={self.seconds:.0f}"


class Fleet:
    """Containers of one service, each with a port of its own, and the consumer that a manifest declares for them."""

    def __init__(self, engine: DockerEngine, home: Path, replicas: int, *, preparing: float = 0.0) -> None:
        self.engine = engine
        self.home = home
        self.ports = [free_port() for _ in range(replicas)]
        self._preparing = preparing
        (home / "compose.yaml").write_text(
            f"name: {PROJECT}\nservices:\n  api:\n    image: empty\n    deploy: {{replicas: {replicas}}}\n"
        )

    def consumer(self, pause: float, ready_within: float = 60.0) -> Rolling:
        """As the manifest's table makes it."""
        table = {
            "kind": "compose",
            "file": str(self.home / "compose.yaml"),
            "service": "api",
            "engine": list(self.engine.argv),
            "bundle_dir": str(self.home / "run" / "bundle"),
            "proof": "claimed",
            "pause": f"{round(pause * 1000)}ms",
            "ready_within": f"{round(ready_within * 1000)}ms",
        }
        clock = SystemClock()
        around = Surroundings("api", "clo", "test", self.home, self.home / "key", _NO_BUNDLES.__getitem__, clock)
        return compose(Options.model_validate(table), around)

    def start(self) -> None:
        """Start them all, and wait until they are ready."""
        for number, port in enumerate(self.ports, 1):
            ready = self.home / f"ready-{number}"
            program = Path(replica_process.__file__)
            command = (sys.executable, program, port, self.home / "run" / "bundle" / f"{SECRET}.password", ready)
            self.engine.start(
                "api",
                number,
                [*map(str, command), str(self._preparing)],
                mounts={self.home: True},
                health=f"test ! -e {self.sick(number)} && bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'",
            )

    def sick(self, number: int) -> Path:
        """While this file is there, the health check of that replica fails."""
        return self.home / f"sick-{number}"

    def content(self, number: int) -> str:
        """What that one has read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[number - 1], timeout=5.0)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            return connection.getresponse().read().decode()


def settle(rolling: Rolling) -> None:
    """Wait until all are there and ready."""
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        seen = rolling.observe(SECRET, {})
        if seen.complete and all(one.oldest is not None for one in seen.instances):
            return
        time.sleep(0.05)
    raise TimeoutError("the replicas are not ready")


def roll_all(rolling: Rolling, version: str) -> None:
    """Roll as a settle does, until each of them runs on that version."""
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        rolling.roll(SECRET)
        seen = rolling.observe(SECRET, {})
        if seen.complete and all(one.runs_on(version) for one in seen.instances):
            return
        time.sleep(0.05)
    raise TimeoutError("not all have moved")


@contextlib.contextmanager
def load(port: int, users: int, count: Count) -> Iterator[None]:
    """Users that ask without a rest; each answer but 200 is a failure."""
    ending, lock = threading.Event(), threading.Lock()

    def user() -> None:
        while not ending.wait(0.005):
            fine = _asked(port)
            with lock:
                count.requests += 1
                count.failed += not fine

    threads = [threading.Thread(target=user) for _ in range(users)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()
        count.seconds = time.monotonic() - started


def _asked(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == _OK
        except (OSError, http.client.HTTPException):
            return False


def rolling_restart(  # noqa: PLR0913 - what it is about, all by name
    engine: DockerEngine, home: Path, *, replicas: int, pause: float, options: str, users: int, preparing: float = 0.0
) -> Count:
    """One version, then another one, under load. What it cost."""
    fleet, count = Fleet(engine, home, replicas, preparing=preparing), Count()
    rolling = fleet.consumer(pause)
    rolling.deliver(Delivery(SECRET, "v1", Bundle({"password": "first"}), 1))
    fleet.start()
    settle(rolling)
    with NginxServer(fleet.ports, options, workers=1, tls=False) as nginx, load(nginx.port, users, count):
        rolling.deliver(Delivery(SECRET, "v2", Bundle({"password": "second"}), 2))
        roll_all(rolling, "v2")
        time.sleep(AFTER)
    count.moved = sum(fleet.content(number) == "second" for number in range(1, replicas + 1))
    return count


def main() -> int:
    """Run it, print the line; 1 when a request failed."""
    parser = argparse.ArgumentParser(prog="python -m keyturn.testing.rolling_restart")
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--pause", type=float, default=11.0)
    parser.add_argument("--fail-timeout", type=int)
    parser.add_argument("--users", type=int, default=8)
    asked = parser.parse_args()
    options = "" if asked.fail_timeout is None else f"fail_timeout={asked.fail_timeout}s"
    with DockerEngine() as engine, tempfile.TemporaryDirectory(prefix="keyturn-rolling-") as home:
        count = rolling_restart(
            engine, Path(home), replicas=asked.replicas, pause=asked.pause, options=options, users=asked.users
        )
    print(count.line())  # noqa: T201 - a program that prints
    return 1 if count.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
