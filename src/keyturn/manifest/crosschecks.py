"""What no table can say of itself: names that must exist, and views that must be whole."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

from keyturn.core.secret import NAME
from keyturn.manifest.complaints import close
from keyturn.manifest.outline import Outline
from keyturn.manifest.problems import Flaw, KeyPath
from keyturn.manifest.secret import Published, SecretTable
from keyturn.manifest.settings import PostgresJournal

OWN_STREAM = "system"


def cross_flaws(outline: Outline) -> Iterator[Flaw]:
    """Every flaw between tables."""
    for check in _CHECKS:
        yield from check(outline)


def _consumers(outline: Outline) -> Iterator[Flaw]:
    for name, secret in outline.secrets.items():
        yield from _listed(outline, ("secrets", name, "consumers"), secret.consumers)
        yield from _listed(outline, ("secrets", name, "target", "verifiers"), secret.verifiers)
        if not secret.consumers and secret.used_by is None:
            hint = 'consumers = ["…"], or used_by = "keyturn"'
            yield Flaw(("secrets", name), f"nobody uses secret '{name}'", hint)


def _reserved(outline: Outline) -> Iterator[Flaw]:
    """A secret's journal stream has its name, and one of the streams is Keyturn's own."""
    if OWN_STREAM in outline.secrets:
        yield Flaw(("secrets", OWN_STREAM), f"'{OWN_STREAM}' is Keyturn's own name in the journal", "choose another")


def _listed(outline: Outline, path: KeyPath, consumers: tuple[str, ...]) -> Iterator[Flaw]:
    known = outline.declared["consumers"]
    for index, consumer in enumerate(consumers):
        if consumer not in known:
            hint = close(consumer, known) or f"declare [consumers.{consumer}]"
            yield Flaw((*path, index), f"there is no consumer '{consumer}'", hint)
        if consumer in consumers[:index]:
            yield Flaw((*path, index), f"consumer '{consumer}' is named twice", "name it once")


def _broken(outline: Outline) -> Iterator[Flaw]:
    """The names in tables of secrets that are off elsewhere: all problems come in one run."""
    for name, raw in outline.broken.items():
        consumers, store, target = raw.get("consumers"), raw.get("store"), raw.get("target")
        if isinstance(consumers, list) and all(map(_is_name, consumers)):
            yield from _listed(outline, ("secrets", name, "consumers"), tuple(consumers))
        if _is_name(store):
            yield from _known_store(outline, name, store)
        if isinstance(target, Mapping) and _is_name(target.get("admin")):
            yield from _own_secret(outline, ("secrets", name, "target", "admin"), target["admin"])


def _is_name(value: object) -> TypeGuard[str]:
    """Whether `value` may be repeated in a message: what is no name could be anything."""
    return isinstance(value, str) and NAME.match(value) is not None


def _directories(outline: Outline) -> Iterator[Flaw]:
    """Two consumers that would write into, or read from, one directory."""
    taken: dict[Path, str] = {}
    for name, consumer in outline.consumers.items():
        for key, directory in consumer.directories:
            if (first := taken.setdefault(directory, name)) != name:
                hint = "give each consumer its own"
                yield Flaw(("consumers", name, key), f"this is a directory of consumer '{first}' already", hint)


def _stores(outline: Outline) -> Iterator[Flaw]:
    known = outline.declared["stores"]
    if not known and not any(flaw.path == ("stores",) for flaw in outline.flaws):
        yield Flaw(("stores",), "the manifest has no store", "add [stores.main]")
    for name, secret in outline.secrets.items():
        if secret.store is None and len(known) > 1:
            hint = f'add store = "{known[0]}"'
            yield Flaw(("secrets", name), f"several stores, and secret '{name}' names none", hint)
        if secret.store is not None:
            yield from _known_store(outline, name, secret.store)


def _local_stores(outline: Outline) -> Iterator[Flaw]:
    """Each local vault has an anchor in the state directory, named after its file."""
    taken = {"state-vault": "Keyturn's own vault"}
    for name, store in outline.stores.items():
        if store.kind == "local":
            path: Path | None = getattr(store, "path", None)
            stem = path.stem if path else "vault"
            if stem in taken:
                hint = "give each vault a file name of its own"
                yield Flaw(("stores", name, "path"), f"its file has the name of {taken[stem]}", hint)
            taken.setdefault(stem, f"store '{name}'")


def _known_store(outline: Outline, secret: str, store: str) -> Iterator[Flaw]:
    if store not in outline.declared["stores"]:
        hint = close(store, outline.declared["stores"])
        yield Flaw(("secrets", secret, "store"), f"there is no store '{store}'", hint)


def _admins(outline: Outline) -> Iterator[Flaw]:
    for name, secret in outline.secrets.items():
        for key, admin in secret.admins:
            path = ("secrets", name, "target", key)
            yield from _own_secret(outline, path, admin)
            if admin == name:
                yield Flaw(path, "a secret cannot be changed with itself", "name another secret")
    for name, store in outline.stores.items():
        for key, admin in store.admins:
            yield from _own_secret(outline, ("stores", name, key), admin)
    journal = outline.keyturn.journal
    if isinstance(journal, PostgresJournal):
        yield from _own_secret(outline, ("keyturn", "journal", "credential"), journal.credential)


def _own_secret(outline: Outline, path: KeyPath, name: str) -> Iterator[Flaw]:
    if name not in outline.declared["secrets"]:
        hint = close(name, outline.declared["secrets"]) or f"declare [secrets.{name}]"
        yield Flaw(path, f"there is no secret '{name}'", hint)
    elif name in outline.secrets and outline.secrets[name].used_by != "keyturn":
        yield Flaw(path, f"secret '{name}' is not one of Keyturn's own", f'add used_by = "keyturn" to [secrets.{name}]')


def _views(outline: Outline) -> Iterator[Flaw]:
    for name, secret in outline.secrets.items():
        for published, view in secret.publish.items():
            path: KeyPath = ("secrets", name, "publish", published)
            yield from _holes(path, secret, view)
            yield from _whole(path, secret, view)


def _holes(path: KeyPath, secret: SecretTable, view: Published) -> Iterator[Flaw]:
    key = "template" if view.template is not None else "field"
    known = secret.parts if key == "template" else secret.bundle
    for hole in view.holes:
        if hole not in known:
            yield Flaw((*path, key), f"a {secret.kind} secret has no '{hole}'", close(hole, known))


def _whole(path: KeyPath, secret: SecretTable, view: Published) -> Iterator[Flaw]:
    held = secret.rotating & set(view.holes)
    if not held or held == secret.rotating:
        return
    if view.unsafe_alone is None:
        absent = ", ".join(sorted(secret.rotating - held))
        message = f"{', '.join(sorted(held))} without {absent}: they change together, a reader would mix versions"
        yield Flaw(path, message, 'publish them as one, or unsafe_alone = "why that is fine"')


def _published_names(outline: Outline) -> Iterator[Flaw]:
    names: dict[str, str] = {}
    variables: dict[str, str] = {}
    for secret_name, secret in outline.secrets.items():
        for name, view in secret.publish.items():
            path: KeyPath = ("secrets", secret_name, "publish", name)
            if (first := names.setdefault(name.lower(), secret_name)) != secret_name:
                yield Flaw(path, f"secret '{first}' publishes '{name}' already", "choose another name")
            if name in outline.declared["secrets"]:
                yield Flaw(path, f"'{name}' is the name of a secret", "choose another name for one of them")
            variable = view.env or name.upper().replace("-", "_")
            if (other := variables.setdefault(variable.upper(), name)) != name:
                where: KeyPath = (*path, "env") if view.env else path
                yield Flaw(where, f"'{other}' has the environment variable {variable} already", "choose another 'env'")


def _store_entries(outline: Outline) -> Iterator[Flaw]:
    """Two things under one name in one store, which does not tell upper from lower case."""
    taken: dict[tuple[str, str], str] = {}
    only = next(iter(outline.declared["stores"]), "")
    for path, store, entry in _entries(outline, only):
        label = ".".join(str(part) for part in path[1:] if part != "store_name")
        if (first := taken.setdefault((store, entry.lower()), label)) != label:
            yield Flaw(
                path, f"'{entry}' is the entry of {first} in store '{store}' already", "choose another store_name"
            )
        options = outline.stores.get(store)
        if options is not None and len(entry) > options.name_limit:
            yield Flaw(
                path, f"longer than the {options.name_limit} characters of a name in store '{store}'", "shorten it"
            )


def _entries(outline: Outline, only: str) -> Iterator[tuple[KeyPath, str, str]]:
    for name, secret in outline.secrets.items():
        store = secret.store or only
        own: KeyPath = ("secrets", name, "store_name") if secret.store_name else ("secrets", name)
        yield own, store, secret.store_name or name
        for published, view in secret.publish.items():
            if view.store_as is not None:
                yield ("secrets", name, "publish", published), store, view.store_name or published


def _copies(outline: Outline) -> Iterator[Flaw]:
    only = next(iter(outline.declared["stores"]), "")
    for name, secret in outline.secrets.items():
        store = outline.stores.get(secret.store or only)
        for published, view in secret.publish.items():
            if store is not None and view.store_as is not None and view.store_as not in store.copies:
                path = ("secrets", name, "publish", published, "store_as")
                yield Flaw(path, f"a {store.kind} store has no {view.store_as} objects", 'write store_as = "secret"')


_CHECKS: tuple[Callable[[Outline], Iterator[Flaw]], ...] = (
    _stores,
    _local_stores,
    _reserved,
    _consumers,
    _admins,
    _views,
    _published_names,
    _store_entries,
    _copies,
    _directories,
    _broken,
)
