"""How long functions and files may be."""

from pathlib import Path

from scripts.gates.tree import Function, modules

LONGEST_FUNCTION = 80
MOST_FUNCTIONS = 45
SHARE = 0.95
LONGEST_FILE = 400


def lines(function: Function) -> int:
    """Lines from `def` to the last one of the body."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def sizes(root: Path) -> list[str]:
    """Functions over 80 lines, files over 400, and a 95th percentile of functions in src over 45."""
    problems = []
    lengths = []
    for module in modules(root, "src", "scripts", "bench", "examples"):
        if (count := module.text.count("\n")) > LONGEST_FILE:
            problems.append(f"{module.path} has {count} lines, more than {LONGEST_FILE}")
        for function in module.functions():
            if (count := lines(function)) > LONGEST_FUNCTION:
                problems.append(module.at(function, f"{function.name} has {count} lines, more than {LONGEST_FUNCTION}"))
            if module.path.startswith("src/"):
                lengths.append(count)
    if lengths and (common := sorted(lengths)[int(len(lengths) * SHARE)]) > MOST_FUNCTIONS:
        problems.append(f"one function in twenty has {common} lines or more, the budget is {MOST_FUNCTIONS}")
    return problems
