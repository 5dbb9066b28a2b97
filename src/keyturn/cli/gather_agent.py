"""The declared socket of the agent, looked at and knocked at once. Nothing is said there."""

import os
import stat
from dataclasses import replace
from pathlib import Path

from keyturn.checks.agent import AgentLook
from keyturn.core.errors import KeyturnError
from keyturn.manifest import Manifest
from keyturn.system.listening import answers


def agent_look(manifest: Manifest) -> AgentLook | None:
    """What was seen; None where no socket is declared."""
    path = manifest.keyturn.agent_socket
    if path is None:
        return None
    look = AgentLook(str(path), os.geteuid())
    try:
        directory, socket = _seen(path.parent), _seen(path)
        if directory is not None:
            look = replace(look, directory_owner=directory.st_uid, directory_mode=stat.S_IMODE(directory.st_mode))
        return replace(look, owner=None if socket is None else socket.st_uid, answers=answers(path))
    except OSError as error:
        return replace(look, failure=error.strerror or "it cannot be looked at")
    except KeyturnError as error:
        return replace(look, failure=error.message)


def _seen(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
