"""keyturn.toml to a `Manifest`, or to all that is wrong with it."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from keyturn.core.errors import UsageError
from keyturn.core.secret import check_name
from keyturn.manifest.complaints import close
from keyturn.manifest.crosschecks import cross_flaws
from keyturn.manifest.model import Manifest
from keyturn.manifest.outline import Outline, read_outline
from keyturn.manifest.overlay import overlaid, profile_flaws
from keyturn.manifest.problems import Flaw, KeyPath, ManifestError, Problem
from keyturn.manifest.source import Source, read_source
from keyturn.manifest.unavailable import unavailable
from keyturn.manifest.values import value_flaws


def load(path: Path, profile: str | None = None) -> Manifest:
    """The manifest at `path` with `profile` applied. All profiles are checked in any case.

    Raises:
        ManifestError: everything that is wrong with the file, in one go.
        UsageError: the manifest has no such profile.
    """
    source = read_source(path)
    profiles = _profiles(source.data)
    problems: set[Problem] = set()
    chosen: Outline | None = None
    for name in (None, *profiles):
        outline, found = _read(source, name)
        problems |= found
        if name == profile:
            chosen = outline
    problems |= set(_placed(source, _outside_flaws(source.data, profiles), {}))
    if problems:
        raise ManifestError(_most_telling(problems))
    if chosen is None or chosen.service is None:
        raise UsageError(f"the manifest has no profile {profile!r:.80}", close(str(profile), profiles))
    return _manifest(path, profile, profiles, chosen)


def _profiles(data: Mapping[str, Any]) -> tuple[str, ...]:
    profiles = data.get("profiles")
    if not isinstance(profiles, Mapping):
        return ()
    return tuple(name for name, table in profiles.items() if isinstance(table, Mapping))


def _read(source: Source, profile: str | None) -> tuple[Outline, set[Problem]]:
    data, moved = (source.data, {}) if profile is None else overlaid(source.data, profile)
    outline = read_outline(data)
    return outline, set(_placed(source, (*outline.flaws, *cross_flaws(outline)), moved))


def _outside_flaws(data: Mapping[str, Any], profiles: Iterable[str]) -> Iterator[Flaw]:
    """Flaws of what no outline shows: the profiles themselves, and values that have no place here."""
    yield from value_flaws(data)
    for name in profiles:
        yield from profile_flaws(data, name)
    declared = data.get("profiles", {})
    if not isinstance(declared, Mapping):
        yield Flaw(("profiles",), "'profiles' must hold named tables", "write [profiles.NAME.stores.main]")
        return
    for name, table in declared.items():
        if not isinstance(table, Mapping):
            yield Flaw(("profiles", name), f"'{name}' must be a table", f"write [profiles.{name}.stores.main]")
        try:
            check_name(name)
        except UsageError as error:
            yield Flaw(("profiles", name), f"{name!r:.80} is not a name", error.remedy)


def _placed(source: Source, flaws: Iterable[Flaw], moved: Mapping[KeyPath, KeyPath]) -> Iterator[Problem]:
    for flaw in flaws:
        path = flaw.path
        for length in range(len(path), 0, -1):
            if path[:length] in moved:
                path = (*moved[path[:length]], *path[length:])
                break
        line, column = source.positions[path]
        yield Problem(source.file, line, column, flaw.message, flaw.instead)


def _most_telling(problems: set[Problem]) -> Iterator[Problem]:
    """Without `unknown key` where the same key is already refused as a value."""
    values = {(problem.line, problem.column) for problem in problems if problem.message.startswith("a value")}
    for problem in problems:
        if problem.message.startswith("a value") or (problem.line, problem.column) not in values:
            yield problem


def _manifest(path: Path, profile: str | None, profiles: tuple[str, ...], outline: Outline) -> Manifest:
    assert outline.service is not None
    return Manifest(
        path=path,
        service=outline.service.name,
        environment=outline.service.environment,
        profile=profile,
        keyturn=outline.keyturn,
        stores=outline.stores,
        secrets=outline.secrets,
        consumers=outline.consumers,
        profiles=profiles,
        reserved=MappingProxyType(dict(outline.reserved)),
        missing=unavailable(outline.keyturn, outline.stores, outline.secrets, outline.consumers, outline.reserved),
    )
