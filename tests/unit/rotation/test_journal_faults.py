from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from keyturn.core.errors import AdapterError, OutcomeUnknown, Unavailable
from keyturn.journal.record import Event, Head, Journal, Record
from keyturn.rotation.outcome import Outcome
from keyturn.testing.bench import Bench

PATIENCE = 20.0
APPENDS = 28
"""How many records a rotation on the bench writes, when nothing moves late."""


class Failing:
    """A journal whose append number `nth` fails, and every one after it, as after a failure of the disk."""

    def __init__(self, real: Journal, nth: int, error: Callable[[], AdapterError], *, stands: bool) -> None:
        self._real, self._left, self._error, self._stands = real, nth, error, stands

    def append(self, stream: str, expected_seq: int, event: Event) -> Record:
        """Store it, unless it is its turn to fail; `stands` is whether the failing record is there all the same."""
        self._left -= 1
        if self._left > 0:
            return self._real.append(stream, expected_seq, event)
        if self._left == 0 and self._stands:
            self._real.append(stream, expected_seq, event)
        raise self._error() if self._left == 0 else Unavailable("the disk failed before")

    def read(self, stream: str, after: int = 0) -> tuple[Record, ...]:
        """As the real one."""
        return self._real.read(stream, after)

    def head(self, stream: str) -> Head:
        """As the real one."""
        return self._real.head(stream)

    def streams(self) -> tuple[str, ...]:
        """As the real one."""
        return self._real.streams()

    def projected(self) -> Mapping[str, Mapping[str, Any]]:
        """As the real one."""
        return self._real.projected()


def interrupted(bench: Bench, journal: Journal) -> Outcome | None:
    """What one rotation came to with that journal; None when it was not even begun, or ended with an error."""
    engine = bench.engine()
    engine._log.journal = journal
    try:
        engine.begin("bench")
        return engine.advance(PATIENCE)
    except AdapterError:
        return None


@pytest.mark.parametrize("nth", range(1, APPENDS + 1))
@pytest.mark.parametrize("stands", [False, True], ids=["lost", "stands"])
def test_a_disk_that_fails_at_any_record_leaves_a_rotation_that_ends(tmp_path: Path, nth: int, stands: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Whichever record cannot be written, or stands without anybody knowing, the next process ends the rotation."""
    bench = Bench(tmp_path)
    bench.rotate()
    error = (lambda: OutcomeUnknown("the disk failed")) if stands else (lambda: Unavailable("no room"))
    ended = interrupted(bench, Failing(bench.journal, nth, error, stands=stands))
    assert ended is None or ended.status in {"waiting", "closed"}
    assert bench.engine().advance(PATIENCE).status in {"closed", "idle"}
    assert bench.failures() == []
    current = bench.engine().state().current
    assert current is not None
    assert bench.alive() == [current.slot]
    assert bench.rotate().status == "closed"
