"""When each target was looked at last: a file that may be lost, because the next look is then merely early."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keyturn.core import strict_json
from keyturn.core.clock import Moment
from keyturn.core.errors import AdapterError
from keyturn.journal.record import canonical
from keyturn.system.files import read_file, write_atomic

LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Looks:
    """The file at `path`: for each secret the boot and the milliseconds of its monotonic clock."""

    path: Path

    def last(self, name: str) -> Moment | None:
        """The last look at the target of this secret; None when the file does not say. Its wall time means nothing."""
        said = self._read().get(name)
        if not isinstance(said, dict) or not isinstance(said.get("monotonic_ms"), int):
            return None
        return Moment(datetime.fromtimestamp(0, UTC), str(said.get("boot")), said["monotonic_ms"] / 1000)

    def note(self, name: str, now: Moment) -> None:
        """Write down a look. Raises AdapterError."""
        said = {**self._read(), name: {"boot": now.boot, "monotonic_ms": int(now.monotonic * 1000)}}
        write_atomic(self.path, canonical(said), durable=False)

    def _read(self) -> Mapping[str, Any]:
        try:
            content = strict_json.load(read_file(self.path, LIMIT))
        except (AdapterError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}
