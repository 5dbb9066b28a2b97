"""The PostgreSQL credential that a manifest declares."""

from keyturn.manifest.kinds.postgres import Options
from keyturn.manifest.surroundings import Surroundings
from keyturn.rotators.postgres.rotator import Postgres


def declared(options: Options, around: Surroundings) -> Postgres:
    """The rotator for that table; connects to nothing yet."""
    target = options.target
    hosts = [host.rpartition(":")[::2] for host in target.hosts]
    return Postgres(
        hosts=[(host.strip("[]"), int(port)) for host, port in hosts],
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
        probe=options.probe,
    )
