"""From a table of the manifest to the rotator."""

from pathlib import Path

from keyturn.core.clock import SystemClock
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.postgres import Options
from keyturn.manifest.surroundings import Surroundings
from keyturn.rotators.postgres.declared import declared, pooler_of
from keyturn.rotators.postgres.pooler import Mode, Pooler

ADMIN = Bundle({"username": "admin", "password": "x"})


def test_declared_pooler() -> None:
    """What the manifest says of a pooler reaches the rotator: its place, whether it releases, how it is protected."""
    pooler = {
        "hosts": ["pool.internal:6432"],
        "mode": "session",
        "addresses": ["10.0.0.7", "10.1.0.0/16", "local"],
        "applications": ["clo-api"],
        "dbname": "clo_pooled",
        "sslmode": "require",
        "sslmode_reason": "it has no certificate of its own",
        "sslrootcert": "/etc/keyturn/pool-ca.pem",
        "connect_timeout": "2s",
        "release_idle": True,
    }
    target = {"hosts": ["db:5432"], "dbname": "clo", "owner_role": "clo", "roles": ["clo_a", "clo_b"], "admin": "a-b"}
    options = Options.model_validate(
        {"kind": "postgres", "owner": "platform@example.com", "purpose": "test", "target": {**target, "pooler": pooler}}
    )
    made = pooler_of(options.target.pooler)
    assert made == Pooler(
        hosts=(("pool.internal", 6432),),
        mode=Mode.SESSION,
        addresses=("10.0.0.7", "10.1.0.0/16", "local"),
        applications=("clo-api",),
        dbname="clo_pooled",
        sslmode="require",
        sslrootcert="/etc/keyturn/pool-ca.pem",
        connect_timeout=2.0,
        release_idle=True,
    )
    place = Path("/nonexistent")
    around = Surroundings("database", "clo", "production", place, place, lambda _: ADMIN, SystemClock())
    assert declared(options, around).releases
    assert pooler_of(None) is None


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
