"""The text of a YAML file, changed in one place at a time: what is not changed is kept byte for byte.

Each change is held against what the whole file meant before: where anything else would mean something else after it
(an anchor that others use, a merge, an unusual form), it is refused. Nothing is read into objects of any kind.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Data = Any
"""A text, a whole number, a truth, None, or a list or mapping of them."""

Path = tuple[str | int, ...]
_MERGE, _NULL, _BOOL, _INT = (f"tag:yaml.org,2002:{name}" for name in ("merge", "null", "bool", "int"))
_SAFE = re.compile(r"(?:[A-Za-z/$]|\./)[A-Za-z0-9_./@=+$,-]*(?::[A-Za-z0-9_./@=+$,?-]+)*\Z")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_COMMENT = re.compile(r"[\s{\[,]#")
STEP = 2
MOST = 100_000
"""Nodes, written out: a few lines of aliases could stand for more than any machine can hold."""


@dataclass(frozen=True)
class YamlText:
    """One document.

    Raises:
        ValueError: it cannot be read, or cannot be changed so; names the line, and none of the text.
    """

    text: str

    @cached_property
    def root(self) -> Node | None:
        """Its node, None for an empty file. Raises ValueError."""
        try:
            found: Node | None = YAML(typ="safe", pure=True).compose(self.text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise ValueError(f"line {mark.line + 1 if mark else 1}: no YAML") from None
        except (YAMLError, RecursionError):
            raise ValueError("no YAML") from None
        return found

    @cached_property
    def data(self) -> Data:
        """What it means, merges resolved. Raises ValueError."""
        try:
            if self.root is not None and _weight(self.root, {}) > MOST:
                raise ValueError("its aliases stand for too much")
            return None if self.root is None else _plain(self.root)
        except RecursionError:
            raise ValueError("an alias that holds itself") from None

    def at(self, *path: str | int) -> Data:
        """What stands at that place, None where there is nothing. Raises ValueError."""
        return _in(self.data, path)

    def line(self, *path: str | int) -> int:
        """The line of that place, or of the nearest around it. Raises ValueError."""
        found = self._nodes(path)
        return int(found[-1].start_mark.line) + 1 if found else 1

    def put(self, path: Path, value: Data) -> "YamlText":
        """With that value in that place; whatever it lies in is made. Raises ValueError."""
        if self.at(*path) == value:
            return self
        if any(not _takes(self.at(*path[:depth]), step) for depth, step in enumerate(path)):
            raise self._off(path)
        nodes = self._nodes(path)
        for depth, node in enumerate(nodes[:-1] if len(nodes) > len(path) else nodes):
            if getattr(node, "flow_style", False):
                return self._in_lines(path[:depth]).put(path, value)
        depth = len(nodes) - 1
        if depth < len(path) and depth >= 0 and isinstance(nodes[-1], MappingNode) and nodes[-1].value:
            fresh = self._inserted(nodes[-1], str(path[depth]), _nested(path[depth + 1 :], value))
        elif depth <= 0:
            fresh = self._new(path, value)
        else:
            fresh = self._replaced(path[:depth], _nested(path[depth:], value))
        return self._checked(fresh, _with(self.data, path, value), path)

    def append(self, path: Path, value: Data) -> "YamlText":
        """With one more item in that list, which is made where there is none. Raises ValueError."""
        there = self.at(*path)
        if not there:
            return self.put(path, [value])
        nodes = self._nodes(path)
        if len(nodes) <= len(path) or not isinstance(nodes[-1], SequenceNode):
            raise self._off(path)
        if nodes[-1].flow_style:
            return self._in_lines(path).append(path, value)
        at = self._line_end(_last(nodes[-1], self.text))
        column = nodes[-1].start_mark.column
        fresh = self._spliced(at, at, "".join(f"\n{line}" for line in _lines([value], column)))
        return self._checked(fresh, _with(self.data, (*path, len(there)), value), path)

    def drop(self, path: Path) -> "YamlText":
        """Without that entry or item, and without what it lay in if that were empty then. Raises ValueError."""
        around = self.at(*path[:-1])
        if len(around) == 1 and len(path) > 1:
            return self.drop(path[:-1])
        nodes = self._nodes(path)
        if len(nodes) <= len(path):
            raise self._off(path)
        if getattr(nodes[-2], "flow_style", False):
            return self._in_lines(path[:-1]).drop(path)
        start, end = self._span(nodes[-2], path[-1])
        begin = self.text.rfind("\n", 0, start) + 1
        fresh = self._spliced(begin, min(self._line_end(end) + 1, len(self.text)), "")
        return self._checked(fresh, _without(self.data, path), path)

    def _checked(self, fresh: "YamlText", expected: Data, path: Path) -> "YamlText":
        try:
            same = fresh.data == expected
        except ValueError:
            same = False
        if not same:
            raise self._off(path)
        return fresh

    def _off(self, path: Path) -> ValueError:
        why = "this place cannot be changed by itself: write it out, without anchor, alias or merge"
        return ValueError(f"line {self.line(*path)}: {why}")

    def _nodes(self, path: Path) -> list[Node]:
        """The nodes on the way, as far as there are any; merged ones are elsewhere."""
        found: list[Node] = [] if self.root is None else [self.root]
        for step in path:
            node = found[-1] if found else None
            if isinstance(node, MappingNode):
                values = [value for key, value in node.value if key.value == step and key.tag != _MERGE]
            elif isinstance(node, SequenceNode) and isinstance(step, int):
                values = node.value[step : step + 1]
            else:
                values = []
            if not values:
                break
            found.append(values[0])
        return found

    def _span(self, around: Node, step: str | int) -> tuple[int, int]:
        """Where an entry or item begins and ends."""
        if isinstance(around, MappingNode):
            key, value = next(pair for pair in around.value if pair[0].value == step)
            return int(key.start_mark.index), _end(key, value, self.text)
        assert isinstance(step, int)
        item = around.value[step]
        return int(item.start_mark.index), _last(item, self.text)

    def _new(self, path: Path, value: Data) -> "YamlText":
        if self.data is not None:
            raise self._off(path)
        begin = self.text if not self.text or self.text.endswith("\n") else f"{self.text}\n"
        return YamlText("".join((begin, *(f"{line}\n" for line in _lines(_nested(path, value), 0)))))

    def _inserted(self, around: MappingNode, key: str, value: Data) -> "YamlText":
        at = self._line_end(_last(around, self.text))
        lines = _lines({key: value}, around.value[0][0].start_mark.column)
        return self._spliced(at, at, "".join(f"\n{line}" for line in lines))

    def _replaced(self, path: Path, value: Data) -> "YamlText":
        nodes = self._nodes(path)
        start, end = self._span(nodes[-2], path[-1])
        node, column = nodes[-1], nodes[-2].start_mark.column
        if (
            isinstance(value, str | int)
            and isinstance(node, ScalarNode)
            and node.style not in {"|", ">"}
            and node.value
        ):
            return self._spliced(node.start_mark.index, node.end_mark.index, _scalar(value))
        if isinstance(nodes[-2], SequenceNode):
            lines = _lines([value], column)
            return self._spliced(self.text.rfind("\n", 0, start) + 1, end, "\n".join(lines))
        lines = _lines({str(path[-1]): value}, column)
        return self._spliced(start, end, "\n".join(lines)[column:])

    def _in_lines(self, path: Path) -> "YamlText":
        """With the entries of a collection that stands between brackets on lines of their own."""
        nodes = self._nodes(path)
        node = nodes[-1]
        inside = self.text[node.start_mark.index : node.end_mark.index]
        if len(path) == 0 or node.anchor or _COMMENT.search(inside):
            raise self._off(path)
        if getattr(nodes[-2], "flow_style", False):
            outer = self._in_lines(path[:-1])
            return outer._in_lines(path)  # noqa: SLF001 - of the same class
        column = nodes[-2].start_mark.column + STEP
        lines = [f"\n{' ' * column}{line}" for line in self._written(node)]
        start = self.text.rfind(":", 0, node.start_mark.index) + 1
        return self._checked(self._spliced(start, node.end_mark.index, "".join(lines)), self.data, path)

    def _written(self, node: Node) -> Iterator[str]:
        if isinstance(node, MappingNode):
            for key, value in node.value:
                yield f"{self._as_written(key)}: {self._as_written(value)}".rstrip()
        else:
            yield from (f"- {self._as_written(item)}" for item in node.value)

    def _as_written(self, node: Node) -> str:
        return self.text[node.start_mark.index : node.end_mark.index].rstrip()

    def _line_end(self, at: int) -> int:
        found = self.text.find("\n", at)
        return len(self.text.rstrip("\n")) if found < 0 else found

    def _spliced(self, start: int, end: int, text: str) -> "YamlText":
        return YamlText(f"{self.text[:start]}{text}{self.text[end:]}")


def _weight(node: Node, known: dict[int, int]) -> int:
    """How many nodes it is, written out without aliases."""
    if id(node) not in known:
        inside = [one for pair in node.value for one in pair] if isinstance(node, MappingNode) else node.value
        known[id(node)] = 1 + sum(_weight(one, known) for one in inside if isinstance(one, Node))
    return known[id(node)]


def _plain(node: Node) -> Data:
    if isinstance(node, MappingNode):
        merged: dict[Any, Any] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for one in reversed(value.value if isinstance(value, SequenceNode) else [value]):
                    merged |= _plain(one)
        return {**merged, **dict(_entries(node))}
    if isinstance(node, SequenceNode):
        return [_plain(item) for item in node.value]
    if node.tag == _NULL:
        return None
    if node.tag == _BOOL:
        return node.value.lower() == "true"
    if node.tag == _INT and node.value.isdecimal():
        return int(node.value)
    return str(node.value)


def _entries(node: MappingNode) -> Iterator[tuple[Data, Data]]:
    seen = set()
    for key, value in node.value:
        if not isinstance(key, ScalarNode) or key.value in seen:
            raise ValueError(f"line {key.start_mark.line + 1}: no YAML of names and values, each once")
        seen.add(key.value)
        if key.tag != _MERGE:
            yield _plain(key), _plain(value)


def _last(node: Node, text: str) -> int:
    """Where the last of its content ends: its own mark is where the next thing begins."""
    if isinstance(node, ScalarNode) or getattr(node, "flow_style", False) or not node.value:
        return int(node.start_mark.index) + len(text[node.start_mark.index : node.end_mark.index].rstrip())
    if isinstance(node, SequenceNode):
        return _last(node.value[-1], text)
    key, value = node.value[-1]
    return _end(key, value, text)


def _end(key: Node, value: Node, text: str) -> int:
    colon = text.index(":", key.end_mark.index) + 1
    if value.start_mark.index < colon:  # an alias: its node stands where the anchor is
        found = text.find("\n", colon)
        return len(text) if found < 0 else found
    if isinstance(value, ScalarNode) and value.start_mark.index == value.end_mark.index:
        return colon
    return _last(value, text)


def _in(data: Data, path: Sequence[str | int]) -> Data:
    for step in path:
        if isinstance(data, Mapping):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def _takes(data: Data, step: str | int) -> bool:
    """Whether there can be something of that name in it."""
    return data is None or isinstance(data, list if isinstance(step, int) else Mapping)


def _nested(path: Sequence[str | int], value: Data) -> Data:
    return value if not path else {path[0]: _nested(path[1:], value)}


def _with(data: Data, path: Sequence[str | int], value: Data) -> Data:
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(data, list) and isinstance(step, int):
        inner = data[step] if step < len(data) else None
        return [*data[:step], _with(inner, rest, value), *data[step + 1 :]]
    there = data if isinstance(data, Mapping) else {}
    return {**there, step: _with(there.get(step), rest, value)}


def _without(data: Data, path: Sequence[str | int]) -> Data:
    step, rest = path[0], path[1:]
    if rest:
        return _with(data, (step,), _without(_in(data, (step,)), rest))
    if isinstance(data, list) and isinstance(step, int):
        return [*data[:step], *data[step + 1 :]]
    return {key: value for key, value in data.items() if key != step}


def _lines(value: Data, column: int) -> list[str]:
    """A mapping or list in block form, from that column on."""
    indent, found = " " * column, list[str]()
    if isinstance(value, Mapping):
        for key, one in value.items():
            if isinstance(one, Mapping | list) and one:
                found += [f"{indent}{_scalar(key)}:", *_lines(one, column + STEP)]
            else:
                found.append(f"{indent}{_scalar(key)}: {_scalar(one)}")
        return found
    for item in value:
        if isinstance(item, Mapping | list) and item:
            first, *rest = _lines(item, column + STEP)
            found += [f"{indent}- {first[column + STEP :]}", *rest]
        else:
            found.append(f"{indent}- {_scalar(item)}")
    return found


def _scalar(value: Data) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if value in (None, {}, []):
        return {"None": "null", "{}": "{}", "[]": "[]"}[str(value)]
    text = str(value)
    if _SAFE.match(text) and text.lower() not in _WORDS:
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(one if one.isprintable() and one not in '"\\' else f"\\U{ord(one):08X}" for one in text) + '"'
