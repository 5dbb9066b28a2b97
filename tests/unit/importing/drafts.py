"""Drafts of what a team has, over the manifest of the guide."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from keyturn.core.secret import SecretValue
from keyturn.importing.drafting import draft
from keyturn.importing.leads import leads_of
from keyturn.importing.plan import Draft, Row
from keyturn.manifest import Manifest, load
from keyturn.stores.taking import Found
from keyturn.stores.taking.found import Entry, Refusal, entry_of

CANARY = "canary-2f6d90"
NOW = datetime(2026, 12, 1, tzinfo=UTC)
ENV = Path("/opt/clo-system/config/.env.production")
FILES = Path("/opt/clo-system/secrets")
GUIDE = Path(__file__).parents[1] / "manifest" / "guide.toml"
DATABASE_URL = f"postgresql://clo_a:{CANARY}%40-password@db.internal:5432/clo?sslmode=verify-full"
PASSWORD = f"{CANARY}@-password"


def guide() -> Manifest:
    """Every secret of the guide."""
    return load(GUIDE, None)


def of_env(variables: Mapping[str, str]) -> list[Entry | Refusal]:
    """The lines of a `.env` file."""
    pairs = enumerate(variables.items(), start=1)
    return [entry_of(Entry(ENV, line, key, SecretValue(text))) for line, (key, text) in pairs]


def of_files(contents: Mapping[str, str]) -> list[Entry | Refusal]:
    """The files of a directory."""
    return [entry_of(Entry(FILES / name, None, name, SecretValue(text))) for name, text in contents.items()]


def drafted(
    env: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    maps: Sequence[str] = (),
    manifest: Manifest | None = None,
) -> Draft:
    """The draft; no text of it holds a value."""
    items = [*of_env(env or {}), *of_files(files or {})]
    entries = tuple(item for item in items if isinstance(item, Entry))
    found = Found(entries, tuple(item for item in items if isinstance(item, Refusal)))
    declared = manifest or guide()
    made = draft(found, declared, leads_of(declared, maps), NOW)
    assert CANARY not in repr(made)
    return made


def row(made: Draft, key: str) -> Row:
    """The row of that name."""
    (found,) = [one for one in made.rows if one.key == key]
    return found


def obstacles(made: Draft) -> list[tuple[str, str]]:
    """What stands in the way: reason, and whose."""
    return [(one.reason, one.subject) for one in made.obstacles]


def warnings(made: Draft) -> list[str]:
    """What is told besides."""
    return [one.reason for one in made.findings if one not in made.obstacles]
