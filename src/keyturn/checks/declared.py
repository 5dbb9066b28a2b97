"""What the manifest declares and this version does not do."""

from collections.abc import Iterable

from keyturn.core.finding import Finding, Severity
from keyturn.manifest.unavailable import Unavailable

REASONS = ("not-available",)


def findings(missing: Iterable[Unavailable]) -> tuple[Finding, ...]:
    """One for each: declared, valid, and nothing acts on it; only a note where a person does meanwhile."""
    return tuple(_finding(one) for one in missing)


def _finding(one: Unavailable) -> Finding:
    message = f"{one} is not available in this version"
    if one.by_hand:
        name = one.path[-1]
        remedy = f"a person changes it at its target, then keyturn set {name}"
        return Finding("not-available", name, Severity.INFO, message, remedy)
    return Finding("not-available", "manifest", Severity.WARNING, message)
