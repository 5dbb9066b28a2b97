"""What the manifest declares and this version does not do."""

from keyturn.core.finding import Finding, Severity

REASONS = ("not-available",)


def findings(missing: tuple[str, ...]) -> tuple[Finding, ...]:
    """One for each line of `Manifest.unavailable`: declared, valid, and nothing acts on it."""
    return tuple(
        Finding("not-available", "manifest", Severity.WARNING, f"{line} is not available in this version")
        for line in missing
    )
