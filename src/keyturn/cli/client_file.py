"""The `keyturn.client.json` of a consumer of the manifest: where its application finds what, and never a value."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from keyturn.cli.delivered import READS_A_BUNDLE
from keyturn.client.configuration import MAX_BYTES, SCHEMA, Configuration
from keyturn.client.environment import variable
from keyturn.core.errors import NotAvailable, NotFound, Refused, UsageError
from keyturn.manifest import Manifest
from keyturn.manifest.consumer import ConsumerTable
from keyturn.system.files import read_file, write_atomic


def client_file(manifest: Manifest, consumer: str) -> bytes:
    """Its content: the agent for those that the manifest opens to it, else the bundle directory.

    Raises:
        UsageError: there is no such consumer, no secret names it, or nothing says where the agent listens.
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
        **(_agent(manifest, consumer) if from_agent(table) else _directory(places)),
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


def from_agent(table: ConsumerTable) -> bool:
    """Whether the agent stands between Keyturn and it, so that its directories are Keyturn's alone."""
    return bool(getattr(table, "agent_user", None) or getattr(table, "agent_group", None))


def _directory(places: Mapping[str, str]) -> dict[str, Any]:
    return {"source": {"kind": "bundle-dir", "path": places["bundle_dir"]}, "status_dir": places.get("status_dir")}


def _agent(manifest: Manifest, consumer: str) -> dict[str, Any]:
    """The agent runs as the user whose the state is: a number, which means the same in a container."""
    settings = manifest.keyturn
    if settings.agent_socket is None:
        remedy = 'agent_socket = "/run/keyturn/agent.sock" in [keyturn]'
        raise UsageError(f"{consumer} is served by the agent, and nothing says where it listens", remedy)
    try:
        user = settings.state.stat().st_uid
    except OSError:
        user = os.geteuid()
    named = {"consumer": consumer, "user": str(user)}
    return {"source": {"kind": "agent", "socket": str(settings.agent_socket), **named}}


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
