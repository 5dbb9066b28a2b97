"""A well-formed `keyturn run`, understood without the machinery of the command line, which takes longer than all else.

What is not understood here is not judged here: help, a slip, `--json` and everything unusual take the long way, whose
words are the ones that people see. A test holds the two together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRACE = "10s"
COMPLETE = "_KEYTURN_COMPLETE"
"""The variable by which a shell asks for words to complete."""

GLOBAL = frozenset({"--manifest", "--profile"})
TAKE_A_WORD = frozenset({"--consumer", "--config", "--only", "--grace"})
FLAGS = frozenset({"--pristine", "--watch", "--files"})
_PATHS = frozenset({"manifest", "config"})


@dataclass(frozen=True, slots=True)
class Words:
    """One command line of `run`.

    Attributes:
        argv: the program and its arguments.
        manifest, profile, consumer, config: where the values are.
        only: the published names that are wanted; without any, all.
        pristine: hand on no more than a few variables.
        watch: start it anew when a value changes.
        files: values in files, and their places in the environment.
        grace: how long after TERM it may take to end.
    """

    argv: tuple[str, ...]
    manifest: Path | None = None
    profile: str | None = None
    consumer: str | None = None
    config: Path | None = None
    only: tuple[str, ...] = ()
    pristine: bool = False
    watch: bool = False
    files: bool = False
    grace: str = GRACE


def understood(words: Sequence[str], environ: Mapping[str, str]) -> Words | None:
    """What is asked for, None where the long way is to find out."""
    rest = iter(words)
    found: dict[str, list[str]] = {}
    if COMPLETE in environ or _options(rest, GLOBAL, frozenset(), found) != "run":
        return None
    first = _options(rest, TAKE_A_WORD, FLAGS, found)
    if first is None:
        return None
    argv = tuple(rest) if first == "--" else (first, *rest)
    return Words(argv, **_given(found)) if argv and argv[0] else None


def _options(
    rest: Iterator[str], take: frozenset[str], flags: frozenset[str], found: dict[str, list[str]]
) -> str | None:
    """The first word behind the options, which are noted in `found`; None where one of them is none."""
    for word in rest:
        name, equals, text = word.partition("=")
        if word in flags:
            found.setdefault(word, [])
        elif name in take:
            value = text if equals else next(rest, "")
            if not value or value.startswith("-"):
                return None
            found.setdefault(name, []).append(value)
        else:
            return None if word.startswith("-") and word != "--" else word
    return None


def _given(found: Mapping[str, list[str]]) -> dict[str, Any]:
    """As the parameters of `Words`: the last of several, all of --only."""
    given: dict[str, Any] = {}
    for option, values in found.items():
        name = option.removeprefix("--")
        if option in FLAGS:
            given[name] = True
        elif name == "only":
            given[name] = tuple(values)
        else:
            given[name] = Path(values[-1]) if name in _PATHS else values[-1]
    return given
