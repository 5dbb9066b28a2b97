"""The help that the documents show is the help that the command prints.

A document marks a fenced block with a comment on the line before it: `<!-- help: keyturn rotate -->`.
`python -m scripts.gates.helptext` writes the real help into every marked block.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

_BLOCK = re.compile(
    r"(?P<head><!-- help: keyturn(?P<words>[a-z0-9 -]*)-->\n+```[a-z]*\n)(?P<body>.*?)(?P<tail>^```)",
    re.DOTALL | re.MULTILINE,
)
_PLAIN = {"COLUMNS": "100", "LINES": "40", "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8"}


def printed(words: list[str]) -> str:
    """What `keyturn WORDS --help` prints on a plain terminal of 100 columns."""
    environment = {**os.environ, **_PLAIN}
    command = [sys.executable, "-m", "keyturn", *words, "--help"]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if answer.returncode:
        return f"(exit {answer.returncode})\n{answer.stderr}"
    return "".join(f"{line.rstrip()}\n" for line in answer.stdout.strip().splitlines())


def documents(root: Path) -> list[Path]:
    """README and everything below docs."""
    return sorted(path for path in (root / "README.md", *root.glob("docs/**/*.md")) if path.is_file())


def helptext(root: Path) -> list[str]:
    """Marked blocks that differ from the real help."""
    return [
        f"{path.relative_to(root)}: `keyturn {match['words'].strip()} --help` prints something else; "
        "python -m scripts.gates.helptext writes it anew"
        for path in documents(root)
        for match in _BLOCK.finditer(path.read_text(encoding="utf-8"))
        if match["body"] != printed(match["words"].split())
    ]


def rewrite(root: Path) -> None:
    """Write the real help into every marked block."""
    for path in documents(root):
        text = path.read_text(encoding="utf-8")
        fresh = _BLOCK.sub(lambda match: match["head"] + printed(match["words"].split()) + match["tail"], text)
        if fresh != text:
            path.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    rewrite(Path(__file__).resolve().parents[2])
