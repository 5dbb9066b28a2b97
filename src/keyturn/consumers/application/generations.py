"""Generations of a bundle directory: each is written aside, whole, and then switched to by one rename."""

import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from keyturn.core.consumer import Delivery
from keyturn.core.errors import Conflict, Corrupt, FenceLost, InvalidName, NotFound
from keyturn.core.generation import INDEX, MAX_INDEX_BYTES, MAX_VIEW_BYTES, Entry, Index, field_file, proof_key_file
from keyturn.system.files import WRITABLE_BY_OTHERS, Directory


def _content(text: str) -> bytes:
    """What a file with this value in it holds."""
    return text.encode()


class Generations:
    """The bundle directory of one consumer and the directories it is switched between.

    `put` must be called by one process at a time.
    """

    def __init__(self, bundle_dir: Path, *, service: str, environment: str, consumer: str) -> None:
        self._home = bundle_dir.parent
        self._name = bundle_dir.name
        self._ours = re.compile(re.escape(f".{self._name}-") + r"[0-9a-f]{16}\Z")
        self._empty = Index(service, environment, consumer, {})

    def present(self) -> str | None:
        """The name of the directory that readers get now, None before the first delivery.

        Raises:
            Conflict: what lies there was not made by Keyturn.
        """
        try:
            with Directory(self._home, follow=True, private=WRITABLE_BY_OTHERS) as home:
                return self._target(home)
        except NotFound:
            return None

    def index(self) -> Index | None:
        """What readers get now, None before the first delivery.

        Raises:
            Corrupt: the index cannot be read.
        """
        for _ in range(2):  # a switch between the two looks may remove the directory under us
            name = self.present()
            if name is None:
                return None
            try:
                with Directory(self._home, follow=True) as home, self._open(home, name) as generation:
                    return self._index(generation)
            except NotFound:
                continue
        raise Corrupt(f"{self._home / self._name} points to a directory that is not there", "deliver again")

    def put(self, delivery: Delivery, group: int | None) -> bool:
        """Switch to a generation with this version in it; False when it lies there already.

        Raises:
            FenceLost: a later delivery of this secret lies there.
            Conflict: another version lies there under the same fence.
        """
        with Directory(self._home, follow=True, private=WRITABLE_BY_OTHERS) as home:
            present = self._target(home)
            index, files = self._contents(home, present)
            self._refuse_late(delivery, index.secrets.get(delivery.secret))
            wanted, contents = self._with(delivery, index, files)
            if (wanted, contents) == (index, files):
                return False
            fresh = f".{self._name}-{secrets.token_hex(8)}"
            self._write(home, fresh, {**contents, INDEX: wanted.dump()}, group)
            home.point(self._name, fresh)
            self._clean(home, keep={fresh, present or fresh})
        return True

    @staticmethod
    def _refuse_late(delivery: Delivery, there: Entry | None) -> None:
        if there is None or delivery.fence > there.fence:
            return
        what = f"version {there.version} of {delivery.secret}, delivery {there.fence},"
        if delivery.fence < there.fence:
            raise FenceLost(f"{what} lies there; delivery {delivery.fence} comes late")
        if delivery.version != there.version:
            raise Conflict(f"{what} lies there; the same delivery now brings {delivery.version}")

    def _with(self, delivery: Delivery, index: Index, files: Mapping[str, bytes]) -> tuple[Index, dict[str, bytes]]:
        """Index and files with this delivery in place of what lay there of its secret."""
        secret, bundle = delivery.secret, delivery.bundle
        before = index.secrets.get(secret)
        stale = set(before.files(secret)) if before else set()
        rest = {name: content for name, content in files.items() if name not in stale}
        values = {field_file(secret, field): bundle[field] for field in bundle}
        values |= {proof_key_file(secret): bundle.proof_key, **delivery.published}
        fresh = {name: _content(value.reveal()) for name, value in values.items()}
        if clash := (fresh.keys() & rest.keys()) | (fresh.keys() & {INDEX}):
            raise InvalidName(f"{min(clash)!r} is the file of something else in this bundle", "rename one of them")
        entry = Entry(delivery.version, delivery.fence, tuple(sorted(bundle)), tuple(sorted(delivery.published)))
        named = Index(
            self._empty.service, self._empty.environment, self._empty.consumer, {**index.secrets, secret: entry}
        )
        return named, {**rest, **fresh}

    def _contents(self, home: Directory, name: str | None) -> tuple[Index, dict[str, bytes]]:
        """Index and files of a generation, read through one descriptor."""
        if name is None:
            return self._empty, {}
        try:
            with self._open(home, name) as generation:
                index = self._index(generation)
                names = [file for secret, entry in index.secrets.items() for file in entry.files(secret)]
                read = {file: generation.read(file, MAX_VIEW_BYTES, private=WRITABLE_BY_OTHERS) for file in names}
                return index, read
        except NotFound as error:
            raise Corrupt(f"the bundle is not complete: {error.message}", "remove it and deliver all again") from None

    @staticmethod
    def _open(home: Directory, name: str) -> Directory:
        return Directory(Path(name), within=home, private=WRITABLE_BY_OTHERS)

    @staticmethod
    def _index(generation: Directory) -> Index:
        try:
            return Index.parse(generation.read(INDEX, MAX_INDEX_BYTES, private=WRITABLE_BY_OTHERS))
        except ValueError as error:
            raise Corrupt(f"{generation.path / INDEX}: {error}", "remove the bundle and deliver again") from None

    def _target(self, home: Directory) -> str | None:
        target = home.link_target(self._name)
        if target is not None and not self._ours.match(target):
            raise Conflict(f"{self._home / self._name} points to something that Keyturn did not make", "move it away")
        return target

    @staticmethod
    def _write(home: Directory, name: str, files: Mapping[str, bytes], group: int | None) -> None:
        wide = group is not None
        with home.make(name, mode=0o750 if wide else 0o700, group=group) as generation:
            for file, content in files.items():
                generation.create(file, content, mode=0o640 if wide else 0o600, group=group)
            generation.sync()

    def _clean(self, home: Directory, keep: set[str]) -> None:
        """Remove older generations, and halves that a killed delivery left."""
        for name in home.names():
            if self._ours.match(name) and name not in keep:
                home.remove_flat(name)
