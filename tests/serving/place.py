"""The folder of a proof: what an operator has, and does with the command; PostgreSQL, Redis and their contents."""

import json
import os
import secrets as random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from psycopg import sql
from redis import Redis

from keyturn.core.rotator import Answer
from keyturn.core.secret import Bundle, SecretValue
from keyturn.journal.record import Record
from keyturn.manifest import load
from keyturn.rotation.report import Report, reports
from keyturn.testing.postgres_server import PostgresServer
from keyturn.testing.redis_server import USER, RedisServer
from keyturn.wiring import Assembly
from tests.serving.desk import digest

ROOT = Path(__file__).resolve().parents[2]
SECRET = "database"
PROCESSES = 4
ROLES = ("clo_a", "clo_b")
SECONDS = 180.0

MANIFEST = """
[secrets.postgres-admin]
kind = "manual"
owner = "platform@example.com"
purpose = "Keyturn changes log-in roles"
used_by = "keyturn"
fields = ["username", "password"]

[secrets.database]
kind = "postgres"
owner = "platform@example.com"
purpose = "the API reads and writes deals"
rotate = {{ every = "30d", overlap = "0s", deadline = "{deadline}" }}
target = {{ hosts = ["{host}:{port}"], dbname = "clo", owner_role = "clo_owner", roles = ["clo_a", "clo_b"], \
admin = "postgres-admin", sslmode = "verify-full", sslrootcert = "{ca}", connect_timeout = "1s" }}
publish.database-url = {{ template = "postgresql://{{username}}:{{password}}@{{host}}:{{port}}/{{dbname}}\
?sslmode=verify-full&sslrootcert={ca}", env = "DATABASE_URL" }}
consumers = ["clo-api"]

[secrets.redis]
kind = "manual"
owner = "platform@example.com"
purpose = "sessions of users"
fields = ["username", "password"]
publish.redis-url = {{ template = "redis://{{username}}:{{password}}@127.0.0.1:{redis}/0", env = "REDIS_URL" }}
consumers = ["clo-api"]

[secrets.jwt]
kind = "manual"
owner = "platform@example.com"
purpose = "log-in tokens"
fields = ["private_key", "public_key"]
publish.jwt-keys = {{ template = "{{private_key}}{{public_key}}", env = "JWT_KEYS" }}
consumers = ["clo-api"]

[consumers.clo-api]
kind = "application"
bundle_dir = "{run}/bundle"
status_dir = "{run}/status"
expect = {processes}
max_stale = "500ms"
"""


class Place:
    """An installation that was made by the command alone, in front of a private PostgreSQL and a private Redis."""

    def __init__(self, folder: Path, postgres: PostgresServer, redis: RedisServer, deadline: str = "2m") -> None:
        self.folder, self.postgres, self.redis = folder, postgres, redis
        self.manifest = folder / "keyturn.toml"
        self.client = folder / "keyturn.client.json"
        self._deadline = deadline

    def prepare(self, users: Iterable[tuple[str, SecretValue]]) -> None:
        """`init`, the manifest, `import` of what there was, `provision`, `tick`; then the tables and the users."""
        self.keyturn("init", str(self.folder), "--service", "clo", "--recovery-file", str(self.folder / "recovery"))
        run = self.folder / "run"
        for path in (run, self.folder / "secrets"):
            path.mkdir(mode=0o700)
        declared = MANIFEST.format(
            host=self.postgres.host,
            port=self.postgres.port,
            ca=self.postgres.ca_file,
            redis=self.redis.port,
            run=run,
            processes=PROCESSES,
            deadline=self._deadline,
        )
        self.manifest.write_text(self.manifest.read_text() + declared)
        self.client.write_text(json.dumps(self._client(run)))
        self._bring()
        self.keyturn("import", str(self.folder / ".env"), str(self.folder / "secrets"), "--yes")
        self.keyturn("provision", SECRET, "--yes")
        self.keyturn("tick")  # delivers what was imported
        self._furnish(users)

    def keyturn(self, *words: str, status: int = 0) -> dict[str, Any]:
        """The command, as an operator runs it; its document.

        Raises:
            RuntimeError: it ended otherwise.
        """
        chosen = () if words[0] == "init" else ("--manifest", str(self.manifest))
        plain = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
        done = subprocess.run(
            [sys.executable, "-m", "keyturn", *chosen, *words, "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=plain,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode != status:
            raise RuntimeError(f"keyturn {words[0]}: {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
        document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return document

    def current(self) -> Bundle:
        """The current credential of the database."""
        assembly = self._assembly()
        try:
            return assembly.bundle(SECRET)
        finally:
            assembly.close()

    def answers(self, bundles: Iterable[Bundle]) -> list[Answer]:
        """What the database says to each."""
        assembly = self._assembly()
        try:
            rotator = assembly.rotator(SECRET)
            return [rotator.accepts(bundle).answer for bundle in bundles]
        finally:
            assembly.close()

    def records(self) -> list[Record]:
        """What the journal has of the database's credential."""
        assembly = self._assembly()
        try:
            return list(assembly.journal.read(SECRET))
        finally:
            assembly.close()

    def reports(self) -> tuple[Report, ...]:
        """Each rotation as evidence, the first version's too."""
        return reports(self.records())

    def generation(self) -> str:
        """Which delivery lies in the bundle directory."""
        return str((self.folder / "run" / "bundle").readlink())

    def deals(self) -> dict[str, int]:
        """How many deals each user has in the database."""
        rows = self.postgres.execute("SELECT owner, count(*) FROM deals GROUP BY owner", dbname="clo")
        return {str(owner): int(count) for owner, count in rows}

    def forget_sessions(self) -> None:
        """What the guide's emergency script does to Redis."""
        assembly = self._assembly()
        try:
            bundle = assembly.bundle("redis")
        finally:
            assembly.close()
        user, password = bundle["username"], bundle["password"]
        with Redis(self.redis.host, self.redis.port, username=user.reveal(), password=password.reveal()) as session:
            session.flushdb()

    def _assembly(self) -> Assembly:
        return Assembly(load(self.manifest))

    def _bring(self) -> None:
        """What the team had before: a `.env` file and two PEM files."""
        admin = self.postgres.prepare("clo")
        password = SecretValue(random.token_urlsafe(24))
        self.redis.passwords(password)
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        user, word = admin["username"], admin["password"]
        text = before(user.reveal(), word.reveal(), password.reveal(), self.redis.port)
        write(self.folder / "secrets" / "jwt_private_key.pem", private)
        write(self.folder / "secrets" / "jwt_public_key.pem", public)
        write(self.folder / ".env", text)

    def _furnish(self, users: Iterable[tuple[str, SecretValue]]) -> None:
        """The service's tables, as their owner makes them, and its users."""
        with self.postgres.connect("clo") as session:
            session.execute("SET ROLE clo_owner")
            session.execute("CREATE TABLE people (name text PRIMARY KEY, salt bytea NOT NULL, digest bytea NOT NULL)")
            session.execute("CREATE TABLE deals (id bigserial PRIMARY KEY, owner text NOT NULL, title text NOT NULL)")
            session.execute("CREATE INDEX deals_of ON deals (owner)")
            for name, password in users:
                salt = random.token_bytes(16)
                kept = sql.Literal(digest(password.reveal(), salt))
                people = sql.SQL("INSERT INTO people VALUES ({}, {}, {})")
                session.execute(people.format(sql.Literal(name), sql.Literal(salt), kept))

    def _client(self, run: Path) -> dict[str, Any]:
        return {
            "schema": "keyturn/client/1",
            "source": {"kind": "bundle-dir", "path": str(run / "bundle")},
            "status_dir": str(run / "status"),
            "max_stale": "500ms",
            "secrets": [SECRET, "redis", "jwt"],
        }


def before(admin: str, password: str, of_redis: str, port: int) -> bytes:
    """The `.env` file of the team."""
    lines = (
        f"POSTGRES_ADMIN_USERNAME={admin}",
        f"POSTGRES_ADMIN_PASSWORD={password}",
        f"REDIS_URL=redis://{USER}:{of_redis}@{RedisServer.host}:{port}/0",
    )
    return "\n".join((*lines, "")).encode()


def write(path: Path, content: bytes) -> None:
    """A file that only its owner reads."""
    path.touch(mode=0o600)
    path.write_bytes(content)
