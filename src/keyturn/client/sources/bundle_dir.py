"""Source `bundle-dir`: a directory that Keyturn switches as a whole (docs/formats/bundle.md)."""

import os
import re
from collections.abc import Mapping
from typing import Any

from keyturn.client.configuration import absolute
from keyturn.client.sources import Generation, pinned, undelivered
from keyturn.client.view import View
from keyturn.core import strict_json
from keyturn.core.errors import AdapterError, Corrupt, NotFound, Unavailable, UsageError
from keyturn.core.generation import (
    CHALLENGE,
    INDEX,
    MAX_CHALLENGE_BYTES,
    MAX_INDEX_BYTES,
    MAX_VIEW_BYTES,
    Challenge,
    Entry,
    Index,
    field_file,
    proof_key_file,
)
from keyturn.core.secret import MAX_FIELD_BYTES, Bundle, SecretValue
from keyturn.system.files import WRITABLE_BY_OTHERS, Directory, typed_errors

_TRIES = 1000
_PROOF_KEY = re.compile(r"[0-9a-f]{64}\Z")


class BundleDirectory:
    """Reads generations through one directory descriptor each, so that none is ever mixed.

    Args:
        table: `{"kind": "bundle-dir", "path": "/run/..."}`.
        secrets: the secrets to read, none for all that lie there; others are left alone.

    Raises:
        ValueError: the table is not like that.
    """

    def __init__(self, table: Mapping[str, Any], secrets: tuple[str, ...]) -> None:
        shape: dict[str, type] = {"kind": str, "path": str}
        self._path = absolute(strict_json.exactly(dict(table), shape)["path"], "source.path")
        self._secrets = secrets
        self._mark: tuple[int, ...] = ()

    def changed(self) -> Generation | None:
        """The generation that lies there, None when it is the one that was returned last.

        Raises:
            NotFound: no bundle, or one of the secrets is not in it.
            Denied, Corrupt, Unavailable: it cannot be read, or could have been written by others.
        """
        for _ in range(_TRIES):
            try:
                return self._look()
            except _SwitchedAway:
                continue  # replaced twice while we read; the next look opens the newest
        raise Unavailable(f"{self._path} is replaced again and again before it can be read")

    def nonce(self) -> str:
        """The nonce that Keyturn asks about at present, empty when it asks nothing that can be read."""
        try:
            with Directory(self._path.parent, follow=True, private=WRITABLE_BY_OTHERS, owned=False) as home:
                text = home.read(CHALLENGE, MAX_CHALLENGE_BYTES, private=WRITABLE_BY_OTHERS, owned=False)
            return Challenge.parse(text).nonce
        except (AdapterError, ValueError):
            return ""

    def _look(self) -> Generation | None:
        with self._opened() as opened:
            try:
                mark = _mark(opened)
                if mark == self._mark:
                    return None
                generation = self._read(opened)
            except _SwitchedAway:
                if self._leads_to(opened):
                    raise Corrupt(f"{self._path} is not complete", "deliver again") from None
                raise
        if not self._mark:
            pinned.warn((self._path,))
        self._mark = mark
        return generation

    def _opened(self) -> Directory:
        """The generation that the path leads to, unless it was removed on the way there."""
        try:
            return Directory(self._path, follow=True, private=WRITABLE_BY_OTHERS, owned=False)
        except NotFound:
            if self._path.exists():
                raise _SwitchedAway from None
            raise NotFound(
                f"{self._path}: nothing was delivered there",
                "keyturn tick delivers it, if that is the bundle_dir of this application",
            ) from None

    def _leads_to(self, opened: Directory) -> bool:
        """Whether the path still leads to the generation that we hold open, whose inode nobody else has meanwhile."""
        with typed_errors(str(self._path)):
            here, there = os.fstat(opened.fd), self._path.stat()
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)

    def _read(self, opened: Directory) -> Generation:
        try:
            index = Index.parse(_content(opened, INDEX, MAX_INDEX_BYTES))
        except ValueError as error:
            raise Corrupt(f"{opened.path / INDEX}: {error}", "deliver again") from None
        views = {}
        for secret in self._secrets or index.secrets:
            if secret not in index.secrets:
                published = {name: entry.published for name, entry in index.secrets.items()}
                raise undelivered(str(self._path), secret, published, f"{index.consumer!r:.80}")
            views[secret] = _view(opened, secret, index.secrets[secret])
        return Generation(index.environment, views)


class _SwitchedAway(Exception):
    """A file of an open generation is not there: the generation was removed while it was read."""


def _mark(opened: Directory) -> tuple[int, ...]:
    """What tells one generation from another: the directory, and when its index was written."""
    with typed_errors(str(opened.path)):
        whole = os.fstat(opened.fd)
        try:
            index = os.stat(INDEX, dir_fd=opened.fd, follow_symlinks=False)
        except FileNotFoundError:
            raise _SwitchedAway from None
    return whole.st_dev, whole.st_ino, index.st_ino, index.st_mtime_ns


def _content(opened: Directory, name: str, limit: int) -> bytes:
    try:
        return opened.read(name, limit, private=WRITABLE_BY_OTHERS, owned=False)
    except NotFound:
        raise _SwitchedAway from None


def _view(opened: Directory, secret: str, entry: Entry) -> View:
    def text(name: str, limit: int) -> str:
        try:
            return _content(opened, name, limit).decode()
        except UnicodeDecodeError:
            raise Corrupt(f"{opened.path / name} is not UTF-8 text", "deliver again") from None

    fields = {field: text(field_file(secret, field), MAX_FIELD_BYTES) for field in entry.fields}
    if not _PROOF_KEY.match(text(proof_key_file(secret), MAX_FIELD_BYTES)):
        raise Corrupt(f"{opened.path / proof_key_file(secret)} holds no proof key", "deliver again")
    try:
        bundle = Bundle(fields, text(proof_key_file(secret), MAX_FIELD_BYTES))
    except UsageError as error:
        raise Corrupt(f"{opened.path}: {secret}: {error.message}", "deliver again") from None
    published = {name: SecretValue(text(name, MAX_VIEW_BYTES)) for name in entry.published}
    return View(secret, entry.version, bundle, published)
