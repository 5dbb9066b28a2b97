"""Words that no file may hold. They stand here in pieces, so that this file is free of them too."""

import re
from pathlib import Path

from scripts.gates.tree import files


def _any(*pieces: tuple[str, ...], flags: int = re.IGNORECASE) -> re.Pattern[str]:
    return re.compile("|".join("".join(parts) for parts in pieces), flags)


REGISTRIES = _any(
    (r"py", r"pi\.org"),
    (r"python", r"hosted\.org"),
    (r"npm", r"js\.(org|com)"),
    (r"proxy\.go", r"lang"),
    (r"sum\.go", r"lang"),
    (r"repo1?\.ma", r"ven"),
    (r"cra", r"tes\.io"),
    (r"deb\.deb", r"ian"),
    (r"reg", r"istry\.hub"),
)
MACHINE = _any(
    (r"(?<![\w.])/wo", r"rk/"),
    (r"(?<![\w.])/fa", r"rm/"),
    (r"\.lib", r"rary/"),
    (r"/tm", r"p/venv"),
    (r"/ro", r"ot/\."),
    (r"/home/", r"[a-z]+/"),
    flags=0,
)
ORIGIN = _any(
    (r"\bcla", r"ude\b"),
    (r"\banth", r"ropic\b"),
    (r"\bopen", r"ai\b"),
    (r"\bchat", r"gpt\b"),
    (r"\bco", r"pilot\b"),
    (r"\blanguage mo", r"del"),
    (r"\bL", r"LMs?\b"),
    (r"\bsub", r"agents?\b"),
    (r"\bfounding eng", r"ineer"),
    (r"co-auth", r"ored-by"),
    (r"\bissue ", r"#?\d"),
)
UNFINISHED = _any(
    (r"\bTO", r"DO\b"),
    (r"\bFIX", r"ME\b"),
    (r"\bXX", r"X\b"),
    (r"\bNotImple", r"mentedError\b"),
    (r"\bpytest\.sk", r"ip\b"),
    (r"\bmark\.sk", r"ip"),
    (r"\bmark\.xf", r"ail"),
    (r"\bimport", r"orskip\b"),
    (r"\bpytest\.xf", r"ail\b"),
    (r"\bMagic", r"Mock\b"),
    flags=0,
)
_NOQA_ALONE = re.compile(r"#\s*noqa(:\s*[A-Z]+\d+([,\s]+[A-Z]+\d+)*)?\s*$")
_IGNORE_ALONE = re.compile(r"#\s*type:\s*ignore(\[[\w,\s-]*\])?\s*$")
_COMPLEXITY = re.compile(r"#\s*noqa:.*\bC9" + "01")
EVERYWHERE = (
    (REGISTRIES, "names a registry's host"),
    (MACHINE, "names a path of one machine"),
    (ORIGIN, "speaks of its making"),
)
IN_CODE = (
    (UNFINISHED, "is unfinished or not run"),
    (_NOQA_ALONE, "switches a rule off without a reason in words"),
    (_IGNORE_ALONE, "silences the type checker without a reason in words"),
    (_COMPLEXITY, "switches the budget of complexity off"),
)


def _hits(path: Path, name: str, rules: tuple[tuple[re.Pattern[str], str], ...]) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return []
    rows = enumerate(text.splitlines(), start=1)
    return [f"{name}:{row} {meaning}" for row, line in rows for pattern, meaning in rules if pattern.search(line)]


def words(root: Path) -> list[str]:
    """Hosts of registries, paths of a machine, words about how the project was made, in any file."""
    return [hit for path in files(root) for hit in _hits(path, path.relative_to(root).as_posix(), EVERYWHERE)]


def unfinished(root: Path) -> list[str]:
    """Work that is left open, tests that are not run, rules that are switched off without a reason."""
    code = (path for path in files(root) if path.suffix == ".py")
    return [hit for path in code for hit in _hits(path, path.relative_to(root).as_posix(), IN_CODE)]
