"""The derived copies of one secret: written after each promote, read back, switched off with their version."""

from collections.abc import Callable, Iterable, Mapping

from keyturn.core.derived import Derived, Derives, mark_of
from keyturn.core.errors import Conflict, Unsupported
from keyturn.core.secret import Bundle, SecretValue
from keyturn.core.store import Store

Publish = Callable[[Bundle], Mapping[str, SecretValue]]


def derives(store: Store) -> Derives:
    """The store, where it carries copies. Raises Unsupported."""
    if isinstance(store, Derives):
        return store
    raise Unsupported(f"a {store.kind} store carries no derived copies", "take store_as out of the manifest")


def write(store: Store, copy: Derived, version: str, bundle: Bundle, publish: Publish) -> None:
    """Let the copy show `version`, whose content is `bundle`, and see that it does.

    Raises:
        Conflict: its name is somebody else's, or somebody wrote it right after us.
        AdapterError: it could not be written or looked at.
    """
    kept = derives(store)
    content = publish(bundle)[copy.view]
    kept.derive(copy, version, content, mark_of(bundle, content))
    shown = kept.shows(copy)
    if shown != version:
        raise Conflict(
            f"{copy} was written and shows {shown or 'nothing'}", "find out who writes there besides Keyturn"
        )


def foreign(store: Store, entry: str, strays: Mapping[Derived, str | None]) -> Mapping[Derived, str]:
    """Those of `strays` that show what is no version of the secret `entry`: somebody else wrote them."""
    known = {version.id for version in store.versions(entry)} if strays else set[str]()
    return {copy: shown for copy, shown in strays.items() if shown is not None and shown not in known}


def withdraw(store: Store, copies: Iterable[Derived], version: str) -> None:
    """Switch off what the copies have of that version. Raises Conflict where one still shows it, AdapterError."""
    for copy in copies:
        derives(store).withdraw(copy, version)


def astray(store: Store, copies: Iterable[Derived], version: str) -> Mapping[Derived, str | None]:
    """The copies that show something else than `version`, and what. Raises AdapterError."""
    found = {copy: derives(store).shows(copy) for copy in copies}
    return {copy: shown for copy, shown in found.items() if shown != version}
