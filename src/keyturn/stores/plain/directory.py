"""One file for each value, as Docker and Kubernetes mount them."""

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from keyturn.core.errors import NotFound, TooLarge
from keyturn.core.secret import MAX_FIELD_BYTES, SecretValue
from keyturn.stores.plain import names
from keyturn.stores.plain.access import check_group, private_to, stands
from keyturn.stores.plain.form import Shown
from keyturn.system.files import Directory, make_directory
from keyturn.system.generations import group_number

OWN = ".keyturn"
"""Keyturn's own directory in it."""


class SecretFiles:
    """A directory with a file for each value: 0700 and 0600, or 0750 and 0640 for a declared group.

    Args:
        path: the directory; its parent is there already.
        group: name of the group that may read; None for the owner only.
    """

    kind: Final = "files"

    def __init__(self, path: Path, group: str | None = None) -> None:
        self._path = path
        self._group = group

    def places(self, name: str, fields: tuple[str, ...]) -> tuple[str, ...]:
        """The file of each field. Raises InvalidName."""
        return names.files(name, fields)

    def prepare(self) -> None:
        """Make the directory, if it is not there."""
        make_directory(self._path, mode=0o700 if self._group is None else 0o750, group=group_number(self._group))

    def guard(self) -> None:
        """Refuse, by Denied, a directory that is open to others, somebody else's, or a link."""
        with suppress(NotFound):
            os.close(self._opened(group_number(self._group)).fd)

    def shown(self, places: Collection[str]) -> Shown:
        """What the files hold that are there.

        Raises:
            Denied: the directory or a file is open to others, somebody else's, a link, or has a second name.
            Unavailable: it cannot be read.
        """
        group = group_number(self._group)
        try:
            directory = self._opened(group)
        except NotFound:
            return {}
        with directory:
            return {place: self._value(directory, place, group) for place in places if stands(directory, place, group)}

    def check(self, values: Mapping[str, SecretValue]) -> None:
        """A file carries every value."""

    def show(self, values: Mapping[str, SecretValue], gone: Collection[str]) -> None:
        """Write each file by one rename, and remove those; another directory than ours is not written to."""
        if not values and not gone:
            return
        group = group_number(self._group)
        with self._opened(group) as directory:
            for place, value in values.items():
                mode = 0o600 if group is None else 0o640
                directory.write(place, value.reveal().encode(), mode=mode, group=group)
            for place in gone:
                directory.remove(place)
            directory.sync()

    def _opened(self, group: int | None) -> Directory:
        directory = Directory(self._path, private=private_to(group))
        try:
            check_group(os.fstat(directory.fd), self._path, group)
        except BaseException:
            os.close(directory.fd)
            raise
        return directory

    @staticmethod
    def _value(directory: Directory, place: str, group: int | None) -> SecretValue | None:
        try:
            return SecretValue(directory.read(place, MAX_FIELD_BYTES, private=private_to(group)).decode())
        except (TooLarge, UnicodeDecodeError):
            return None
