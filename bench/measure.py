"""Two or more things timed in turn, A B A B, and what their medians say of each other."""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Timed = Callable[[], float]
"""One run; its seconds."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure shall be: at least or at most `value`."""

    value: float
    at_least: bool = False

    def met(self, figure: float) -> bool:
        """Whether it is."""
        return figure >= self.value if self.at_least else figure <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='}{self.value:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the outcome: seconds or a ratio of two medians of the same run.

    `spread` is half the distance between the quartiles of the rounds, as a share of the median.
    """

    name: str
    value: float
    unit: str
    rounds: int
    spread: float
    goal: Goal | None = None

    def line(self) -> str:
        """For a script: `NAME=VALUE unit=... rounds=... spread=...`, and `missed=` where a goal is missed."""
        words = f"{self.name}={self.value:.3g} unit={self.unit} rounds={self.rounds} spread={self.spread:.0%}"
        if self.goal is None:
            return words
        return f"{words} goal={self.goal}" + ("" if self.goal.met(self.value) else f" missed={self.value:.3g}")


def in_turn(things: Mapping[str, Timed], rounds: int) -> dict[str, list[float]]:
    """Seconds of each thing in each round; every round runs all of them, after one that does not count."""
    for run in things.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in things}
    for _ in range(rounds):
        for name, run in things.items():
            times[name].append(run())
    return times


def ratio(name: str, over: list[float], under: list[float], goal: Goal | None = None) -> Figure:
    """The median of one by the median of the other."""
    shares = [one / other for one, other in zip(over, under, strict=True)]
    return Figure(name, statistics.median(over) / statistics.median(under), "ratio", len(over), spread(shares), goal)


def seconds(name: str, times: list[float], goal: Goal | None = None) -> Figure:
    """The median."""
    return Figure(name, statistics.median(times), "s", len(times), spread(times), goal)


def spread(values: list[float]) -> float:
    """Half the distance between the quartiles, as a share of the median."""
    if len(values) < 2:  # noqa: PLR2004 - one value has no spread
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / 2 / middle


def timed(work: Callable[[], object]) -> Timed:
    """The seconds of a piece of work in this process."""

    def run() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return run


class Process:
    """The seconds of a whole process, from its start to its end; `cpu` keeps user and system together.

    Args:
        words: its arguments.
        program: what is run; this Python.

    Raises:
        RuntimeError: it ended with another status than 0 (when called).
    """

    def __init__(self, *words: str, program: str = sys.executable) -> None:
        self._command = [program, *words]
        self.cpu: list[float] = []

    def __call__(self) -> float:
        """Run it once."""
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        ended = subprocess.run(self._command, env=_environment(), capture_output=True, check=False)
        passed, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        if ended.returncode:
            said = ended.stderr[-500:].decode(errors="replace")
            raise RuntimeError(f"{self._command[1:]} ended with {ended.returncode}: {said}")
        self.cpu.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        return passed


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("KEYTURN_")}
