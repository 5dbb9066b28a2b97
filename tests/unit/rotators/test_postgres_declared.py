"""From a table of the manifest to the rotator."""

from pathlib import Path

from keyturn.core.clock import SystemClock
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.postgres import Options
from keyturn.manifest.surroundings import Surroundings
from keyturn.rotators.postgres.declared import declared

ADMIN = Bundle({"username": "admin", "password": "x"})


def test_declared() -> None:
    """Hosts, names and ports of the manifest are those that the rotator publishes and serves."""
    options = Options.model_validate(
        {
            "kind": "postgres",
            "owner": "platform@example.com",
            "purpose": "test",
            "target": {
                "hosts": ["[::1]:5433", "db.internal:5432"],
                "dbname": "clo",
                "owner_role": "clo",
                "roles": ["clo_a", "clo_b"],
                "admin": "postgres-admin",
            },
        }
    )
    place = Path("/nonexistent")
    around = Surroundings("database", "clo", "production", place, place, lambda _: ADMIN, SystemClock())
    rotator = declared(options, around)
    assert rotator.slots == ("clo_a", "clo_b")
    assert rotator.coordinates() == {
        "host": "[::1]",
        "port": "5433",
        "dbname": "clo",
        "hosts": "[::1]:5433,db.internal:5432",
    }
