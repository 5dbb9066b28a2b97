"""The key file: 32 random bytes that open the vault and the state vault, readable by us alone."""

import fcntl
import os
import secrets
import struct
from base64 import b64decode
from contextlib import suppress
from pathlib import Path

from keyturn.core.errors import Conflict, Corrupt, Unavailable
from keyturn.stores.local.sealing import KEY_BYTES
from keyturn.system.files import OPEN_TO_OTHERS, Directory, read_file, typed_errors

_LIMIT = 256
_NOT_FOR_WORLD = 0o037
_ACL_OWNER, _ACL_USER, _ACL_MASK = 0x01, 0x02, 0x10
_ACL_READ = 4
_ACL_VERSION, _ACL_ENTRY = b"\2\0\0\0", struct.Struct("<HHI")


def make_key_file(path: Path) -> None:
    """Write a new key file (32 random bytes as hex, 0600), unless one is there already.

    It is written under its own name and no other, so that no kill leaves a second copy of the key;
    one that was cut short is refused when it is read.

    Raises:
        Denied, NotFound, Unavailable: it could not be written.
    """
    with Directory(path.parent, follow=True) as directory, suppress(Conflict), typed_errors(str(path)):
        fcntl.flock(directory.fd, fcntl.LOCK_EX)  # who finds the file there must find it whole
        try:
            directory.create(path.name, secrets.token_bytes(KEY_BYTES).hex().encode() + b"\n")
        except Unavailable:
            directory.remove(path.name)
            raise
        directory.sync()


def read_key_file(path: Path) -> bytes:
    """The 32 bytes of a key file: 64 hex digits or base64, with or without a line break at the end.

    Raises:
        NotFound, Denied, Unavailable: it cannot be read, or others can read it too.
        TooLarge, Corrupt: it holds something else.
    """
    private = _NOT_FOR_WORLD if _is_credential(path) else OPEN_TO_OTHERS
    return _decode(read_file(path, _LIMIT, private=private).strip(), path)


def _decode(text: bytes, path: Path) -> bytes:
    try:
        key = bytes.fromhex(text.decode()) if len(text) == 2 * KEY_BYTES else b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise Corrupt(f"{path} is not a key file", "put the right one there; an empty one was never used: remove it")
    return key


def _is_credential(path: Path) -> bool:
    """Whether root gave the file to us alone by an access list, as systemd does with credentials.

    The mode then shows the list's mask in the group bits (acl(5)) although no group may read it.
    """
    try:
        status, acl = path.lstat(), os.getxattr(path, "system.posix_acl_access", follow_symlinks=False)
    except OSError:
        return False
    return status.st_uid == 0 and gives_only_to(acl, os.geteuid())


def gives_only_to(acl: bytes, user: int) -> bool:
    """Whether an access list names nobody but its owner and `user`, and lets nobody write.

    Args:
        acl: the extended attribute: version 2, then (tag, permissions, id) as little-endian 16, 16, 32 bits
            (linux/posix_acl_xattr.h).
        user: a user id.
    """
    entries = acl.removeprefix(_ACL_VERSION)
    if entries == acl or len(entries) % _ACL_ENTRY.size:
        return False
    for tag, permissions, who in _ACL_ENTRY.iter_unpack(entries):
        ours = tag == _ACL_USER and who == user and permissions == _ACL_READ
        if permissions and not ours and tag not in {_ACL_OWNER, _ACL_MASK}:
            return False
    return True
