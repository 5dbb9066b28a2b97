"""The first day of a team, run as docs/first-day.md tells it: `python -m scripts.first_day` writes its transcript anew.

The page is prose with blocks of commands and what they print. Each command is run by a shell, one after the other, in
one folder with an empty home, against a private PostgreSQL. What differs from run to run (ids, times, places, ports) is
shown as fixed words.
"""

import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from keyturn.core.duration import parse_duration
from keyturn.testing.certificates import Authority
from keyturn.testing.postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/first-day.md"
SHOWN = "/opt/clo-system"
"""The guide's own folder, which the transcript shows instead of the real one."""

DBNAME = "clo"
SECONDS = 120.0
_BLOCK = re.compile(r"^```console\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
_ID = re.compile(r"\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_PIN = re.compile(r"ed25519:[0-9a-f]{64}")
_AGE = re.compile(r"\([\d.]+(?:ms|s|m)(?: [\d.]+s)?\)|(?<=closed in )[\d.]+(?:ms|s|m)(?: [\d.]+s)?")
_LEFT = re.compile(r"(?<=due in )[0-9hmsd. ]+")
_PLAIN = {"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


@dataclass(slots=True)
class Day:
    """One run: where it happens, what its commands find in their environment, what is shown instead of what."""

    folder: Path
    environment: dict[str, str]
    shown: dict[str, str]
    heard: list[str] = field(default_factory=list)
    _ids: dict[str, str] = field(default_factory=dict)

    def __call__(self, command: str) -> str:
        """What the command prints, and its exit status where that is not 0."""
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=self.environment,
            timeout=SECONDS,
            check=False,
        )
        text = done.stdout.decode()
        self.heard.append(text)
        status = f"[{done.returncode}]\n" if done.returncode else ""
        return self.plain(text + status)

    def plain(self, text: str) -> str:
        """The text with fixed words for what no two runs have in common."""
        for real, shown in self.shown.items():
            text = text.replace(real, shown)
        text = _ID.sub(lambda match: self._numbered(match[0]), text)
        text = _PIN.sub("ed25519:…", _TIME.sub("2026-01-05T09:00:00.000Z", text))
        text = _AGE.sub(lambda match: "(1s)" if match[0].startswith("(") else "1s", text)
        return _LEFT.sub(lambda match: f"{round(parse_duration(match[0].replace(' ', '')) / 86_400)}d", text)

    def _numbered(self, real: str) -> str:
        """The same word for the same id, in the order in which they appear."""
        form = "0193a5c0-0000-7000-8000-{:012}" if "-" in real else "{:032}"
        return self._ids.setdefault(real, form.format(len(self._ids) + 1))


def replay(page: str, run: Callable[[str], str]) -> str:
    """The page, with what each command prints now."""
    return _BLOCK.sub(lambda match: f"```console\n{''.join(_block(match['body'], run))}```", page)


def commands(page: str) -> list[str]:
    """Every command of the page, in order."""
    return [command for match in _BLOCK.finditer(page) for command in _commands(match["body"])]


def _commands(body: str) -> list[str]:
    found: list[str] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
        elif line.startswith("> ") and found:
            found[-1] += f"\n{line[2:]}"
    return found


def _block(body: str, run: Callable[[str], str]) -> Iterator[str]:
    for command in _commands(body):
        first, *rest = command.splitlines()
        yield f"$ {first}\n"
        yield from (f"> {line}\n" for line in rest)
        yield run(command)


@contextmanager
def first_day(parent: Path, postgres: PostgresServer) -> Iterator[Day]:
    """The folder as a team that followed the guide has it, and an empty home beside it."""
    folder, home = parent / "clo-system", parent / "home"
    folder.mkdir(mode=0o755)
    home.mkdir(mode=0o700)
    admin = postgres.prepare(DBNAME)
    for name in admin:
        _write(folder / f"admin.{name}", admin[name].reveal())
    database = f"localhost:{postgres.port}"
    _write(folder / "smtp.password", secrets.token_urlsafe(18))
    lay_out(folder, database)
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    given = {"DATABASE": database, "CA": str(postgres.ca_file)}
    shown = {str(folder): SHOWN, database: "db.internal:5432", str(postgres.ca_file): "/etc/ssl/db-ca.pem"}
    yield Day(folder, {**_PLAIN, **given, "PATH": path, "HOME": str(home)}, shown)


def lay_out(folder: Path, database: str) -> None:
    """`.env.production` and the PEM files where the guide puts them, with the faults that following it brings."""
    for name in ("config", "secrets"):
        (folder / name).mkdir(mode=0o700)
    _write(folder / "config/.env.production", environment_file(database))
    key = rsa.generate_private_key(65_537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    authority = Authority()
    leaf = authority.issue("clo.example.com")
    for name, content, mode in (
        ("jwt-private-key.pem", private, 0o600),
        ("jwt-public-key.pem", public, 0o600),
        ("ssl-cert.pem", leaf.chain, 0o600),
        ("ssl-key.pem", leaf.private_key, 0o644),  # as a copy with a common umask leaves it
        ("ssl-ca-bundle.pem", authority.certificate, 0o600),
    ):
        _write(folder / "secrets" / name, content.decode(), mode)


def environment_file(database: str) -> str:
    """The guide's file, filled in: fresh values, what is no secret between them, and the password twice."""
    password, redis, host = secrets.token_hex(16), secrets.token_hex(16), database.partition(":")
    client = secrets.token_urlsafe(30)
    return f"""\
# {SHOWN}/config/.env.production
# Azure Authentication (for Key Vault access)
AZURE_TENANT_ID=00000000-0000-0000-0000-000000000002
AZURE_CLIENT_ID=00000000-0000-0000-0000-000000000003
AZURE_CLIENT_SECRET={client}

# Database Configuration
POSTGRES_HOST={host[0]}
POSTGRES_PORT={host[2]}
POSTGRES_SSL_MODE=require
PRODUCTION_POSTGRES_USER=clo_app
PRODUCTION_POSTGRES_PASSWORD={password}
PRODUCTION_DATABASE_URL=postgresql://clo_app:{password}@{database}/clo

# Cache
PRODUCTION_REDIS_PASSWORD={redis}
PRODUCTION_REDIS_URL=redis://:{redis}@cache.internal:6379/0

# Application Configuration
ENVIRONMENT=production
DEBUG=false
LOG_LEVEL=INFO

# External services
AZURE_STORAGE_KEY={secrets.token_urlsafe(64)}

# Monitoring Configuration
GRAFANA_ADMIN_PASSWORD={secrets.token_urlsafe(18)}
PROMETHEUS_ADMIN_PASSWORD={secrets.token_urlsafe(18)}

# Domain and SSL
PRODUCTION_DOMAIN=clo.example.com
FORCE_HTTPS=true
"""


def _write(path: Path, content: str, mode: int = 0o600) -> None:
    path.touch(mode=mode)
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)


def main() -> None:
    """Write the transcript anew."""
    page = PAGE.read_text(encoding="utf-8")
    with (
        tempfile.TemporaryDirectory() as parent,
        PostgresServer() as postgres,
        first_day(Path(parent), postgres) as day,
    ):
        text = replay(page, day)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
