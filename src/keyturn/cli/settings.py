"""What the environment says: the one place where the command reads KEYTURN_* names.

Each name has a twin with `_FILE` at its end, which names a file that holds the value. Both set is
an error. `KEYTURN_VAULT_KEY_FILE` is a path by itself, has no twin, and is read by `keyturn.manifest.state`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keyturn.core.errors import UsageError
from keyturn.system.files import read_text

MANIFEST, PROFILE, DEBUG = "KEYTURN_MANIFEST", "KEYTURN_PROFILE", "KEYTURN_DEBUG"
DEFAULT_MANIFEST = "keyturn.toml"
MAX_VALUE = 4096


@dataclass(frozen=True, slots=True)
class Settings:
    """Which manifest, and which of its profiles."""

    manifest: Path
    profile: str | None


def variable(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The value of `name`, from itself or from the file that its twin names; None when neither is set.

    Raises:
        UsageError: both are set.
        AdapterError: the file cannot be read.
    """
    twin = f"{name}_FILE"
    if environ.get(name) and environ.get(twin):
        raise UsageError(f"{name} and {twin} are both set", "unset one of them")
    if environ.get(twin):
        return read_text(Path(environ[twin]), MAX_VALUE).removesuffix("\n") or None
    return environ.get(name) or None


def settings(manifest: Path | None, profile: str | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """An option wins over the environment, the environment over the default.

    Raises:
        UsageError, AdapterError: as `variable`.
    """
    return Settings(
        manifest or Path(variable(MANIFEST, environ) or DEFAULT_MANIFEST), profile or variable(PROFILE, environ)
    )
