"""The whole manifest from a TOML document: each table by its kind, all problems in one run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from keyturn.core.errors import UsageError
from keyturn.core.kinds import KINDS, Room, find
from keyturn.core.secret import check_name
from keyturn.manifest.complaints import close, complaints, shown
from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.model import RESERVED
from keyturn.manifest.problems import Flaw, KeyPath
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.settings import Keyturn, ServiceTable
from keyturn.manifest.shapes import Table
from keyturn.manifest.store import StoreTable

T = TypeVar("T", bound=Table)
TOP = ("service", "keyturn", "stores", "secrets", "consumers", "profiles", *RESERVED)


def options(room: Room, kind: str) -> type[Table] | None:
    """The model that reads tables of this kind, None when there is no such kind."""
    line = find(room, kind)
    return cast("type[Table]", import_module(f"keyturn.manifest.kinds.{line.options}").Options) if line else None


@dataclass(frozen=True, slots=True)
class Outline:
    """What could be read. Tables with problems are left out, and `flaws` says why.

    `declared` has the names of stores, secrets and consumers in the file, readable or not; `broken`
    the raw tables of secrets that are left out.
    """

    service: ServiceTable | None
    keyturn: Keyturn
    stores: Mapping[str, StoreTable]
    secrets: Mapping[str, SecretTable]
    consumers: Mapping[str, ConsumerTable]
    reserved: Mapping[str, Mapping[str, Any]]
    declared: Mapping[str, tuple[str, ...]]
    broken: Mapping[str, Mapping[str, Any]]
    flaws: tuple[Flaw, ...]


def read_outline(data: Mapping[str, Any]) -> Outline:
    """The outline of one document, its profile already applied."""
    read = _Reader()
    for key in data.keys() - set(TOP):
        read.flaws.append(Flaw((key,), f"unknown key '{key}' in the manifest", close(key, TOP)))
    tables = {"stores": data.get("stores"), "secrets": data.get("secrets"), "consumers": data.get("consumers")}
    secrets = cast("Mapping[str, SecretTable]", read.named("rotators", "secrets", tables["secrets"]))
    return Outline(
        service=read.one(ServiceTable, ("service",), data.get("service"), required=True),
        keyturn=read.one(Keyturn, ("keyturn",), data.get("keyturn")) or Keyturn(),
        stores=cast("Mapping[str, StoreTable]", read.named("stores", "stores", tables["stores"])),
        secrets=secrets,
        consumers=cast("Mapping[str, ConsumerTable]", read.named("consumers", "consumers", tables["consumers"])),
        reserved=MappingProxyType(dict(read.reserved(data))),
        declared={top: tuple(table) if isinstance(table, Mapping) else () for top, table in tables.items()},
        broken=MappingProxyType(dict(_broken(tables["secrets"], secrets))),
        flaws=tuple(read.flaws),
    )


def _broken(raw: object, read: Mapping[str, SecretTable]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, table in raw.items() if isinstance(raw, Mapping) else ():
        if name not in read and isinstance(table, Mapping):
            yield name, table


class _Reader:
    def __init__(self) -> None:
        self.flaws: list[Flaw] = []

    def one(self, model: type[T], path: KeyPath, raw: object, *, required: bool = False) -> T | None:
        """One table; None when it is absent or off."""
        if raw is None:
            if required:
                self.flaws.append(Flaw(path, f"the manifest has no {shown(path)}", f"add {shown(path)}"))
            return None
        if not isinstance(raw, Mapping):
            self.flaws.append(Flaw(path, f"'{path[-1]}' must be a table", f"write {shown(path)}"))
            return None
        try:
            table = model.model_validate(raw)
        except ValidationError as error:
            self.flaws.extend(flaw.under(path) for flaw in complaints(error, model, raw, path))
            return None
        self.flaws.extend(flaw.under(path) for flaw in _all_flaws(table))
        return table

    def named(self, room: Room, top: str, raw: object) -> Mapping[str, Table]:
        """All tables of `[top.NAME]`, each read by its kind."""
        if raw is None:
            return MappingProxyType({})
        if not isinstance(raw, Mapping):
            self.flaws.append(Flaw((top,), f"'{top}' must hold named tables", f"write [{top}.NAME]"))
            return MappingProxyType({})
        self._names(top, raw)
        found = {name: self._by_kind(room, (top, name), table) for name, table in raw.items()}
        return MappingProxyType({name: table for name, table in found.items() if table is not None})

    def _names(self, top: str, names: Mapping[str, object]) -> None:
        # Names have no upper case, so that none differs from another by case alone.
        for name in names:
            try:
                check_name(name)
            except UsageError as error:
                self.flaws.append(Flaw((top, name), f"{name!r:.80} is not a name", error.remedy))

    def _by_kind(self, room: Room, path: tuple[str, str], raw: object) -> Table | None:
        kind = raw.get("kind") if isinstance(raw, Mapping) else None
        if isinstance(kind, str):
            model = options(room, kind)
            if model is None:
                names = tuple(line.name for line in KINDS if line.room == room)
                self.flaws.append(Flaw((*path, "kind"), f"no such kind in {shown(path)}", close(kind, names)))
                return None
            return self.one(model, path, raw)
        if isinstance(raw, Mapping):
            names = tuple(line.name for line in KINDS if line.room == room)
            where = (*path, "kind") if kind is not None else path
            self.flaws.append(Flaw(where, f"{shown(path)} has no kind", f"kind = one of {', '.join(names)}"))
            return None
        return self.one(Table, path, raw)

    def reserved(self, data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The tables of later versions, in outline."""
        for name in RESERVED:
            if name not in data:
                continue
            if isinstance(data[name], Mapping):
                self._names(name, data[name])
                yield name, data[name]
            else:
                self.flaws.append(Flaw((name,), f"'{name}' must be a table", f"write [{name}]"))


def _all_flaws(table: Table) -> Iterator[Flaw]:
    """The flaws of a table and of all tables in it."""
    yield from table.flaws()
    for key in type(table).model_fields:
        value = getattr(table, key)
        if isinstance(value, Table):
            yield from (flaw.under((key,)) for flaw in _all_flaws(value))
        elif isinstance(value, Mapping):
            for name, inner in value.items():
                if isinstance(inner, Table):
                    yield from (flaw.under((key, name)) for flaw in _all_flaws(inner))
