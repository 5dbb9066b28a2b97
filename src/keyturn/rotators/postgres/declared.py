"""The PostgreSQL credential that a manifest declares."""

from keyturn.manifest.kinds.postgres import Options
from keyturn.manifest.kinds.postgres import Pooler as PoolerTable
from keyturn.manifest.surroundings import Surroundings
from keyturn.rotators.postgres.pooler import Mode, Pooler
from keyturn.rotators.postgres.rotator import Postgres


def declared(options: Options, around: Surroundings) -> Postgres:
    """The rotator for that table; connects to nothing yet."""
    target = options.target
    return Postgres(
        hosts=target.endpoints,
        dbname=target.dbname,
        owner_role=target.owner_role,
        roles=target.roles,
        secret=around.name,
        service=around.service,
        environment=around.environment,
        admin=lambda: around.credential(target.admin),
        sslmode=target.sslmode,
        sslrootcert=str(target.sslrootcert) if target.sslrootcert else None,
        connect_timeout=target.connect_timeout,
        deadline=target.deadline,
        probe=options.probe,
        pooler=pooler_of(target.pooler),
    )


def pooler_of(table: PoolerTable | None) -> Pooler | None:
    """The pooler of that table, None without one."""
    if table is None:
        return None
    return Pooler(
        hosts=table.endpoints,
        mode=Mode(table.mode),
        addresses=table.addresses,
        applications=table.applications,
        dbname=table.dbname,
        sslmode=table.sslmode,
        sslrootcert=str(table.sslrootcert) if table.sslrootcert else None,
        connect_timeout=table.connect_timeout,
        release_idle=table.release_idle,
    )
