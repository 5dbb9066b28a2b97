"""Who is still to be moved: the replicas that ran when the directory that they read was last switched.

It is told by names, and by no clock: what was there at the look after the switch is owed, what was started
later has read what lies there. The note says which switch it is about; without one for the present
switch everybody is owed.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keyturn.core.errors import NotFound
from keyturn.system.files import WRITABLE_BY_OTHERS, Directory

MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Owed:
    """Those who ran when `generation` came to lie there, and the versions they had read before."""

    generation: str
    ids: frozenset[str]
    former: Mapping[str, str] = field(default_factory=dict)


class Note:
    """The file that holds it, beside the directory `link`; for its owner only."""

    def __init__(self, link: Path) -> None:
        self._home = link.parent
        self._name = f".{link.name}.owed"

    def read(self, generation: str | None) -> Owed | None:
        """What is owed since that switch; None when nobody looked since.

        Raises:
            Denied, Unavailable: it cannot be read.
        """
        try:
            with Directory(self._home, follow=True, private=WRITABLE_BY_OTHERS) as home:
                said = json.loads(home.read(self._name, MAX_BYTES, private=WRITABLE_BY_OTHERS))
            owed = Owed(said["generation"], frozenset(map(str, said["ids"])), dict(said["former"]))
        except (NotFound, ValueError, KeyError, TypeError):
            return None  # half a note is none: everybody is owed
        return owed if owed.generation == generation else None

    def write(self, owed: Owed) -> None:
        """Put it there durably."""
        text = json.dumps({"generation": owed.generation, "ids": sorted(owed.ids), "former": dict(owed.former)})
        with Directory(self._home, follow=True, private=WRITABLE_BY_OTHERS) as home:
            home.write(self._name, text.encode())

    def strike(self, owed: Owed, ids: Collection[str]) -> None:
        """Those were told, and owe nothing more."""
        self.write(Owed(owed.generation, owed.ids - frozenset(ids), owed.former))
