"""Every reason is in the document of findings."""

import re
from pathlib import Path

from keyturn.importing.plan import REASONS

DOCUMENT = Path(__file__).parents[3] / "docs" / "findings.md"


def test_every_reason_is_described() -> None:
    """And no reason besides."""
    rows = re.findall(r"^\| `(import-[a-z-]+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(REASONS)
