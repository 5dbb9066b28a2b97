"""Processes in containers that report: whoever runs them says which of them are gone."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from keyturn.cli.gather_containers import mounted
from keyturn.consumers.rolling import Rolling
from keyturn.consumers.rolling.declared import compose
from keyturn.core.clock import SystemClock
from keyturn.core.consumer import Delivery, Grade, Observation
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.compose import Options
from keyturn.manifest.surroundings import Surroundings
from keyturn.testing.docker_engine import DockerEngine

SECRET = "database"
BUNDLES = {"v1": Bundle({"password": "first"}), "v2": Bundle({"password": "second"})}
APPLICATION = """
import signal, sys
from keyturn.client import Secrets
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
secrets = Secrets.open(sys.argv[1])
while True:
    signal.pause()
"""


class Fleet:
    """Two containers with one process each, which uses keyturn.client."""

    def __init__(self, engine: DockerEngine, home: Path) -> None:
        self.engine = engine
        self.bundle_dir, self.status_dir = home / "run" / "bundle", home / "status"
        file = home / "compose.yaml"
        file.write_text("name: clo\nservices:\n  api:\n    image: x\n    deploy: {replicas: 2}\n")
        client = home / "keyturn.client.json"
        source = {"kind": "bundle-dir", "path": str(self.bundle_dir)}
        said = {"schema": "keyturn/client/1", "source": source, "status_dir": str(self.status_dir), "max_stale": "30s"}
        client.write_text(json.dumps({**said, "secrets": [SECRET]}))
        table = {
            "kind": "compose",
            "file": str(file),
            "service": "api",
            "engine": list(engine.argv),
            "bundle_dir": str(self.bundle_dir),
            "status_dir": str(self.status_dir),
            "action": "none",
        }
        around = Surroundings("api", "clo", "test", home, home / "key", BUNDLES.__getitem__, SystemClock())
        self.rolling: Rolling = compose(Options.model_validate(table), around)
        self.deliver("v1", 1)
        for number in (1, 2):
            engine.start("api", number, [sys.executable, "-c", APPLICATION, str(client)], mounts={home: True})

    def deliver(self, version: str, fence: int) -> None:
        """Put it where they read."""
        self.rolling.deliver(Delivery(SECRET, version, BUNDLES[version], fence))

    def seen(self) -> Observation:
        """What is known of them."""
        return self.rolling.observe(SECRET, BUNDLES)

    def until(self, fact: Callable[[Observation], bool]) -> Observation:
        """Look until it is so."""
        end = time.monotonic() + 30.0
        while not fact(seen := self.seen()):
            assert time.monotonic() < end, seen
        return seen


def on(version: str) -> Callable[[Observation], bool]:
    """Whether both are shown to run on it."""

    def fact(seen: Observation) -> bool:
        holding = [one for one in seen.instances if one.runs_on(version) and one.grade is Grade.HOLDS]
        return seen.complete and len(holding) == len(seen.instances) == 2

    return fact


def test_each_container_is_counted_by_the_reports_of_its_processes(engine: DockerEngine, tmp_path: Path) -> None:
    """All report with proof, and move by themselves; one that is killed is gone at once, its container a holdout."""
    fleet = Fleet(engine, tmp_path)
    assert fleet.until(on("v1")).expected == 2
    fleet.deliver("v2", 2)
    before = fleet.until(on("v2"))
    engine.run("container", "kill", "--signal=KILL", "clo-api-1")
    seen = fleet.until(lambda one: not one.complete)
    gone, mute = {one.id for one in before.instances} - {one.id for one in seen.instances}, seen.instances[-1]
    assert len(gone) == 1
    assert (mute.id.partition("@")[0], mute.oldest) == ("clo-api-1", None)
    assert not [one for one in seen.instances if one.silent]
    engine.run("container", "start", "clo-api-1")
    assert gone.isdisjoint(one.id for one in fleet.until(on("v2")).instances)


def test_a_mount_of_the_link_itself_is_seen_at_the_process(engine: DockerEngine, tmp_path: Path) -> None:
    """The kernel tells which generation a running container has mounted; deliveries later that is gone."""
    fleet = Fleet(engine, tmp_path)
    engine.start("fixed", 1, ["/bin/sleep", "60"], mounts={fleet.bundle_dir: False, tmp_path / "status": False})
    pid = int(engine.run("container", "inspect", "--format={{.State.Pid}}", "clo-fixed-1"))
    before = fleet.bundle_dir.resolve().name
    shown = {one.point: one.root for one in mounted(pid)}
    assert shown[str(fleet.bundle_dir)].endswith(f"/{before}")
    for fence in (2, 3, 4):
        fleet.deliver("v2", fence)
    shown = {one.point: one.root for one in mounted(pid)}
    assert shown[str(fleet.bundle_dir)].endswith(f"/{before}//deleted")
    assert shown[str(tmp_path / "status")].endswith("/status")
