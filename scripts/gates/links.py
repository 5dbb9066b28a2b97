"""Links between the documents."""

import re
from pathlib import Path

from scripts.gates.tree import files

_LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")


def links(root: Path) -> list[str]:
    """Relative links in Markdown files that lead nowhere."""
    problems = []
    for document in (path for path in files(root) if path.suffix == ".md"):
        for row, line in enumerate(document.read_text(encoding="utf-8").splitlines(), start=1):
            targets = (target for target in _LINK.findall(line) if "://" not in target)
            absent = [target for target in targets if not (document.parent / target).exists()]
            problems += [f"{document.relative_to(root)}:{row} {target} does not exist" for target in absent]
    return problems
