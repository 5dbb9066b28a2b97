from keyturn.stores.local.database import connected
from tests.unit.stores.places import Place


def test_every_commit_waits_for_the_disk(place: Place) -> None:
    """Rollback journal with synchronous=EXTRA: the file is synced, and the directory without the journal as well."""
    with connected(place.path) as database:
        pragmas = {name: database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "delete", "synchronous": 3}
