"""Who is still to be moved: the replicas that ran when a secret that they read was last switched.

It is told by names, and by no clock: what was there at the look after the switch is owed, what was started
later has read what lies there. The note says which switch it is about; without one for the present
switch everybody is owed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keyturn.core.clock import Moment, parse_rfc3339, rfc3339
from keyturn.core.errors import NotFound
from keyturn.system.files import WRITABLE_BY_OTHERS, Directory

MAX_BYTES = 1024 * 1024
EVERY = "*"
"""Stands for every secret, where nobody knows which of them the replicas have read; no secret has that name."""


@dataclass(frozen=True, slots=True)
class Owed:
    """What is known since `generation` came to lie there.

    `ids` are those who ran when a secret was switched, by its name; `former` the version that lay there before;
    `told` is when the last one was told that had to be.
    """

    generation: str
    ids: Mapping[str, frozenset[str]] = field(default_factory=dict)
    former: Mapping[str, str] = field(default_factory=dict)
    told: Moment | None = None

    def owing(self, secret: str) -> frozenset[str]:
        """Who has not read what lies there of that secret."""
        return self.ids.get(secret, frozenset()) | self.ids.get(EVERY, frozenset())

    @property
    def all(self) -> frozenset[str]:
        """Who is to be moved, for whichever secret."""
        return frozenset().union(*self.ids.values())

    def after(self, generation: str, running: frozenset[str], secret: str, lay: str | None, lies: str) -> "Owed":
        """What is owed once `secret` was switched from `lay` to `lies` while those ran.

        Nobody can have read another version of a secret of which none lay there.
        """
        ids = {name: some & running for name, some in self.ids.items()}
        former = dict(self.former)
        if lay is not None:
            ids[secret] = running
        if lay is not None and lay != lies:
            former[secret] = lay
        return Owed(generation, ids, former, self.told)

    def without(self, told: str, now: Moment) -> "Owed":
        """That one was told by now, and owes nothing more."""
        return Owed(self.generation, {name: some - {told} for name, some in self.ids.items()}, self.former, now)


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
            ids = {name: frozenset(map(str, some)) for name, some in said["ids"].items()}
            owed = Owed(said["generation"], ids, dict(said["former"]), _moment(said.get("told")))
        except (NotFound, ValueError, KeyError, TypeError, AttributeError):
            return None  # half a note is none: everybody is owed
        return owed if owed.generation == generation else None

    def write(self, owed: Owed) -> None:
        """Put it there durably."""
        ids = {name: sorted(some) for name, some in owed.ids.items()}
        told = owed.told and [rfc3339(owed.told.wall), owed.told.boot, owed.told.monotonic]
        text = json.dumps({"generation": owed.generation, "ids": ids, "former": dict(owed.former), "told": told})
        with Directory(self._home, follow=True, private=WRITABLE_BY_OTHERS) as home:
            home.write(self._name, text.encode())


def _moment(said: list[object] | None) -> Moment | None:
    """Raises ValueError, TypeError: half a note."""
    if said is None:
        return None
    wall, boot, monotonic = said
    return Moment(parse_rfc3339(str(wall)), str(boot), float(str(monotonic)))
