"""The `keyturn.client.json` of a consumer of the manifest: where its application finds what, and never a value."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from keyturn.cli.delivered import READS_A_BUNDLE
from keyturn.client.configuration import MAX_BYTES, SCHEMA, Configuration
from keyturn.client.environment import variable
from keyturn.core.errors import NotAvailable, NotFound, Refused, UsageError
from keyturn.manifest import Manifest
from keyturn.system.files import read_file, write_atomic


def client_file(manifest: Manifest, consumer: str) -> bytes:
    """Its content.

    Raises:
        UsageError: there is no such consumer, or no secret names it.
        NotAvailable: it is of a kind that reads no bundle.
    """
    if (table := manifest.consumers.get(consumer)) is None:
        raise UsageError(f"the manifest has no consumer {consumer!r:.80}", "keyturn consumer list")
    places = {key: str(path) for key, path in table.directories}
    if table.kind not in READS_A_BUNDLE or "bundle_dir" not in places:
        raise NotAvailable(f"a client file for a consumer of kind {table.kind!r}")
    used = manifest.used_by(consumer)
    if not used:
        raise UsageError(f"no secret names the consumer {consumer}", f'consumers = ["{consumer}"] in each that it uses')
    views = [view for name in used for view in manifest.secrets[name].publish.items()]
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "source": {"kind": "bundle-dir", "path": places["bundle_dir"]},
        "status_dir": places.get("status_dir"),
        "max_stale": _duration(table.max_stale),
        "secrets": list(used),
        "env": {name: view.env for name, view in views if view.env and view.env != variable(name)},
    }
    text = json.dumps({key: one for key, one in content.items() if one not in (None, {})}, indent=2).encode() + b"\n"
    try:
        Configuration.parse(text)
    except ValueError as error:
        raise UsageError(f"the client file of {consumer} would not be one: {error}", "keyturn plan") from None
    return text


def differs(path: Path, content: bytes) -> str:
    """Why the file is not that; empty where it is.

    Raises:
        Refused: something else than a client file has that name.
    """
    try:
        there = read_file(path, MAX_BYTES)
    except NotFound:
        return "is not there"
    if there == content:
        return ""
    with suppress(ValueError):
        Configuration.parse(there)
        return "says something else"
    raise Refused(f"{path} is there, and is no client file", "name another file, or move it away")


def put(path: Path, content: bytes) -> None:
    """Write it: everybody may read it, for it holds no value. Raises AdapterError."""
    write_atomic(path, content, mode=0o644)


def _duration(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"
