"""Units of a real systemd, as a consumer of the kind `systemd` counts and moves them."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from keyturn.consumers.rolling import Rolling
from keyturn.consumers.rolling.asking import Asking
from keyturn.consumers.rolling.declared import systemd
from keyturn.consumers.rolling.units import Units
from keyturn.core.clock import SystemClock
from keyturn.core.consumer import Delivery
from keyturn.core.errors import NotFound, Unavailable
from keyturn.core.rolling import Replica
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.systemd import Options
from keyturn.manifest.surroundings import Surroundings
from keyturn.testing.docker_engine import DockerEngine
from keyturn.testing.replicas_contract import RULES, Case
from keyturn.testing.rolling_restart import SECRET, roll_all, settle
from keyturn.testing.systemd_container import SystemdContainer

NONE: dict[str, Bundle] = {}
NAMES = ("worker@1.service", "worker@2.service")
TEMPLATE = """
[Service]
Type=exec
LoadCredential=database:{home}/run/bundle/database.password
ExecStartPre=/bin/sh -c 'test ! -e {home}/broken-%i && : > {home}/told-%i'
ExecStartPre=/bin/sh -c 'cat $$CREDENTIALS_DIRECTORY/database > {home}/read-%i'
ExecStart=/bin/sleep infinity
ExecReload=/bin/sh -c 'echo told >> {home}/told-%i'
KillMode=mixed
TimeoutStopSec=2
"""
_numbers = count(1)


class Workers:
    """Two instances of a template that read a credential at their start."""

    def __init__(self, engine: DockerEngine, home: Path) -> None:
        self.home = home
        self.systemd = SystemdContainer(engine, home)
        self.systemd.unit("worker@.service", TEMPLATE.format(home=home))

    def consumer(self, action: str = "restart", ready_within: str = "60s") -> Rolling:
        """As the manifest's table makes it."""
        table = {
            "kind": "systemd",
            "units": list(NAMES),
            "action": action,
            "systemctl": list(self.systemd.systemctl),
            "bundle_dir": str(self.home / "run" / "bundle"),
            "proof": "claimed",
            "grace": "1s",
            "pause": "100ms",
            "ready_within": ready_within,
        }
        around = Surroundings("worker", "clo", "test", self.home, self.home / "key", NONE.__getitem__, SystemClock())
        return systemd(Options.model_validate(table), around)

    def units(self, *names: str) -> Units:
        """Whoever runs them."""
        return Units(Asking(self.systemd.systemctl, 20.0), names or NAMES)

    def deliver(self, rolling: Rolling) -> str:
        """The next version."""
        number = next(_numbers)
        rolling.deliver(Delivery(SECRET, f"v{number}", Bundle({"password": f"word-v{number}"}), number))
        return f"v{number}"

    def read(self, number: int) -> str:
        """What that one had of its credential at its start."""
        return (self.home / f"read-{number}").read_text()


@pytest.fixture(scope="module")
def workers(one_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """They run on a first version, for all tests of this file."""
    workers = Workers(one_engine, tmp_path_factory.mktemp("workers"))
    rolling = workers.consumer()
    workers.deliver(rolling)
    workers.systemd.ctl("start", *NAMES)
    settle(rolling)
    yield workers
    one_engine.run("container", "rm", "--force", "keyturn-systemd")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_contract(workers: Workers, rule: Callable[[Case], None]) -> None:
    """Systemd keeps the contract of those who run replicas."""

    def told(one: Replica) -> int:
        return (workers.home / f"told-{one.name[7]}").read_text().count("told")

    rule(Case(workers.units(), told, lambda: settle(workers.consumer())))


def test_a_restart_gives_each_unit_the_credential_that_was_delivered(workers: Workers) -> None:
    """One after the other, once each, without a word to anybody else."""
    rolling = workers.consumer()
    before = {one.id for one in workers.units().present()}
    version = workers.deliver(rolling)
    assert workers.read(1) == workers.read(2) != f"word-{version}"
    roll_all(rolling, version)
    assert [workers.read(number) for number in (1, 2)] == [f"word-{version}"] * 2
    assert not before & {one.id for one in workers.units().present()}


def test_a_reload_tells_each_unit_once_and_renews_no_credential(workers: Workers) -> None:
    """What `reload` is for is a program that reads the bundle itself; a credential is read at the start."""
    rolling = workers.consumer("reload")
    before = [workers.read(number) for number in (1, 2)]
    told = [(workers.home / f"told-{number}").read_text().count("told") for number in (1, 2)]
    workers.deliver(rolling)
    until = SystemClock().now()
    while min((workers.home / f"told-{n}").read_text().count("told") - told[n - 1] for n in (1, 2)) < 1:
        rolling.roll(SECRET)
        assert (until.elapsed(SystemClock().now()) or 0.0) < 60.0
    rolling.roll(SECRET)
    assert [(workers.home / f"told-{n}").read_text().count("told") - told[n - 1] for n in (1, 2)] == [1, 1]
    assert [workers.read(number) for number in (1, 2)] == before
    assert not rolling.observe(SECRET, {}).complete


def test_a_unit_that_does_not_start_leaves_the_other_alone(workers: Workers) -> None:
    """The error has its name; the other one runs on; mended and started by hand, the roll goes on."""
    rolling = workers.consumer()
    other = workers.units().present()[1]
    version = workers.deliver(rolling)
    (workers.home / "broken-1").touch()
    with pytest.raises(Unavailable, match="restart"):
        rolling.roll(SECRET)
    for _ in range(2):
        rolling.roll(SECRET)
    assert workers.units().present()[1] == other
    (workers.home / "broken-1").unlink()
    workers.systemd.ctl("start", NAMES[0])
    roll_all(rolling, version)
    assert workers.read(2) == f"word-{version}"


def test_a_pattern_is_all_that_are_loaded(workers: Workers) -> None:
    """How many there must be then is for the manifest to say."""
    some = workers.units("worker@*.service")
    assert [one.name for one in some.present()] == list(NAMES)
    assert some.expected() is None


def test_a_unit_that_is_not_there_is_an_error(workers: Workers) -> None:
    """A wrong name is not an empty set."""
    with pytest.raises(NotFound, match=r"strange\.service is not-found"):
        workers.units("strange.service").present()
