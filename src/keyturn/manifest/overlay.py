"""Profiles: the few tables that may differ between environments, laid over the manifest."""

from collections.abc import Iterator, Mapping
from typing import Any

from keyturn.manifest.complaints import close
from keyturn.manifest.problems import Flaw, KeyPath

_PLACES: tuple[tuple[str, ...], ...] = (
    ("stores", "*"),
    ("secrets", "*", "target"),
    ("secrets", "*", "publish", "*"),
    ("consumers", "*", "urls"),
)
"""What a profile may replace; `*` is a name."""


def replacements(profile: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each place that a profile replaces, with what it puts there."""
    for pattern in _PLACES:
        yield from _matches(pattern, (), profile)


def _matches(pattern: tuple[str, ...], path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 -- a TOML value
    if not pattern:
        yield path, value
    elif isinstance(value, Mapping):
        for key in value if pattern[0] == "*" else {pattern[0]} & value.keys():
            yield from _matches(pattern[1:], (*path, key), value[key])


def overlaid(data: Mapping[str, Any], name: str) -> tuple[dict[str, Any], dict[KeyPath, KeyPath]]:
    """The manifest with a profile over it, and where each replaced table really stands.

    Replacements of what is not there are left out: `profile_flaws` names them.
    """
    merged: dict[str, Any] = dict(data)
    moved: dict[KeyPath, KeyPath] = {}
    for path, value in replacements(data["profiles"][name]):
        if _replace(merged, path, value):
            moved[path] = ("profiles", name, *path)
    return merged, moved


def _replace(merged: dict[str, Any], path: tuple[str, ...], value: Any) -> bool:  # noqa: ANN401 -- a TOML value
    if not _named(merged, path):
        return False
    table = merged
    for key in path[:-1]:
        table[key] = dict(table[key])
        table = table[key]
    table[path[-1]] = value
    return True


def _named(data: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Whether the manifest has what `path` replaces; `urls` and `target` may be new in their table."""
    depth = len(path) - 1 if path[-1] in ("urls", "target") else len(path)
    value: Any = data
    for key in path[:depth]:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return isinstance(value, Mapping)


def profile_flaws(data: Mapping[str, Any], name: str) -> Iterator[Flaw]:
    """What a profile says beyond its places, or about names that the manifest does not have."""
    profile = data["profiles"][name]
    prefix: KeyPath = ("profiles", name)
    yield from (flaw.under(prefix) for flaw in _strangers(profile, (), _PLACES))
    for path, value in replacements(profile):
        if not _named(data, path):
            known = data.get(path[0])
            names = tuple(known) if isinstance(known, Mapping) else ()
            message = f"the profile replaces {'.'.join(path)}, which the manifest does not have"
            yield Flaw((*prefix, *path), message, close(path[1], names) if path[1] not in names else "")
        if path[0] == "secrets" and "publish" in path and not _is_url(value):
            yield Flaw(
                (*prefix, *path), "a profile changes URLs only, not other published names", "a template with ://"
            )


def _is_url(value: Any) -> bool:  # noqa: ANN401 -- a TOML value
    return isinstance(value, Mapping) and "://" in str(value.get("template", ""))


def _strangers(table: Any, path: KeyPath, patterns: tuple[tuple[str, ...], ...]) -> Iterator[Flaw]:  # noqa: ANN401 -- a TOML value
    if any(not pattern for pattern in patterns):
        return
    if not isinstance(table, Mapping):
        yield Flaw(path, f"'{path[-1]}' must be a table" if path else "a profile is a table")
        return
    for key, value in table.items():
        rest = tuple(pattern[1:] for pattern in patterns if pattern[0] in (key, "*"))
        if rest:
            yield from _strangers(value, (*path, key), rest)
        else:
            yield Flaw((*path, key), f"a profile may not change '{key}'", "it changes stores, targets and URLs")
