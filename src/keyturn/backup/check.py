"""What a backup is worth: everything in it is opened once, and the world is asked whether it has moved on."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from keyturn.core.agreement import Agreement
from keyturn.core.errors import KeyturnError
from keyturn.journal.audit import verify
from keyturn.journal.chain import Verdict
from keyturn.wiring import Assembly


@dataclass(frozen=True, slots=True)
class Row:
    """One secret of the backup.

    `decided` is the journal's current version, `stored` the store's; `opens` whether its content could be read;
    `rotation` an open one; `agreement` what store and target say, None where they were not asked.
    """

    secret: str
    decided: str | None
    stored: str | None
    opens: bool
    rotation: str | None = None
    agreement: Agreement | None = None
    failure: KeyturnError | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """All that was seen. `records` counts those of the journal, `keys` whether Keyturn's own are there."""

    verdict: Verdict
    records: int
    keys: bool
    rows: tuple[Row, ...]


def check(assembly: Assembly, probe: Collection[str] = ()) -> Checked:
    """Open everything, and ask some targets whether they still take the backup's current credential.

    Args:
        assembly: the backup, laid out in a place of its own.
        probe: secrets whose targets are asked, by one log-in each; nothing there is changed.

    Raises:
        AdapterError: journal or Keyturn's own vault cannot be opened.
    """
    state = assembly.state
    verdict = verify(state.journal, state.high_water)
    keys = bool(assembly.self_vault.names())
    rows = tuple(_rows(assembly, probe))
    return Checked(verdict, sum(head.seq for head in verdict.heads.values()), keys, rows)


def _rows(assembly: Assembly, probe: Collection[str]) -> Iterator[Row]:
    for name in assembly.manifest.secrets:
        try:
            yield _row(assembly, name, probe=name in probe)
        except KeyturnError as failure:
            yield Row(name, None, None, opens=False, failure=failure)


def _row(assembly: Assembly, name: str, *, probe: bool) -> Row:
    decided, rotation = _decided(assembly, name)
    store, entry = assembly.store(name), assembly.store_name(name)
    stored = store.current(entry)
    if stored is not None:
        store.read(entry, stored)
    opens = stored is not None
    if not (probe and opens and decided):
        return Row(name, decided, stored, opens, rotation)
    probed = assembly.rotator(name).accepts(assembly.bundle(name))
    return Row(name, decided, stored, opens, rotation, Agreement(name, decided, stored, probed))


def _decided(assembly: Assembly, name: str) -> tuple[str | None, str | None]:
    """The journal's current version, and the id of an open rotation."""
    row = assembly.journal.projected().get(name, {})
    current, rotation = row.get("current"), row.get("rotation")
    return current and current["version"], rotation and rotation["id"]
