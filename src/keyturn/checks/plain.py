"""Values in the clear: which group may read them, and whether there is another way to the same file.

Modes and owners are judged with all other places (`checks.places`).
"""

from dataclasses import dataclass

from keyturn.core.finding import Finding, Severity

REASONS = ("group-docker", "group-other", "plain-linked")
ROOT_BY_ANOTHER_NAME = frozenset({"docker"})
_GROUP = 0o070


@dataclass(frozen=True, slots=True)
class Plain:
    """One file or directory with values in it.

    Attributes:
        path: where it is.
        mode: its permissions; None where it is not there.
        group: the name of its group, or its number where that has none.
        declared: the group that the manifest lets read it, None for nobody.
        linked: whether it is a symbolic link, or a file with a second name.
    """

    path: str
    mode: int | None
    group: str
    declared: str | None
    linked: bool = False


def findings(facts: tuple[Plain, ...]) -> tuple[Finding, ...]:
    """Groups that keep nobody out, and links."""
    return tuple(found for plain in facts for found in _of(plain))


def _of(plain: Plain) -> tuple[Finding, ...]:
    found = []
    readable = plain.mode is not None and bool(plain.mode & _GROUP)
    readers = {plain.declared, plain.group} if readable else {plain.declared}
    if named := readers & ROOT_BY_ANOTHER_NAME:
        message = f"whoever is in group {min(filter(None, named))} can become root on this host, and may read it"
        remedy = f"groupadd a group of the readers' own, declare it, then chgrp it {plain.path}"
        found.append(Finding("group-docker", plain.path, Severity.WARNING, message, remedy))
    if readable and plain.declared is not None and plain.group != plain.declared:
        message = f"group {plain.group} may read it, {plain.declared} is declared"
        found.append(
            Finding("group-other", plain.path, Severity.CRITICAL, message, f"chgrp {plain.declared} {plain.path}")
        )
    if plain.linked:
        message = "it is a link, or has a second name: what is changed or closed here is open there"
        remedy = f"cp it beside itself, and mv the copy to {plain.path}"
        found.append(Finding("plain-linked", plain.path, Severity.CRITICAL, message, remedy))
    return tuple(found)
