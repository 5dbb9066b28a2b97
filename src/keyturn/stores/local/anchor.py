"""The anchor: what was last seen of a vault, kept outside of it.

A vault that is older than its anchor was put back from a copy. The anchor is written after the transaction
is durable and before the next one begins, so a kill leaves it one transaction behind and never ahead.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyturn.core.errors import Corrupt, NotFound, RolledBack, TooLarge
from keyturn.system.files import OPEN_TO_OTHERS, Directory

FORMAT = "keyturn-anchor/1"
_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Mark:
    """One moment of a vault: after `seq` transactions its root was `root`, and before that `previous`.

    `endorsement` is the key before this one, sealed under it, where this very transaction changed the key.
    """

    vault_id: str
    seq: int
    root: bytes
    previous: bytes
    endorsement: bytes = b""


@dataclass(frozen=True, slots=True)
class Anchored:
    """What the anchor file says. `key` names the vault key of that moment."""

    vault_id: str
    seq: int
    root: bytes
    key: bytes


def read_anchor(path: Path) -> Anchored:
    """What was last seen.

    Raises:
        RolledBack: there is no anchor, so nothing shows that the vault is not an old copy.
        Corrupt: it is not an anchor file.
        Denied, Unavailable: it cannot be read, or others can write it.
    """
    try:
        with Directory(path.parent, private=OPEN_TO_OTHERS) as directory:
            return _parse(directory.read(path.name, _LIMIT, private=OPEN_TO_OTHERS))
    except NotFound:
        remedy = "put the anchor back, or make a new one: keyturn vault recover"
        raise RolledBack(f"the vault's anchor {path} is missing", remedy) from None
    except (TooLarge, ValueError, KeyError, TypeError, RecursionError):
        raise Corrupt(f"{path} is not an anchor file", "put it back from the state directory's backup") from None


def _parse(content: bytes) -> Anchored:
    fields: Any = json.loads(content)
    if fields["format"] != FORMAT or type(fields["seq"]) is not int:
        raise ValueError
    return Anchored(fields["vault"], fields["seq"], bytes.fromhex(fields["root"]), bytes.fromhex(fields["key"]))


def write_anchor(path: Path, mark: Mark, key: bytes) -> None:
    """Keep this moment, and the id of its vault key, as the last one seen; durable on return.

    Raises:
        Denied, NotFound, Unavailable: it could not be written; the former anchor stands.
    """
    fields = {"format": FORMAT, "key": key.hex(), "root": mark.root.hex(), "seq": mark.seq, "vault": mark.vault_id}
    with Directory(path.parent, private=OPEN_TO_OTHERS) as directory:
        directory.write(path.name, json.dumps(fields, sort_keys=True).encode() + b"\n")


def judge(anchored: Anchored, mark: Mark, key: bytes, *, settled: bool) -> None:
    """Compare a vault with what was last seen of it.

    Args:
        anchored: read before the vault was.
        mark: the vault as it is.
        key: the id of the vault key that stood at the anchor's moment, as far as the vault shows it.
        settled: whether nobody can have written since the anchor was read; then it may be one
            transaction behind, and no more.

    Raises:
        RolledBack: the vault, or the anchor, is older than it can be.
        Corrupt: another vault, or another history of this one.
    """
    if anchored.vault_id != mark.vault_id:
        raise Corrupt("the anchor belongs to another vault", "check the state directory")
    if mark.seq < anchored.seq:
        what = f"the vault is older (transaction {mark.seq}) than what was seen of it ({anchored.seq})"
        raise RolledBack(
            what, "put the newest copy back; to go on with this one, move the anchor away and run keyturn vault recover"
        )
    expected = {0: mark.root, 1: mark.previous}.get(mark.seq - anchored.seq)
    if expected is not None and (expected, key) != (anchored.root, anchored.key):
        raise RolledBack("the vault has another history than the one that was seen", "put the newest copy back")
    if settled and expected is None:
        what = f"the anchor is older (transaction {anchored.seq}) than it can be beside this vault ({mark.seq})"
        raise RolledBack(
            what, "put the newest anchor back; to go on without it, move it away and run keyturn vault recover"
        )
