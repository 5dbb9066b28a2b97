"""What is said of a run."""

import json

from tests.crash import outcome, table
from tests.crash.faults.syscalls import _synced_again
from tests.crash.ledger import Ledger
from tests.crash.points import Place


def test_the_page_shows_the_results_that_are_kept() -> None:
    """docs/reliability.md holds what the last long run measured, and nothing else."""
    page = outcome.PAGE.read_text()
    assert outcome.with_figures(page, json.loads(outcome.RESULTS.read_text())) == page


def test_a_cell_that_nothing_filled_is_counted() -> None:
    """An empty cell shows as 0 and is counted, one that cannot be filled as n/a."""
    whole = Ledger()
    whole.count(Place("apply", "inside"), "reset")
    said = outcome.figures(whole, "")
    assert f"cells=1 of {table.size(table.FAULTS)}," in "\n".join(outcome.lines(said))
    shown = {(step, phase): counts for step, phase, counts in table.rows(whole.cells, ("reset",))}
    assert shown["apply", "inside"] == ("1",)
    assert shown["look:apply", "inside"] == ("0",)
    assert ("apply", "before") not in shown


def test_a_write_ahead_log_that_is_synced_again_after_a_failure_is_a_violation() -> None:
    """The harness sees a sync that is tried again, and not one of another file."""
    failed = "7 fdatasync(4</x/journal.db-wal>) = -1 EIO (Input/output error) (INJECTED)"
    assert list(_synced_again([failed, "7 fdatasync(4</x/journal.db-wal>) = 0"], 0))
    assert not list(_synced_again([failed, "7 fsync(5</x>) = 0"], 0))
