"""The journal's newest records are lost after a kill, while the high-water mark stands.

Nothing may be decided then; `resume --accept-gap` looks at the world first, and goes on to a good end, or names
what does not fit and writes nothing. In that case the newer journal is put back, as its remedy says.
"""

import random
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from keyturn.testing.installation import SECRET_NAME
from tests.crash.harness import ENDS, Harness
from tests.crash.points import Place
from tests.crash.worker import Orders

CUT = "journal's tail cut"
CLAIM = 0.2
MOST = 6
"""Records that are lost at most."""


class LostTail:
    """The fault."""

    def __init__(self, harness: Harness, points: dict[str, Place], seed: int) -> None:
        self._harness = harness
        self.points = points
        self._draw = random.Random(seed)  # noqa: S311 - how much is lost, not a secret
        self._journal = harness.installation.assembly().state.journal

    def sweep(self, names: Iterable[str]) -> None:
        """Each of these points once: killed there, then one to six records lost."""
        for name in names:
            if self._harness.stopping():
                return
            self._cut_at(name)

    def _cut_at(self, name: str) -> None:
        harness = self._harness
        told = harness.run(Orders(plan=name))
        if told.status:
            harness.recover(f"{name}, not reached", accepted=ENDS, last=told)
            return
        lost = self._draw.randint(1, MOST)
        about = f"killed at {name}, {lost} records lost"
        spare = harness.installation.folder / "journal.spare"
        cut(self._journal, spare, lost)
        harness.fault()
        harness.ledger.count(self.points[name], CUT, kill=True)
        before = head(self._journal)
        told = harness.run(Orders(claim=CLAIM), about)
        if told.status != "rolled-back" or head(self._journal) != before:
            harness.violate(about, [f"went on over a gap: {told.status} {told.why}"])
        told = harness.run(Orders(begin=False, gap=True, resume=True, claim=CLAIM), about)
        if told.status == "incomplete":
            harness.ledger.ends["gap: named, nothing written"] += 1
            if head(self._journal) != before:
                harness.violate(about, ["a gap that does not fit was written down"])
            put_back(self._journal, spare)
            harness.recover(about, accepted=ENDS)
        else:
            harness.ledger.ends["gap: accepted"] += 1
            harness.recover(about, accepted=ENDS, last=told)
            # and the next rotation is as any other
            harness.recover(about, last=harness.run(Orders(), about))
        harness.ledger.done.append(f"tail {name}")


def cut(journal: Path, spare: Path, lost: int) -> None:
    """Remove the newest records of the secret's stream; keep the whole journal in `spare`."""
    with sqlite3.connect(journal) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(journal, spare)
        name, trigger = database.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND sql LIKE '%BEFORE DELETE%'"
        ).fetchone()
        database.execute(f"DROP TRIGGER {name}")
        last = head(journal)
        database.execute("DELETE FROM records WHERE stream = ? AND seq > ?", (SECRET_NAME, last - lost))
        database.execute(trigger)
    database.close()


def put_back(journal: Path, spare: Path) -> None:
    """The whole journal again."""
    for beside in ("-wal", "-shm"):
        journal.with_name(journal.name + beside).unlink(missing_ok=True)
    with journal.open("wb") as file:
        file.write(spare.read_bytes())


def head(journal: Path) -> int:
    """The sequence number of the stream's last record."""
    with sqlite3.connect(journal) as database:
        row = database.execute("SELECT max(seq) FROM records WHERE stream = ?", (SECRET_NAME,)).fetchone()
    database.close()
    return int(row[0])
