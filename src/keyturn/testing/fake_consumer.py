"""A consumer in memory whose instances really log in at a `FakeTarget`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from keyturn.core.consumer import Delivery, Grade, Instance, Observation, Rejection
from keyturn.core.errors import AdapterError, FenceLost
from keyturn.core.rotator import Session
from keyturn.core.secret import Bundle
from keyturn.testing.fake_target import FakeTarget


@dataclass(slots=True)
class FakeInstance:
    """One process: holds a session, and tries a new version before it lets go of the old one.

    Attributes:
        stopped: it does nothing any more, as after SIGSTOP.
        slow: how many looks it needs before it notices a delivery.
    """

    id: str
    target: FakeTarget
    stopped: bool = False
    slow: int = 0
    version: str | None = None
    session: Session | None = None
    rejection: Rejection | None = None
    failures: list[str] = field(default_factory=list)

    def turn(self, version: str, bundle: Bundle) -> None:
        """Notice what is delivered, and move to it if it works."""
        if self.stopped or version == self.version:
            return
        if self.slow > 0:
            self.slow -= 1
            return
        try:
            session = self.target.log_in(bundle, application="fake-app")
        except AdapterError as error:
            self.rejection = Rejection(version, error.message)
            return
        if self.session is not None:
            self.target.log_out(self.session)
        self.version, self.session, self.rejection = version, session, None

    def request(self, bundles: Mapping[str, Bundle]) -> None:
        """A fresh log-in with the version in use; a failure is what no rotation may cause."""
        if self.version is None or self.stopped:
            return
        try:
            with self.target.session(bundles[self.version], "fake-app"):
                pass
        except AdapterError as error:
            self.failures.append(error.message)


class FakeConsumer:
    """The instances above as one consumer. Every observation lets each instance act once.

    Args:
        name: of the consumer.
        instances: its processes.
        expected: how many there must be; None for as many as there are.
    """

    kind = "fake"
    reports = True
    grace = 0.0
    longest_run = 0.0
    max_stale = 0.0

    def __init__(self, name: str, instances: list[FakeInstance], expected: int | None = None) -> None:
        self.name = name
        self.instances = instances
        self.expected = expected
        self._bundles: dict[str, Bundle] = {}
        self._delivered: dict[str, tuple[str, int]] = {}

    def deliver(self, delivery: Delivery) -> None:
        """Put the version where the instances look. Raises FenceLost for a late one."""
        _, fence = self._delivered.get(delivery.secret, ("", 0))
        if fence > delivery.fence:
            raise FenceLost(f"a later delivery of {delivery.secret} lies there")
        self._bundles[delivery.version] = delivery.bundle
        self._delivered[delivery.secret] = (delivery.version, delivery.fence)

    def lose(self) -> None:
        """What was delivered is gone, as on a tmpfs after a reboot."""
        self._delivered.clear()

    def delivered(self, secret: str) -> str | None:
        """The version that lies there."""
        return self._delivered[secret][0] if secret in self._delivered else None

    def observe(self, secret: str, versions: Mapping[str, Bundle]) -> Observation:
        """Let every instance act once, then say what they run on."""
        version = self.delivered(secret)
        for instance in self.instances:
            if version is not None:
                instance.turn(version, self._bundles[version])
            instance.request({**self._bundles, **versions})
        seen = tuple(self._seen(instance) for instance in self.instances)
        expected = self.expected if self.expected is not None else len(seen)
        return Observation(seen, expected, len(seen) >= expected)

    @staticmethod
    def _seen(instance: FakeInstance) -> Instance:
        return Instance(
            instance.id,
            instance.version,
            instance.version,
            Grade.HOLDS,
            "2026-01-01T00:00:00.000Z",
            silent=instance.stopped,
            rejection=instance.rejection,
        )
