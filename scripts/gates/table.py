"""All gates, the quick ones first."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.gates import helptext, links, names, reveal, sizes, testing, tools, words


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: its name, and the function from a checkout to what is wrong with it."""

    name: str
    problems: Callable[[Path], list[str]]


GATES = (
    Gate("lint", tools.lint),
    Gate("layout", tools.layout),
    Gate("words", words.words),
    Gate("unfinished", words.unfinished),
    Gate("names", names.names),
    Gate("rooms", names.rooms),
    Gate("sizes", sizes.sizes),
    Gate("reveals", reveal.reveals),
    Gate("mocks", testing.mocks),
    Gate("docstrings", testing.docstrings),
    Gate("light-client", tools.light_client),
    Gate("imports", tools.imports),
    Gate("help", helptext.helptext),
    Gate("links", links.links),
    Gate("types", tools.types),
    Gate("coverage", tools.coverage),
)
