"""Every gate can fail: each one is shown something that it must not let pass."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.gates import helptext, links, names, reveal, sizes, testing, tools, words
from scripts.gates.table import GATES
from scripts.run_tests import ROOT

Plant = Callable[[str, str], Path]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Write a file into a checkout that holds nothing else but the project's configuration; give the checkout."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return tmp_path

    return write


@pytest.mark.parametrize(
    "line",
    [
        "text = value.reveal()",
        "kept = [value.reveal()]",
        "def shown(self):\n    return self.value.reveal()",
        "def reveal(self):\n    self.text = self.value.reveal()",
        "log.info(value.reveal())",
        "print(value.reveal())",
        "use(f'{value.reveal()}')",
        "assert value.reveal() == 'x'",
        "use(value.reveal()[0])",
        "use(value.reveal().upper())",
        "pick = lambda: value.reveal()",
        "use(a if value.reveal() else b)",
        "value.reveal().encode()",
    ],
)
def test_a_revealed_value_that_is_kept_or_shown_is_found(plant: Plant, line: str) -> None:
    """Whatever keeps or shows the text of a secret is named with its line."""
    [problem] = reveal.reveals(plant("tests/unit/test_x.py", line))
    assert problem.startswith(f"tests/unit/test_x.py:{line.count(chr(10)) + 1} ")


@pytest.mark.parametrize(
    "line",
    [
        "use(value.reveal())",
        "use(key=value.reveal())",
        "use(value.reveal().encode(), 1)",
        "Bundle({field: value.reveal() for field, value in pairs})",
        "use(*[value.reveal()])",
        "def reveal(self):\n    return self.value.reveal()",
    ],
)
def test_a_revealed_value_that_is_handed_on_passes(plant: Plant, line: str) -> None:
    """A value that goes straight into a call is what the rule asks for."""
    assert reveal.reveals(plant("src/keyturn/x.py", line)) == []


def test_the_definition_of_reveal_is_the_only_exception(plant: Plant) -> None:
    """The same line is legal in core/secret.py and nowhere else."""
    assert reveal.reveals(plant(reveal.THE_DEFINITION, "x = y.reveal()")) == []
    assert len(reveal.reveals(plant("src/keyturn/core/other.py", "x = y.reveal()"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "from unittest.mock import Mock",
        "from unittest import mock",
        "import unittest.mock",
        "def test_x(mocker): ...",
        "monkeypatch.setattr('keyturn.core.ids.uuid7', str)",
        "from keyturn.core import ids\nmonkeypatch.setattr(ids, 'uuid7', str)",
        "import keyturn.core.ids\nmonkeypatch.setattr(keyturn.core.ids, 'uuid7', str)",
        "from keyturn.core import ids\nids.uuid7 = str",
        "from keyturn.core import ids\nsetattr(ids, 'uuid7', str)",
    ],
)
def test_a_mock_of_our_own_code_is_found(plant: Plant, text: str) -> None:
    """Whatever stands in for a part of Keyturn in a test is named."""
    assert len(testing.mocks(plant("tests/unit/test_x.py", text))) == 1


def test_what_is_not_ours_may_be_replaced(plant: Plant) -> None:
    """The environment and the working directory belong to the test."""
    text = "from keyturn.core import ids\nmonkeypatch.setenv('A', 'b')\nmonkeypatch.setattr(sys, 'argv', [])\nx.y = ids"
    assert testing.mocks(plant("tests/unit/test_x.py", text)) == []


@pytest.mark.parametrize(
    ("docstring", "good"),
    [
        ("The old password is refused.", True),
        ("A value, e.g. a password, is\n    masked everywhere.", True),
        ("The old password is refused", False),
        ("The old one is refused. The new one is not.", False),
        ("", False),
    ],
)
def test_a_test_says_its_behaviour_in_one_sentence(plant: Plant, docstring: str, *, good: bool) -> None:
    """No sentence, half a sentence and two sentences are named."""
    text = f'def test_x():\n    """{docstring}"""\n'
    assert (testing.docstrings(plant("tests/unit/test_x.py", text)) == []) is good


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("src/keyturn/core/a.py", "class VaultManager: ..."),
        ("src/keyturn/core/a.py", "class SQLHandler: ..."),
        ("src/keyturn/core/a.py", "class BaseStore: ..."),
        ("src/keyturn/core/a.py", "def get_secret(): ..."),
        ("src/keyturn/core/a.py", "class A:\n    async def _get_x(self): ..."),
        ("src/keyturn/core/utils.py", ""),
        ("src/keyturn/secrets.py", ""),
    ],
)
def test_a_name_that_says_nothing_is_found(plant: Plant, name: str, text: str) -> None:
    """Classes, functions and files with the words that the design leaves out are named."""
    assert len(names.names(plant(name, text))) == 1


def test_a_word_inside_another_word_passes(plant: Plant) -> None:
    """A database is no base, and a target is nothing to get."""
    assert names.names(plant("src/keyturn/a.py", "class DatabaseUtility: ...\ndef target_of(): ...")) == []


def test_the_guide_keeps_its_names_and_gives_text(plant: Plant) -> None:
    """What other files may not do stands in client/guide.py alone, and there too nothing is kept or shown."""
    text = "def get_secret(name):\n    return value.reveal()\n"
    assert (names.names(plant(names.THE_GUIDE, text)), reveal.reveals(plant(names.THE_GUIDE, text))) == ([], [])
    assert len(names.names(plant("src/keyturn/client/other.py", text))) == 1
    assert len(reveal.reveals(plant("src/keyturn/client/other.py", text))) == 1
    assert len(names.names(plant(names.THE_GUIDE, "class SecretsManager: ..."))) == 2
    assert len(reveal.reveals(plant(names.THE_GUIDE, "print(value.reveal())\nkept = value.reveal()"))) == 3


def test_a_missing_room_is_found(plant: Plant) -> None:
    """A checkout with one room lacks all the others."""
    found = names.rooms(plant("src/keyturn/core/__init__.py", ""))
    assert "src/keyturn/journal is no package" in found
    assert "src/keyturn/core is no package" not in found


def test_a_long_function_and_a_long_file_are_found(plant: Plant) -> None:
    """Both budgets are counted in lines."""
    body = "    pass\n"
    plant("src/keyturn/a.py", "def f():\n" + body * 80)
    plant("examples/a.py", "def g():\n" + body * 80)
    found = "\n".join(sizes.sizes(plant("scripts/b.py", "x = 1\n" * 401)))
    assert "f has 81 lines" in found
    assert "g has 81 lines" in found
    assert "has 401 lines" in found


def test_functions_that_are_long_in_the_middle_are_found(plant: Plant) -> None:
    """One function in twenty above 45 lines breaks the budget although none is above 80."""
    short = "".join(f"def f{n}():\n    pass\n" for n in range(18))
    longish = "".join(f"def g{n}():\n" + "    pass\n" * 45 for n in range(2))
    assert "one function in twenty" in sizes.sizes(plant("src/keyturn/a.py", short + longish))[0]
    assert sizes.sizes(plant("src/keyturn/a.py", short)) == []


@pytest.mark.parametrize(
    "pieces",
    [
        ("https://py", "pi.org/simple"),
        ("https://files.python", "hosted.org/x"),
        ("registry.npm", "js.org"),
        ("/wo", "rk/keyturn"),
        ("/ro", "ot/.cache"),
        ("Co-Auth", "ored-By: x"),
        ("made with Co", "pilot"),
        ("see issue", " #2"),
    ],
)
def test_a_word_that_no_file_may_hold_is_found(plant: Plant, pieces: tuple[str, str]) -> None:
    """Hosts of registries, paths of a machine and words about the making are named in any kind of file."""
    assert words.words(plant("docs/a.md", f"first\n{''.join(pieces)}\n"))[0].startswith("docs/a.md:2 ")


@pytest.mark.parametrize(
    "pieces",
    [
        ("# TO", "DO later"),
        ("raise NotImple", "mentedError"),
        ("@pytest.mark.sk", "ipif(True)"),
        ("pytest.sk", "ip('no server')"),
        ("@pytest.mark.xf", "ail"),
        ("x = 1  # no", "qa: S101"),
        ("x = 1  # no", "qa"),
        ("x = 1  # type: ig", "nore[arg-type]"),
        ("def f():  # no", "qa: C9", "01 it is long"),
    ],
)
def test_unfinished_work_and_unreasoned_exceptions_are_found(plant: Plant, pieces: tuple[str, ...]) -> None:
    """Open ends, tests that do not run, and rules switched off without a word are named."""
    assert len(words.unfinished(plant("tests/unit/test_x.py", "".join(pieces) + "\n"))) == 1


def test_an_exception_with_a_reason_passes(plant: Plant) -> None:
    """A rule may be switched off on a line that says why."""
    line = "x = 1  # no" + "qa: S101 nothing rests on it at run time\n"
    assert words.unfinished(plant("src/keyturn/a.py", line)) == []


def test_a_document_that_drifts_from_the_command_is_found_and_written_anew(plant: Plant) -> None:
    """A marked block is compared with the real help, and can be replaced by it."""
    root = plant("README.md", "# K\n\n<!-- help: keyturn -->\n```text\nnot the help\n```\nafter\n")
    assert len(helptext.helptext(root)) == 1
    helptext.rewrite(root)
    assert helptext.helptext(root) == []
    assert (root / "README.md").read_text().endswith("```\nafter\n")


def test_a_link_that_leads_nowhere_is_found(plant: Plant) -> None:
    """A relative link is followed from its document; the web is not looked at."""
    plant("docs/a.md", "[b](b.md#part) [web](https://example.com/x) [c](sub/c.md)\n")
    root = plant("docs/b.md", "")
    assert links.links(root) == ["docs/a.md:1 sub/c.md does not exist"]


def test_the_linter_asks_for_documentation_and_low_complexity(plant: Plant) -> None:
    """An undocumented public function and a function with eleven branches are named."""
    branches = "".join(f"    if x == {n}:\n        return {n + 1}\n" for n in range(10))
    root = plant("src/keyturn/a.py", f'"""A."""\n\n\ndef f(x: int) -> int:\n{branches}    return 0\n')
    found = "\n".join(tools.lint(root))
    assert "D103" in found
    assert "C901" in found


def test_the_formatter_has_the_last_word(plant: Plant) -> None:
    """A file that is laid out otherwise is named."""
    assert "a.py" in tools.layout(plant("src/keyturn/a.py", "x = {  'a':1 }\n"))[0]


def test_an_untyped_function_is_found(plant: Plant) -> None:
    """Mypy runs in its strict mode."""
    assert "no-untyped-def" in tools.types(plant("src/keyturn/a.py", "def f(x):\n    return x\n"))[0]


def test_a_room_that_imports_upward_is_found(plant: Plant) -> None:
    """The contracts of the rooms are read from the configuration and kept."""
    for room in names.ROOMS:
        plant(f"src/keyturn/{room}/__init__.py", "")
    plant("src/keyturn/__init__.py", "")
    for name in ("wiring", "leaks/scan", "leaks/encodings"):
        plant(f"src/keyturn/{name}.py", "")
    root = plant("src/keyturn/core/a.py", "import keyturn.journal\n")
    assert "rooms point downward" in "\n".join(tools.imports(root))
    plant("src/keyturn/core/a.py", "")
    assert tools.imports(root) == []


def test_a_heavy_client_is_found(plant: Plant) -> None:
    """A third-party module on the client's import path is named."""
    plant("src/keyturn/__init__.py", "")
    assert tools.light_client(plant("src/keyturn/client/__init__.py", "import json\n")) == []
    root = plant("src/keyturn/client/__init__.py", "import cryptography\n")
    assert tools.light_client(root) == ["import keyturn.client loads cryptography"]


def test_a_branch_that_no_test_takes_is_found(plant: Plant) -> None:
    """Coverage counts branches, not lines, of the named parts only."""
    plant("src/keyturn/__init__.py", "")
    plant("src/keyturn/other.py", "def g():\n    return 1\n")
    plant("src/keyturn/core/__init__.py", "def f(x):\n    if x:\n        x += 1\n    return x\n")
    test = "from keyturn.core import f\n\n\ndef test_f():\n    assert f(1) == 2\n"
    root = plant("tests/unit/core/test_f.py", test)
    assert "core/__init__.py" in "\n".join(tools.coverage(root, ["core"], ["core"]))
    plant("tests/unit/core/test_f.py", test + "    assert f(0) == 0\n")
    assert tools.coverage(root, ["core"], ["core"]) == []


def test_coverage_of_nothing_is_no_coverage(plant: Plant) -> None:
    """Without a single test, or with a failing one, the gate does not hold."""
    plant("src/keyturn/__init__.py", "")
    root = plant("src/keyturn/core/__init__.py", "")
    assert tools.coverage(root, ["core"], ["core"]) != []
    plant("tests/unit/core/test_f.py", "def test_f():\n    assert False\n")
    assert tools.coverage(root, ["core"], ["core"]) != []


def test_no_gate_is_named_twice() -> None:
    """A name on the command line means one gate."""
    assert len({gate.name for gate in GATES}) == len(GATES)
