"""A streaming replica of a private test server: same TLS, roles and superuser, a port of its own."""

import time
from typing import LiteralString

from psycopg import sql

from keyturn.core.errors import Unavailable
from keyturn.system.postgres import Session
from keyturn.testing.postgres_server import HBA, SUPERUSER, PostgresServer

REPLICATION_HBA = (HBA, "hostssl replication all 127.0.0.1/32 scram-sha-256")
"""The lines of pg_hba.conf that the primary needs."""
PATIENCE = 30.0


class PostgresReplica(PostgresServer):
    """A hot standby that follows `primary`, which runs already and has `REPLICATION_HBA`.

    Made by pg_basebackup and started as any other; it lives as long as the `with` block, and the
    primary has to live longer: its CA file verifies both.
    """

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__(programs=primary.programs)
        self.primary = primary
        self.superuser = primary.superuser
        self.ca_file = primary.ca_file

    def pause_replay(self) -> None:
        """Receive all, show nothing of it: a replica that lags."""
        self.execute("SELECT pg_wal_replay_pause()")
        self._await("SELECT pg_get_wal_replay_pause_state() = 'paused'")

    def resume_replay(self) -> None:
        """Catch up."""
        self.execute("SELECT pg_wal_replay_resume()")

    def cut_off(self) -> None:
        """Receive nothing more of what the primary acknowledges from now on."""
        self.execute("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
        self._await("SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")

    def promote(self) -> None:
        """Become a primary."""
        self.execute("SELECT pg_promote(true, 30)")
        self._await("SELECT NOT pg_is_in_recovery()")

    def catch_up(self) -> None:
        """Wait until everything that the primary has committed so far is shown here."""
        ((written,),) = self.primary.execute("SELECT pg_current_wal_lsn()::text")
        self._await(sql.SQL("SELECT pg_last_wal_replay_lsn() >= {}::pg_lsn").format(sql.Literal(written)))

    def _initialise(self) -> None:
        self._chown(self.directory)
        self.directory.chmod(0o711)
        passfile = self.directory / "pgpass"
        self._write(passfile.name, f"{self.primary.host}:{self.primary.port}:*:{SUPERUSER}:")
        with passfile.open("a") as line:
            line.write(self.superuser["password"].reveal())
        source = (
            f"host={self.primary.host} port={self.primary.port} user={SUPERUSER} sslmode=verify-ca "
            f"sslrootcert={self.ca_file} sslcert={self.directory / 'none'} passfile={passfile}"
        )
        self._run(
            *("pg_basebackup", "-D", self.data, "-d", source, "--wal-method=stream"),
            *("--checkpoint=fast", "--write-recovery-conf", "--no-sync"),
        )

    def _await(self, question: LiteralString | sql.Composed) -> None:
        until = time.monotonic() + PATIENCE
        session: Session = self.connect()
        with session:
            while session.execute(question).fetchone() != (True,):
                if time.monotonic() > until:
                    raise Unavailable("the replica did not get there")
                time.sleep(0.01)
