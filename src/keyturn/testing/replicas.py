"""A stand-in for whoever runs replicas: it keeps the contract of `replicas_contract`, in memory."""

from keyturn.core.errors import AdapterError, NotFound, Unavailable
from keyturn.core.rolling import Replica
from keyturn.system.processes import Identity


class MemoryReplicas:
    """Replicas that are started anew at once, and come back when they are told to, or by themselves.

    Attributes:
        moved: who was restarted or told, in order.
        slow: while set, one that is restarted is not ready until `come_back`.
        failing: raised instead of what is asked for next, once.
        away: while set, nothing can be asked.
        homes: the replica, by name, of each process that reports.
    """

    def __init__(self, *names: str, expected: int | None = None) -> None:
        self._starts = dict.fromkeys(names, 1)
        self._expected = len(names) if expected is None else expected
        self._away: set[str] = set()
        self.moved: list[str] = []
        self.slow = False
        self.failing: AdapterError | None = None
        self.away = False
        self.homes: dict[str, str] = {}

    def present(self) -> tuple[Replica, ...]:
        """All of them."""
        self._fail()
        return tuple(self._replica(name) for name in sorted(self._starts))

    def expected(self) -> int | None:
        """As many as were named at first, or as was said."""
        return self._expected

    def restart(self, replica: Replica) -> None:
        """Start it anew."""
        self._check(replica)
        self.moved.append(replica.name)
        self.start(replica.name)

    def tell(self, replica: Replica) -> None:
        """Note that it was told."""
        self._check(replica)
        self.moved.append(replica.name)

    def home(self, process: Identity, replicas: tuple[Replica, ...]) -> tuple[Replica | None, bool]:
        """The one that the process was said to run in; one of which nothing was said is gone."""
        name = self.homes.get(process.id)
        return next((one for one in replicas if one.name == name), None), name is None

    def start(self, name: str) -> None:
        """It is started, by whomever."""
        self._starts[name] = self._starts.get(name, 0) + 1
        if self.slow:
            self._away.add(name)

    def fall(self, name: str) -> None:
        """It is there and not ready."""
        self._away.add(name)

    def come_back(self, name: str) -> None:
        """It is ready."""
        self._away.discard(name)

    def remove(self, name: str) -> None:
        """It is not there any more."""
        del self._starts[name]

    def _replica(self, name: str) -> Replica:
        start = self._starts[name]
        ready = name not in self._away
        return Replica(f"{name}@{start}", name, name, ready, "up" if ready else "starting", str(start))

    def _check(self, replica: Replica) -> None:
        self._fail()
        if replica.name not in self._starts:
            raise NotFound(f"there is no {replica.name}")

    def _fail(self) -> None:
        failing, self.failing = self.failing, None
        if failing is not None:
            raise failing
        if self.away:
            raise Unavailable("whoever runs them does not answer")
