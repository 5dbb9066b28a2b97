"""The span-aware pass against tomllib: each key that tomllib sees stands where this pass says."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.manifest.positions import BeyondLimit, Positions
from keyturn.manifest.problems import KeyPath

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=6)
BARE = st.text("abcXYZ019_-", min_size=1, max_size=4)
SPACE = st.sampled_from(["", " ", "\t", "  "])
BLANK = st.sampled_from(["", " ", "\n", " # ]},[x]=\n", "\n\n\t"])
PLAIN = ("1", "-0", "+1_000", "0xdead_beef", "1e5", "-3.1e-2", "inf", "nan", "true", "1979-05-27", "07:32:00.5")
TIMES = ("1979-05-27 07:32:00Z", "1979-05-27T00:32:00-07:00")
TEXTS = ("''", '""', "'a # b'", '"\\" ]\\u00e9"', "'''\n'' ' = '''''", '"""a = "x" # """', "'''[t]\n'''")
LONG = ('"""\n"" \\""" \\\n   [x]"""""', '""""q" """')
SCALARS = st.sampled_from([*PLAIN, *TIMES, *TEXTS, *LONG])


def basic(text: str) -> str:
    """`text` as a basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


KEYS = BARE | WORDS.map(basic) | WORDS.filter(lambda text: "'" not in text).map(lambda text: f"'{text}'")


@st.composite
def dotted(draw: st.DrawFn) -> str:
    """A key of one to three parts."""
    parts = draw(st.lists(KEYS, min_size=1, max_size=3))
    return "".join(draw(SPACE) + part + draw(SPACE) + "." for part in parts)[:-1]


def inline(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Lists, over several lines and with comments, and inline tables of `values`."""
    element = st.tuples(BLANK, values, BLANK).map("".join)
    pair = st.tuples(SPACE, dotted(), SPACE, values, SPACE).map(
        lambda part: f"{part[0]}{part[1]}={part[2]}{part[3]}{part[4]}"
    )
    lists = st.tuples(st.lists(element, max_size=3), st.booleans(), BLANK)
    return lists.map(lambda part: f"[{','.join(part[0])}{',' * (part[1] and bool(part[0]))}{part[2]}]") | st.lists(
        pair, max_size=3
    ).map(lambda pairs: f"{{{','.join(pairs)}}}")


VALUES = st.recursive(SCALARS, inline, max_leaves=6)
PAIRS = st.tuples(SPACE, dotted(), st.just("="), SPACE, VALUES).map("".join)
HEADERS = st.tuples(st.booleans(), dotted(), SPACE).map(
    lambda part: f"[[{part[1]}]]{part[2]}# x" if part[0] else f"[{part[1]}]{part[2]}"
)
DOCUMENTS = st.lists(PAIRS | HEADERS | st.sampled_from(["", "# [no] = 1"]), max_size=10)


def valid(lines: list[str]) -> str:
    """The document of those lines that tomllib takes, each beside the ones before it."""
    text = ""
    for line in lines:
        try:
            tomllib.loads(f"{text}{line}\n")
        except tomllib.TOMLDecodeError:
            continue
        text = f"{text}{line}\n"
    return text


def paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key and index that tomllib saw."""
    if isinstance(value, dict):
        inner: Any = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        return
    for key, below in inner:
        yield (*path, key)
        yield from paths(below, (*path, key))


def key_at(line: str) -> str:
    """The key that `line` starts with, as tomllib reads it."""
    for end in range(1, len(line) + 1):
        try:
            (key,) = tomllib.loads(f"{line[:end]} = 0")
        except (tomllib.TOMLDecodeError, ValueError):
            continue
        if line[:end].strip() and not (line[end : end + 1].isalnum() or line[end : end + 1] in ("_", "-")):
            return str(key)
    raise AssertionError(line)


@given(DOCUMENTS)
def test_every_key_of_a_document_stands_where_it_is_said_to(lines: list[str]) -> None:
    """For all that tomllib reads there is a position, and the text at a key's position is that key."""
    text = valid(lines)
    positions = Positions(text)
    rows = text.split("\n")
    for path in paths(tomllib.loads(text)):
        assert path in positions
        line, column = positions[path]
        key = next(part for part in reversed(path) if isinstance(part, str))
        if isinstance(path[-1], str) or path[:-1] not in positions or positions[path[:-1]] > positions[path]:
            assert key_at(rows[line - 1][column - 1 :]) == key


@given(st.text("ab.=[]{}\",'\\#\n 1-_\t", max_size=30))
def test_any_text_is_located_or_left_to_tomllib(text: str) -> None:
    """No text makes the pass fail, and what tomllib takes it locates in full."""
    positions = Positions(text)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert all(path in positions for path in paths(data))


@pytest.mark.parametrize("scalar", [*PLAIN, *TIMES, *TEXTS, *LONG])
def test_what_follows_a_value_is_found(scalar: str) -> None:
    """No form of a value hides the keys after it, in a pair, a list or an inline table."""
    text = f"a = {scalar}\nb = [{scalar}, {scalar} # x\n]\nc = {{d = {scalar}, e = {scalar}}}\nf = 1"
    positions = Positions(text)
    assert all(path in positions for path in paths(tomllib.loads(text)))
    assert positions["f",] == (text.count("\n") + 1, 1)


def test_elements_of_lists_have_places_of_their_own() -> None:
    """An element over several lines is found on its own line, a table of an array at its header."""
    positions = Positions('x = [\n  "a", # one\n  { b = 1 },\n]\n[[t]]\n[[t]]\nq = 1\n[[t.u]]\n')
    assert [positions["x", 0], positions["x", 1], positions["x", 1, "b"]] == [(2, 3), (3, 3), (3, 5)]
    assert [positions["t", 0], positions["t", 1], positions["t", 1, "q"]] == [(5, 3), (6, 3), (7, 1)]
    assert positions["t", 1, "u", 0] == (8, 5)


def test_what_is_not_there_is_looked_for_above() -> None:
    """A missing key stands where its table does, and a missing table at the first character."""
    positions = Positions("\n[a]\nb = 1\n")
    assert positions["a", "c", "d"] == (2, 2)
    assert positions["z",] == (1, 1)
    assert positions[()] == (1, 1)


@pytest.mark.parametrize("text", ["a = " + "[" * 31 + "1" + "]" * 31, ".".join(["a"] * 32) + " = 1"])
def test_the_depth_ends_at_32(text: str) -> None:
    """32 keys and indices are read, one more is beyond the limit."""
    assert Positions(text)
    with pytest.raises(BeyondLimit):
        Positions(text.replace("a = [", "a = [[").replace("a = 1", "a.a = 1"))


def test_inline_tables_may_be_written_as_in_toml_1_1() -> None:
    """Line breaks, comments and a last comma in an inline table do not lose what comes after."""
    positions = Positions("a = { # x\n b = 1,\n c = [ 2 ],\n}\nd = 3\n")
    assert [positions["a", "b"], positions["a", "c", 0], positions["d",]] == [(2, 2), (3, 8), (5, 1)]
