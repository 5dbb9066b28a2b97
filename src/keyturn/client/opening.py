"""Where the secrets of an application are described: the first of five places that says something.

1. the path that is given to `open()`
2. the file that `KEYTURN_CLIENT` names
3. `keyturn.client.json` in the working directory, where it is there
4. `KEYTURN_SOURCE` and its companions
5. variables such as `DATABASE_URL_FILE`, and the files of `/run/secrets`

The place that is taken is taken whole: nothing of the later ones is mixed into it.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keyturn.client import log
from keyturn.client.configuration import DEFAULT_FILE, NAME_IT, SCHEMA, Configuration
from keyturn.client.sources import TAKES_REPORTS, UNPROVABLE, Source, open_source
from keyturn.client.sources.mounted import MOUNT, names
from keyturn.core.errors import UsageError
from keyturn.system.files import is_there, read_text

CLIENT, SOURCE, SECRETS = "KEYTURN_CLIENT", "KEYTURN_SOURCE", "KEYTURN_SECRETS"
TEXTS: Mapping[str, str] = {"max_stale": "KEYTURN_MAX_STALE", "status_dir": "KEYTURN_STATUS_DIR"}
"""Keys of the file that a variable gives."""
COMPANIONS: Mapping[str, Mapping[str, str]] = {
    "bundle-dir": {"path": "KEYTURN_BUNDLE_DIR"},
    "secret-files": {"directory": "KEYTURN_SECRETS_DIR"},
    "azure-key-vault": {"url": "KEYTURN_KEY_VAULT_URL", "identity": "KEYTURN_KEY_VAULT_IDENTITY"},
    "agent": {"socket": "KEYTURN_AGENT_SOCKET", "consumer": "KEYTURN_AGENT_CONSUMER", "user": "KEYTURN_AGENT_USER"},
}
"""Keys of `source` that a variable gives, by its kind."""
FILES = "secret-files"
MAX_TEXT = 4096


@dataclass(frozen=True, slots=True)
class Choice:
    """What was taken: a file, or the content of one as variables say it; `origin` is for people."""

    origin: str
    file: Path | None = None
    content: Mapping[str, Any] | None = None


def choose(
    path: str | os.PathLike[str] | None,
    said: Callable[[str], str | None],
    is_there: Callable[[Path], bool],
    mounted: Callable[[str], tuple[str, ...]],
) -> Choice:
    """The first place that says something.

    Args:
        path: what was given to `open()`.
        said: what a variable says, None where it is not set.
        is_there: whether a file is there.
        mounted: the names of the secrets that are found with a directory of files.

    Raises:
        UsageError: no place says anything; names them all, in their order.
    """
    if path:
        file = Path(path).absolute()
        return Choice(str(file), file)
    if named := said(CLIENT):
        file = Path(named).absolute()
        return Choice(f"{file} ({CLIENT})", file)
    file = Path(DEFAULT_FILE).absolute()
    if is_there(file):
        return Choice(str(file), file)
    if kind := said(SOURCE):
        return Choice(f"{SOURCE} and its companions", content=_content(kind, said, mounted))
    content = _content(FILES, said, mounted)
    if content["secrets"]:
        return Choice(f"NAME_FILE variables and {content['source'].get('directory', MOUNT)}", content=content)
    looked = (
        f"{CLIENT} (not set)",
        f"{file} (not there)",
        f"{SOURCE} (not set)",
        f"{MOUNT} (no secret; a file elsewhere counts if {SECRETS} names it)",
    )
    raise UsageError(
        f"nothing says where the secrets are; looked at: {', '.join(looked)}",
        NAME_IT,
    )


def find(path: str | os.PathLike[str] | None = None) -> Configuration:
    """The configuration of this process.

    Raises:
        UsageError: nothing says where the secrets are, two things do, or what is said is wrong.
        AdapterError: a file that a variable names cannot be read.
    """
    choice = choose(path, _said, is_there, lambda directory: names(Path(directory), os.environ))
    if choice.file is not None:
        configuration = _read(choice.file, choice.origin)
    elif not (choice.content or {})["secrets"]:
        raise UsageError(f"{SOURCE} is set, and names no secret: {SECRETS} does", f"{SECRETS}=database,api-key")
    else:
        try:
            configuration = Configuration.of(choice.content)
        except ValueError as error:
            raise UsageError(f"{choice.origin}: {error}", "docs/client.md lists the variables") from None
    log.info("the secrets are opened as %s says", choice.origin)
    return replace(configuration, origin=choice.origin)


def _read(file: Path, origin: str) -> Configuration:
    """The configuration in that file; who named it stands in the error."""
    try:
        return Configuration.read(file)
    except UsageError as error:
        raise UsageError(error.message.replace(str(file), origin, 1), error.remedy) from None


def source_of(configuration: Configuration) -> Source:
    """The source that a configuration describes.

    Raises:
        UsageError: there is no such source, or it is described wrongly.
        AdapterError: it cannot be opened.
    """
    kind = configuration.source.get("kind")
    if configuration.status_dir is not None and kind in UNPROVABLE:
        raise UsageError(
            f"{configuration.origin}: status_dir: a process that reads {kind} cannot report, for nothing there tells "
            "which version of Keyturn it is",
            'leave it out, and declare the consumer with kind = "files" or a grace',
        )
    if configuration.status_dir is not None and kind in TAKES_REPORTS:
        raise UsageError(f"{configuration.origin}: this source takes the reports itself", "leave status_dir out")
    try:
        return open_source(configuration.source, configuration.secrets)
    except ValueError as error:
        raise UsageError(f"{configuration.origin}: {error}", "docs/client.md shows the file") from None


def _content(kind: str, said: Callable[[str], str | None], mounted: Callable[[str], tuple[str, ...]]) -> dict[str, Any]:
    """What the variables say, in the form of the file."""
    companions = {key: said(name) for key, name in COMPANIONS.get(kind, {}).items()}
    source = {"kind": kind, **{key: text for key, text in companions.items() if text}}
    listed = [name.strip() for name in (said(SECRETS) or "").split(",") if name.strip()]
    if not listed and kind == FILES:
        listed = list(mounted(source.get("directory", str(MOUNT))))
    texts = {key: text for key, name in TEXTS.items() if (text := said(name))}
    return {"schema": SCHEMA, "source": source, "secrets": listed, **texts}


def _said(name: str) -> str | None:
    """The value of a variable, from itself or from the file that its twin with `_FILE` names.

    Raises:
        UsageError: both are set.
        AdapterError: the file cannot be read.
    """
    twin = f"{name}_FILE"
    if os.environ.get(name) and os.environ.get(twin):
        raise UsageError(f"{name} and {twin} are both set", "unset one of them")
    if file := os.environ.get(twin):
        return read_text(Path(file), MAX_TEXT).removesuffix("\n") or None
    return os.environ.get(name) or None
