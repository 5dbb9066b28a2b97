"""YAML changed in one place: all else stays as it is, and what cannot be changed so is refused."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from keyturn.system.yaml_text import YamlText

TEXT = """# top

services:   # all of them
  api: # the api
    image: "x:latest"   # kept
    environment:
    # why
    - A=1
    - B=2   # two

    deploy: {replicas: 3, resources: {limits: {cpus: '0.5'}}}   # here
    command: |
      echo a

      echo b
    empty:

  web:
      ports: ["80:80"]
# tail
"""
WORDS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        [
            "yes",
            "null",
            "~",
            "1",
            "1.5",
            "a: b",
            "- a",
            "#",
            "a #b",
            "'",
            '"',
            "{",
            "",
            " a",
            "0x1",
            "<<",
            ".5",
            ".inf",
            "...",
            "./a",
            "=",
            "$",
        ]
    ),
)
VALUES = st.recursive(
    st.one_of(WORDS, st.booleans(), st.integers(0, 99)),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3), st.dictionaries(WORDS, inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


def read(text: str) -> Any:
    """What another reader makes of it."""
    return YAML(typ="safe", pure=True).load(io.StringIO(text))


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("services", "api", "image"), "z", '"x:latest"', "z"),
        (("services", "api", "environment", 1), "B=3", "B=2", "B=3"),
        (("services", "api", "empty"), 1, "    empty:\n", "    empty: 1\n"),
        (("services", "api", "empty", "a"), 1, "    empty:\n", "    empty:\n      a: 1\n"),
        (("services", "web", "expose"), ["1"], '["80:80"]\n', "[\"80:80\"]\n      expose:\n        - '1'\n"),
        (("name",), "x", '["80:80"]\n', '["80:80"]\nname: x\n'),
        (("services", "api", "command"), "a", "|\n      echo a\n\n      echo b", "a"),
    ],
)
def test_one_place_changes_and_no_other_byte(path: tuple[str | int, ...], value: Any, old: str, new: str) -> None:
    """Comments, blank lines, quotes and indentation stay."""
    assert TEXT.count(old) == 1
    assert YamlText(TEXT).put(path, value).text == TEXT.replace(old, new)


def test_items_are_added_at_the_end_of_a_list_and_taken_out_again() -> None:
    """In the indentation that the list has."""
    path = ("services", "api", "environment")
    added = YamlText(TEXT).append(path, "C=3")
    assert added.text == TEXT.replace("- B=2   # two\n", "- B=2   # two\n    - C=3\n")
    assert added.drop((*path, 2)).text == TEXT
    assert YamlText(TEXT).drop((*path, 0)).text == TEXT.replace("    - A=1\n", "")


def test_what_stands_between_brackets_gets_lines_where_it_must_change() -> None:
    """Only as far as that; what it meant stays."""
    page = YamlText(TEXT).put(("services", "api", "deploy", "replicas"), 4)
    expected = "deploy:\n      replicas: 4\n      resources: {limits: {cpus: '0.5'}}   # here"
    assert page.text == TEXT.replace("deploy: {replicas: 3, resources: {limits: {cpus: '0.5'}}}   # here", expected)
    deep = page.put(("services", "api", "deploy", "resources", "limits", "memory"), "1G")
    assert deep.at("services", "api", "deploy", "resources") == {"limits": {"cpus": "0.5", "memory": "1G"}}
    assert YamlText(TEXT).append(("services", "web", "ports"), "81:81").at("services", "web", "ports")[1] == "81:81"


def test_the_last_item_takes_what_it_lay_in_along() -> None:
    """An empty list is another thing than none."""
    text = "a: 1\nb:\n  c:\n    - x\nd: 2\n"
    assert YamlText(text).drop(("b", "c", 0)).text == "a: 1\nd: 2\n"


def test_an_equal_value_changes_nothing() -> None:
    """However it is written there."""
    page = YamlText(TEXT)
    assert page.put(("services", "api", "deploy"), {"resources": {"limits": {"cpus": "0.5"}}, "replicas": 3}) is page


@pytest.mark.parametrize("text", ["", "# only a comment", "# only a comment\n"])
def test_an_empty_file_gets_its_first_entry(text: str) -> None:
    """Behind what stands there."""
    page = YamlText(text).put(("a", "b"), 1)
    assert read(page.text) == {"a": {"b": 1}}
    assert page.text.startswith(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a: &x {b: 1}\nc: *x\n", ("a", "b")),
        ("a: &x\n  b: 1\nc: *x\n", ("c", "b")),
        ("a: &x\n  b: 1\nc:\n  <<: *x\n", ("a", "b")),
        ("a:\n  - 1\n", ("a", "b")),
        ("a: text\n", ("a", "b")),
        ("a: {\n  b: 1, # one\n  c: 2}\n", ("a", "b")),
        ("- a\n", ("a",)),
    ],
)
def test_a_place_that_others_share_is_refused_with_its_line(text: str, path: tuple[str, ...]) -> None:
    """Nothing else may change its meaning, and nothing may be lost."""
    with pytest.raises(ValueError, match=r"line \d: this place cannot be changed by itself"):
        YamlText(text).put(path, 2)


def test_what_was_merged_can_be_written_over_where_it_is_merged() -> None:
    """The one that it came from stays as it is."""
    page = YamlText("a: &x\n  b: 1\n  c: 1\nd:\n  <<: *x\n").put(("d", "b"), 2)
    assert page.data == {"a": {"b": 1, "c": 1}, "d": {"b": 2, "c": 1}}


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2\n", "a: 1\n---\nb: 2\n", "\ta: 1", "a: *b\n", "a: &a [*a]\n"])
def test_what_is_no_document_is_refused(text: str) -> None:
    """With a line where there is one, and nothing of the text."""
    with pytest.raises(ValueError, match=r"no YAML|holds itself"):
        YamlText(text).data  # noqa: B018 - it is read on demand


@given(VALUES, st.sampled_from([("a", "x"), ("a", "b"), ("c",), ("a", "l")]))
def test_any_value_is_written_so_that_others_read_it_back(value: Any, path: tuple[str, ...]) -> None:
    """In a new place or in that of another one; a second time changes nothing."""
    page = YamlText("a:\n  b: 1   # one\n  l:\n  - x\nc: {d: e}\n").put(path, value)
    found = read(page.text)
    for step in path:
        found = found[step]
    assert found == value
    assert page.put(path, value) is page


def test_aliases_that_stand_for_too_much_are_refused() -> None:
    """A few lines whose aliases would be a billion texts, written out."""
    text = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    with pytest.raises(ValueError, match="aliases stand for too much"):
        _ = YamlText(text).data
