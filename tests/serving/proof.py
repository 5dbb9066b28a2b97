"""One run: users at work, rotations by the command, a killed process, a reload of nginx; then everything is judged."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from keyturn.core.rotator import Answer
from keyturn.core.secret import Bundle, SecretValue
from keyturn.rotation.report import HOLDS, Report
from keyturn.testing.nginx_server import NginxServer
from tests.serving.crowd import Crowd
from tests.serving.fleet import HOST, Fleet, free_ports
from tests.serving.place import PROCESSES, SECRET, Place
from tests.serving.tally import Kill, Phase, Tally, tally

RELOAD_SECONDS = 5.0
"""By then each user has found out that nginx closed its connection."""
ROTATING, KILLED, RELOADED = "rotating", "process killed", "nginx reloaded"


@dataclass(frozen=True, slots=True)
class Settings:
    """How much of it.

    `disturbed` puts one kill -9 and one reload of nginx into the run, each into a rotation of its own: of two at least.
    """

    requests: int
    rotations: int
    seed: int
    rate: float = 200.0
    disturbed: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. `violations` are sentences; none when everything is as promised."""

    rotations: int
    tally: Tally
    seconds: float
    slowest_rotation: float
    violations: list[str]

    @property
    def passed(self) -> bool:
        """Nothing failed, nobody was logged out, and nothing else is wrong."""
        return not (self.violations or self.tally.failed or self.tally.logged_out or self.tally.wrong)

    @property
    def last_line(self) -> str:
        """The line for a script."""
        said = self.tally
        return (
            f"rotations={self.rotations} requests={said.requests} failed={said.failed + said.wrong} "
            f"logged_out={said.logged_out} p99_ms={said.percentile(0.99):.0f}"
        )


@dataclass(frozen=True, slots=True)
class Up:
    """All that runs: the installation, the processes of the service, the proxy before them, the users at work."""

    place: Place
    fleet: Fleet
    nginx: NginxServer
    crowd: Crowd


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that disturbs a rotation."""

    words: str
    strike: Callable[[], None]


@dataclass(slots=True)
class Seen:
    """What happened when."""

    old: list[Bundle] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class Proof:
    """The run on a service that is up.

    Args:
        settings: how much.
        up: the service.
        tell: gets a line for each rotation.
    """

    def __init__(self, settings: Settings, up: Up, tell: Callable[[str], None]) -> None:
        self._settings, self._tell = settings, tell
        self._place, self._fleet, self._nginx, self._crowd = up.place, up.fleet, up.nginx, up.crowd
        self._draw = random.Random(settings.seed)  # noqa: S311 - when something happens is no secret
        self._seen = Seen()

    def run(self) -> Result:
        """All rotations, spread over the requests; then the rest of the requests; then the judgement."""
        wanted, seen, started = self._settings, self._seen, time.monotonic()
        faults = self._faults()
        for number in range(wanted.rotations):
            self._wait_for(wanted.requests * (number + 1) // (wanted.rotations + 1))
            self._rotate(number + 1, faults.get(number))
            if seen.violations:
                break
        else:
            self._wait_for(wanted.requests)
        self._crowd.stop()
        seconds = time.monotonic() - started
        said = tally(self._crowd.logs(), seen.phases, seen.kills)
        seen.violations += [*self._of_rotations(), *self._of_credentials(), *self._of_users(said)]
        return Result(len(seen.durations), said, seconds, max(seen.durations, default=0.0), seen.violations)

    def _faults(self) -> Mapping[int, Fault]:
        """What disturbs which rotation."""
        if not self._settings.disturbed:
            return {}
        killed, reloaded = self._draw.sample(range(self._settings.rotations), 2)
        return {
            killed: Fault("one process killed and started again", self._kill),
            reloaded: Fault("nginx reloaded", self._reload),
        }

    def _wait_for(self, requests: int) -> None:
        seconds = 60 + 20 * requests / self._settings.rate
        self._crowd.until(lambda: self._crowd.requests >= requests, f"{requests} requests", seconds)

    def _rotate(self, number: int, fault: Fault | None) -> None:
        """One rotation by the command; a fault strikes when the new version was delivered."""
        self._seen.old.append(self._place.current())
        generation, began = self._place.generation(), time.monotonic()
        striking = threading.Thread(target=self._strike, args=(fault, generation)) if fault else None
        if striking:
            striking.start()
        try:
            self._place.keyturn("rotate", SECRET)
            self._seen.durations.append(time.monotonic() - began)
        except RuntimeError as error:
            self._seen.violations.append(str(error))
        if striking:
            striking.join()
        ended = time.monotonic()
        self._seen.phases.append(Phase(ROTATING, began, ended))  # behind the faults: the first that fits counts
        words = f", {fault.words}" if fault else ""
        self._tell(f"rotation {number}: {ended - began:.1f} s, {self._crowd.requests} requests so far{words}")

    def _strike(self, fault: Fault, generation: str) -> None:
        try:
            self._crowd.until(lambda: self._place.generation() != generation, "the new version is delivered")
            fault.strike()
        except RuntimeError as error:
            self._seen.violations.append(str(error))

    def _kill(self) -> None:
        """Kill -9 one process, and start it again."""
        port, at = self._draw.choice(self._fleet.ports), time.monotonic()
        self._seen.kills.append(Kill(at, f"{HOST}:{port}"))
        self._fleet.kill(port)
        self._fleet.start(port)
        self._fleet.wait(port)
        self._seen.phases.append(Phase(KILLED, at, time.monotonic()))

    def _reload(self) -> None:
        """Have nginx begin anew."""
        at = time.monotonic()
        self._seen.phases.append(Phase(RELOADED, at, at + RELOAD_SECONDS))
        self._nginx.reload()

    def _of_rotations(self) -> Iterator[str]:
        found = self._place.reports()[-len(self._seen.old) :]
        for number, report in enumerate(found, 1):
            for line in of_rotation(report):
                yield f"rotation {number}: {line}"
        try:
            self._place.keyturn("audit", "verify")
        except RuntimeError as error:
            yield str(error)

    def _of_credentials(self) -> Iterator[str]:
        *old, current = self._place.answers([*self._seen.old, self._place.current()])
        if len(old) < self._settings.rotations:
            yield f"{len(old)} of {self._settings.rotations} rotations were begun"
        for number, answer in enumerate(old, 1):
            if answer is not Answer.REFUSED:
                yield f"the credential before rotation {number} is {answer}"
        if current is not Answer.ACCEPTED:
            yield f"the current credential is {current}"

    def _of_users(self, said: Tally) -> Iterator[str]:
        rows = self._place.deals()
        for name, count in said.acknowledged.items():
            if not count <= rows.get(name, 0) <= count + said.unsure[name]:
                yield f"{name}: {count} writes acknowledged, {said.unsure[name]} unsure, {rows.get(name, 0)} there"
        reloads = [phase for phase in self._seen.phases if phase.name == RELOADED]
        if strange := [at for at in said.resent_at if not any(phase.has(at) for phase in reloads)]:
            yield f"{len(strange)} connections were closed on users while nginx was not reloaded"


def of_rotation(report: Report) -> Iterator[str]:
    """What a rotation lacks: closed, the old one refused, and each process shown to hold the new version."""
    if (report.outcome, report.death) != ("closed", "refused"):
        yield f"{report.outcome}, its old credential {report.death or 'alive'}"
    for shown in report.consumers:
        there = [one for one in shown.instances if not one.drained]
        moved = [one for one in there if {one.oldest, one.newest} == {report.new_version} and one.grade == HOLDS]
        if (shown.evidence, len(moved), len(there)) != (HOLDS, PROCESSES, PROCESSES):
            yield f"{shown.consumer}: {shown.evidence}, {len(moved)} of {len(there)} processes are shown to hold it"
    if not report.consumers:
        yield "no consumer was looked at"


def prove(
    settings: Settings, place: Place, people: Sequence[tuple[str, SecretValue]], tell: Callable[[str], None]
) -> Result:
    """Start the service and its users, run, and end them.

    Args:
        settings: how much.
        place: prepared for these people.
        people: the users.
        tell: gets a line for each rotation.
    """
    with ExitStack() as stack:
        fleet = stack.enter_context(Fleet(place, "service", free_ports()))
        nginx = stack.enter_context(NginxServer(fleet.ports))
        crowd = stack.enter_context(Crowd(people, nginx, place.folder, settings.rate, settings.seed))
        return Proof(settings, Up(place, fleet, nginx, crowd), tell).run()
