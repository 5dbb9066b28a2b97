"""A whole installation in one folder: a database, a manifest, Keyturn's state, and an application of several processes.

For the crash harness, the live tests and the demo. Everything in it is real; only the folder is temporary.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from psycopg import sql

from keyturn.core.secret import Bundle
from keyturn.manifest import Manifest, load
from keyturn.rotation.intake import Place, take_in
from keyturn.rotation.parts import LOOKS
from keyturn.testing.postgres_server import PostgresServer
from keyturn.wiring import Assembly, create_state, state_of

SECRET_NAME, ADMIN_NAME, CONSUMER = "database", "postgres-admin", "clo-api"
AZURE_NAME = "azure-client"
DBNAME, OWNER, ROLES = "clo", "clo_owner", ("clo_a", "clo_b")
TABLE = "deals"
REPEATS = 5

MANIFEST = """\
[service]
name = "clo"
environment = "staging"

[keyturn]
state = "{state}"

[stores.main]
kind = "local"
vault_id = "{vault_id}"
{more}
[secrets.postgres-admin]
kind = "manual"
owner = "platform@example.com"
purpose = "Keyturn changes log-in roles"
used_by = "keyturn"
fields = ["username", "password"]
{local}
[secrets.database]
kind = "postgres"
{store}owner = "platform@example.com"
purpose = "the API reads and writes deals"
rotate = {{ every = "30d", overlap = "{overlap}"{deadline} }}
target = {{ hosts = ["{host}:{port}"], dbname = "{dbname}", owner_role = "{owner}", roles = ["{a}", "{b}"], \
admin = "postgres-admin", sslmode = "verify-full", sslrootcert = "{ca}"{answer}, \
connect_timeout = "{connect_timeout}" }}
publish.database-url = {{ template = "postgresql://{{username}}:{{password}}@{{host}}:{{port}}/{{dbname}}\
?sslmode=verify-full&sslrootcert={ca}", env = "DATABASE_URL" }}
consumers = ["clo-api"]

[consumers.clo-api]
kind = "application"
bundle_dir = "{bundle}"
status_dir = "{status}"
expect = {processes}
max_stale = "{max_stale}"
"""

IN_KEY_VAULT = """
[stores.azure]
kind = "azure-key-vault"
url = "{url}"
authority = "{authority}"
ca_file = "{ca}"
verify_challenge_resource = false
timeout = "{timeout}"
identity = {{ kind = "client-secret", tenant_id = "{tenant}", client_id = "{client}", credential = "azure-client" }}

[secrets.azure-client]
kind = "manual"
owner = "platform@example.com"
purpose = "Keyturn signs in at the vault"
used_by = "keyturn"
store = "main"
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast things go, as the manifest writes durations. The overlap follows from them.

    `deadline` is that of a settle, `answer` that of one connection to the target. `looks` are seconds after a promote
    at which a store without compare-and-swap is looked at again.
    """

    overlap: str = "0s"
    max_stale: str = "500ms"
    connect_timeout: str = "1s"
    deadline: str = ""
    answer: str = ""
    looks: tuple[float, ...] = LOOKS


@dataclass(frozen=True, slots=True)
class InKeyVault:
    """A vault for tests that shall hold the credential of the database, and an application that may write there.

    `timeout` is that of one request, as the manifest writes it.
    """

    url: str
    authority: str
    ca_file: str
    tenant_id: str
    client_id: str
    client_secret: Bundle
    timeout: str = "2s"


class Installation:
    """The folder with all of it.

    Args:
        folder: an empty folder of ours.
        postgres: a running private server.
        processes: how many the application shall have.
        pace: durations of the manifest.
        dbname: a database of that name is made.
        port: where the manifest finds the server; None for the server's own.
        others: processes of the application beside those, which the caller starts itself.
        store: the vault that holds the credential of the database; None for the local one, which holds all others.
    """

    def __init__(  # noqa: PLR0913 - what an installation is made of, all by name
        self,
        folder: Path,
        postgres: PostgresServer,
        *,
        processes: int = 4,
        pace: Pace | None = None,
        dbname: str = DBNAME,
        port: int | None = None,
        others: int = 0,
        store: InKeyVault | None = None,
    ) -> None:
        self.folder, self.postgres, self.expected = folder, postgres, processes
        self._port, self._others = port or postgres.port, others
        self.dbname = dbname
        self.roles = tuple(f"{dbname}{role.removeprefix(DBNAME)}" for role in ROLES)
        self.owner = f"{dbname}{OWNER.removeprefix(DBNAME)}"
        self.manifest_path = folder / "keyturn.toml"
        self.client_path = folder / "keyturn.client.json"
        self.run = folder / "run"
        self.processes: list[subprocess.Popen[bytes]] = []
        self._pace, self._store = pace or Pace(), store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_application()

    @property
    def logs(self) -> list[Path]:
        """What the processes of the application say of themselves, one file each."""
        return sorted(self.folder.glob("app-*.log"))

    def prepare(self) -> None:
        """State, manifest, database with its admin, and the admin's credential in the vault."""
        for path in (self.run, self.run / "status"):
            path.mkdir(mode=0o700)
        vault_id, _, _ = create_state(state_of(self.folder / "state", {}))
        self.manifest_path.write_text(self._manifest(vault_id))
        self.manifest_path.chmod(0o600)
        self.client_path.write_text(json.dumps(self._client()))
        admin = self.postgres.prepare(self.dbname)
        self._bring(ADMIN_NAME, admin)
        if self._store:
            self._bring(AZURE_NAME, self._store.client_secret)

    def _bring(self, name: str, bundle: Bundle) -> None:
        assembly = self.assembly()
        lock = assembly.state.locks / f"{name}.lock"
        take_in(assembly.journal, Place(name, assembly.store(name), name), bundle, "installation", lock)
        assembly.close()

    def provision(self, more: Iterable[str] = ()) -> None:
        """The roles, the first version, the table that the application works with, and the application.

        `more` are options as of `start_application`.
        """
        assembly = self.assembly()
        rotator: Any = assembly.rotator(SECRET_NAME)
        rotator.provision()
        engine = assembly.engine(SECRET_NAME)
        engine.begin("provision")
        outcome = engine.advance(60)
        for _ in range(REPEATS):
            if outcome.status == "waiting":  # for a store or target that fails: whoever provisions tries again
                outcome = engine.advance(60)
        if outcome.status != "closed":
            raise RuntimeError(f"provision: {outcome}")
        self.postgres.execute(
            sql.SQL("SET ROLE {}").format(sql.Identifier(self.owner)),
            sql.SQL("CREATE TABLE IF NOT EXISTS {} (id bigserial PRIMARY KEY, name text NOT NULL)").format(
                sql.Identifier(TABLE)
            ),
            dbname=self.dbname,
        )
        assembly.close()
        self.start_application(more)

    def manifest(self) -> Manifest:
        """The manifest, read anew."""
        return load(self.manifest_path)

    def assembly(self, around: Callable[[str, Any], Any] = lambda _, part: part, **more: Any) -> Assembly:  # noqa: ANN401 - as Assembly takes them
        """A fresh assembly on this installation, as a new process would make it; `more` is its options."""
        return Assembly(self.manifest(), around=around, **{"looks": self._pace.looks, **more})

    def current(self) -> Bundle:
        """The current credential of the database."""
        assembly = self.assembly()
        try:
            return assembly.bundle(SECRET_NAME)
        finally:
            assembly.close()

    def start_application(self, more: Iterable[str] = ()) -> None:
        """Start the processes that are missing. `more` are options of `keyturn.testing.consumer_process`."""
        while len(self.processes) < self.expected:
            number = len(self.processes)
            command = [sys.executable, "-m", "keyturn.testing.consumer_process", "--client", str(self.client_path)]
            command += ["--log", str(self.folder / f"app-{number}.log"), "--table", TABLE, *more]
            # Ctrl-C in a terminal is for us, and a rotation under way needs them to come to its end.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own module
            self.processes.append(process)

    def stop_application(self) -> None:
        """End the processes, by pid, and wait for them."""
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def _manifest(self, vault_id: str) -> str:
        return MANIFEST.format(
            state=self.folder / "state",
            vault_id=vault_id,
            more=self._in_key_vault(),
            local='store = "main"\n' if self._store else "",
            store='store = "azure"\n' if self._store else "",
            overlap=self._pace.overlap,
            deadline=f', deadline = "{self._pace.deadline}"' if self._pace.deadline else "",
            host=self.postgres.host,
            port=self._port,
            answer=f', deadline = "{self._pace.answer}"' if self._pace.answer else "",
            dbname=self.dbname,
            owner=self.owner,
            a=self.roles[0],
            b=self.roles[1],
            ca=self.postgres.ca_file,
            connect_timeout=self._pace.connect_timeout,
            bundle=self.run / "bundle",
            status=self.run / "status",
            processes=self.expected + self._others,
            max_stale=self._pace.max_stale,
        )

    def _in_key_vault(self) -> str:
        vault = self._store
        if vault is None:
            return ""
        return IN_KEY_VAULT.format(
            url=vault.url,
            authority=vault.authority,
            ca=vault.ca_file,
            timeout=vault.timeout,
            tenant=vault.tenant_id,
            client=vault.client_id,
        )

    def _client(self) -> dict[str, Any]:
        return {
            "schema": "keyturn/client/1",
            "source": {"kind": "bundle-dir", "path": str(self.run / "bundle")},
            "status_dir": str(self.run / "status"),
            "max_stale": self._pace.max_stale,
            "secrets": [SECRET_NAME],
        }
