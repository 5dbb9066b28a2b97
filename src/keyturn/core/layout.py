"""What a generation holds after one more delivery: pure, so that every kind of consumer gets the same rules."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from keyturn.core.consumer import Delivery
from keyturn.core.errors import Conflict, Corrupt, FenceLost, InvalidName
from keyturn.core.generation import INDEX, Entry, Index, field_file, proof_key_file
from keyturn.core.secret import SecretValue


class Layout(Protocol):
    """Which files a generation has."""

    @property
    def index(self) -> str:
        """The file that lists the others."""

    def names(self, secret: str, entry: Entry) -> tuple[str, ...]:
        """All files of that secret."""

    def values(self, delivery: Delivery) -> Mapping[str, SecretValue]:
        """What lies in the files of that delivery. Raises InvalidName where two values share a file."""

    def derived(self, index: Index, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Files that are made of all the others. Raises `AdapterError` where they cannot carry a value."""


class BundleLayout:
    """The layout of docs/formats/bundle.md, which `keyturn.client` reads."""

    index: Final = INDEX

    def names(self, secret: str, entry: Entry) -> tuple[str, ...]:
        """All files of that secret."""
        return entry.files(secret)

    def values(self, delivery: Delivery) -> Mapping[str, SecretValue]:
        """Fields, proof key and views."""
        secret, bundle = delivery.secret, delivery.bundle
        fields = {field_file(secret, field): bundle[field] for field in bundle}
        return {**fields, proof_key_file(secret): bundle.proof_key, **delivery.published}

    def derived(self, index: Index, files: Mapping[str, bytes]) -> Mapping[str, bytes]:  # noqa: ARG002 - one protocol
        """None."""
        return {}


def following(
    delivery: Delivery, read: Callable[[str], bytes] | None, empty: Index, layout: Layout
) -> dict[str, bytes] | None:
    """All files of the generation that follows; None when that is the one that is there.

    Args:
        delivery: what comes in place of what lay there of its secret.
        read: gives a file of the present generation; None before the first one.
        empty: whose generation it is.
        layout: which files it has.

    Raises:
        FenceLost: a later delivery of this secret lies there.
        Conflict: another version lies there under the same fence.
        InvalidName: two things would have one file.
        Corrupt: the present index cannot be read.
    """
    index = empty if read is None else parsed(read(layout.index), layout.index)
    names = [name for secret, entry in index.secrets.items() for name in layout.names(secret, entry)]
    files = {name: read(name) for name in names} if read else {}
    before = index.secrets.get(delivery.secret)
    _refuse_late(delivery, before)
    stale = set(layout.names(delivery.secret, before)) if before else set()
    rest = {name: content for name, content in files.items() if name not in stale}
    fresh = {name: _content(value.reveal()) for name, value in layout.values(delivery).items()}
    entry = Entry(delivery.version, delivery.fence, tuple(sorted(delivery.bundle)), tuple(sorted(delivery.published)))
    wanted = Index(empty.service, empty.environment, empty.consumer, {**index.secrets, delivery.secret: entry})
    if (wanted, {**rest, **fresh}) == (index, files):
        return None
    derived = {**layout.derived(wanted, {**rest, **fresh}), layout.index: wanted.dump()}
    _refuse_clash(fresh, rest, derived)
    return {**rest, **fresh, **derived}


def parsed(text: bytes, name: str) -> Index:
    """The index in that text.

    Raises:
        Corrupt: it is none; names the file.
    """
    try:
        return Index.parse(text)
    except ValueError as error:
        raise Corrupt(f"{name}: {error}", "remove the bundle and deliver again") from None


def version_in(text: bytes | None, name: str, secret: str) -> str | None:
    """The version of that secret in an index, None where there is no index or no such secret in it.

    Raises:
        Corrupt: as `parsed`.
    """
    entry = parsed(text, name).secrets.get(secret) if text else None
    return entry.version if entry else None


def _refuse_late(delivery: Delivery, there: Entry | None) -> None:
    if there is None or delivery.fence > there.fence:
        return
    what = f"version {there.version} of {delivery.secret}, delivery {there.fence},"
    if delivery.fence < there.fence:
        raise FenceLost(f"{what} lies there; delivery {delivery.fence} comes late")
    if delivery.version != there.version:
        raise Conflict(f"{what} lies there; the same delivery now brings {delivery.version}")


def _refuse_clash(*parts: Mapping[str, bytes]) -> None:
    taken: set[str] = set()
    for part in parts:
        if clash := taken & part.keys():
            raise InvalidName(f"{min(clash)!r} is the file of something else in this bundle", "rename one of them")
        taken |= part.keys()


def _content(text: str) -> bytes:
    """What a file with this value in it holds."""
    return text.encode()
