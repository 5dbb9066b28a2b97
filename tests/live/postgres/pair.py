"""A primary with its replica, and a rotator that knows both."""

from contextlib import ExitStack

from keyturn.core.secret import Bundle
from keyturn.rotators.postgres import Postgres
from keyturn.rotators.postgres.pooler import Pooler
from keyturn.testing.line import Line
from keyturn.testing.postgres_replica import REPLICATION_HBA, PostgresReplica
from keyturn.testing.postgres_server import PostgresServer
from tests.live.postgres.bench import PostgresBench, create_database


class Pair:
    """A primary, its replica, and a provisioned bench whose rotator knows both."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.primary = stack.enter_context(PostgresServer(hba=REPLICATION_HBA))
        self.replica = stack.enter_context(PostgresReplica(self.primary))
        self.line = stack.enter_context(Line(self.primary.port))
        self.database = create_database(self.primary, "bench")
        self.renew()

    def renew(self) -> None:
        """Roles of their own for one test, and a replica that has seen them."""
        self.bench = PostgresBench(self.primary, self.line, self.database)
        self.rotator = self.on([self.replica.port, self.primary.port])
        self.rotator.provision()
        self.slot, self.other = self.rotator.slots
        self.replica.catch_up()

    def on(self, ports: list[int], probe: str | None = None, pooler: Pooler | None = None) -> Postgres:
        """A rotator that knows the servers on those ports, in that order."""
        rotator = Postgres(
            hosts=[("127.0.0.1", port) for port in ports],
            dbname=self.bench.dbname,
            owner_role=f"{self.bench.name}_owner",
            roles=self.bench.rotator.slots,
            secret="database",
            service="clo",
            environment="test",
            admin=lambda: self.bench.admin,
            sslrootcert=self.primary.ca_file,
            probe=probe,
            pooler=pooler,
            connect=self.bench.connect,
        )
        self._stack.callback(rotator.close)
        return rotator

    def applied(self, fence: int = 5) -> Bundle:
        """A candidate that the primary accepts."""
        bundle = self.rotator.generate(self.slot)
        self.rotator.apply(bundle, fence)
        return bundle
