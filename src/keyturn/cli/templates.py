"""Templates of files with values in them: `{database-url}` and `{database.password}`; a literal brace is doubled.

What stands where is settled before any value is put in: each place of a template in JSON or YAML is tried with a text
of all characters that mean something there, and must give it back unharmed. So no value, today's or one of a later
version, can break out of its place. Pure, without I/O.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import count

from keyturn.client.view import View
from keyturn.core.errors import NotFound, Unsupported, UsageError
from keyturn.core.secret import FIELD, NAME, SecretValue
from keyturn.system import dotenv

SUFFIX = ".tmpl"
_PIECE = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]")
_DIRECTIVE = re.compile(
    r"[ \t]*(?:#|//|;|--|<!--)[ \t]*keyturn:[ \t]*format[ \t]*=[ \t]*([a-z]*)[ \t]*(?:-->)?[ \t]*\r?\n?"
)
_AWKWARD = "k\"\\'\n\r\t #:{}[]&*!|>%@`$,é\u2028\U0001f600\x7f\x85k"
"""Each character that means something in JSON or YAML, and some that are not allowed there as they are."""

Escape = Callable[[str], str]


class Format(StrEnum):
    """How a value is written in its place."""

    ENV = "env"
    JSON = "json"
    YAML = "yaml"
    NONE = "none"


_BY_SUFFIX = {".json": Format.JSON, ".yaml": Format.YAML, ".yml": Format.YAML, ".env": Format.ENV}


@dataclass(frozen=True, slots=True)
class Template:
    """One template.

    Attributes:
        name: of the file that is made of it.
        form: how values are written there.
        text: what it holds, without the directive.
        before: the number of lines that were left out above it.
    """

    name: str
    form: Format
    text: str
    before: int = 0

    def off(self, at: int, what: str, remedy: str = "") -> UsageError:
        """What is wrong at that place of the text, with its line."""
        return UsageError(f"{self.name}{SUFFIX}:{self.line(at)}: {what}", remedy)

    def line(self, at: int) -> int:
        """The number of the line that holds that place."""
        return self.text.count("\n", 0, at) + 1 + self.before


@dataclass(frozen=True, slots=True)
class Rendered:
    """The file of one template, and which version of which secret is in it."""

    name: str
    content: SecretValue
    versions: Mapping[str, str]


def template(file: str, text: str, default: Format | None = None) -> Template:
    """The template in a file of that name, which ends in `.tmpl`.

    Its first line may say `# keyturn: format=json` behind any comment sign, and is left out then; else it is the
    default, else what the name says (`.json`, `.yaml`, `.yml`, `.env`).

    Raises:
        UsageError: nothing says how values are to be written.
    """
    name = file.removesuffix(SUFFIX)
    said = _DIRECTIVE.match(text)
    if said is not None:
        if said[1] not in set(Format):
            raise UsageError(f"{file}:1: there is no format {said[1]!r}", f"one of {', '.join(Format)}")
        return Template(name, Format(said[1]), text[said.end() :], 1)
    form = default or next((form for suffix, form in _BY_SUFFIX.items() if name.endswith(suffix)), None)
    if form is None:
        raise UsageError(
            f"{file} does not say how values are written", "begin it with # keyturn: format=none, or --format"
        )
    return Template(name, form, text)


def rendered(made: Template, views: Mapping[str, View]) -> Rendered:
    """The file.

    Raises:
        UsageError: a brace, or a place where no value can stand; names the line.
        NotFound: a name that was not delivered; names the line.
        Unsupported: a value that cannot be written there; names the line.
    """
    found = {name: _looked_up(made, at, name, views) for at, name in _names(made)}
    versions = {view.secret: view.version for view, _ in found.values()}
    values = {name: value for name, (_, value) in found.items()}
    if made.form is Format.ENV:
        return Rendered(made.name, SecretValue("".join(_env_lines(made, values))), versions)
    escape = _ESCAPES[made.form]
    if made.form is not Format.NONE:
        _try(made, escape)
    text = _filled(made.text, lambda name: escape(values[name].reveal()))
    return Rendered(made.name, SecretValue(text), versions)


def _names(made: Template) -> Iterator[tuple[int, str]]:
    """Each place of a value and the name in it. Raises UsageError at a brace that is neither."""
    for piece in _PIECE.finditer(made.text):
        if piece[0] in {"{{", "}}"}:
            continue
        name, _, field = (piece[1] or "").partition(".")
        if not NAME.match(name) or ("." in piece[0] and not FIELD.match(field)):
            raise made.off(piece.start(), "a brace that belongs to no name", "double it: {{ and }}, or write {name}")
        yield piece.start(), piece[1]


def _looked_up(made: Template, at: int, name: str, views: Mapping[str, View]) -> tuple[View, SecretValue]:
    secret, _, field = name.partition(".")
    if field:
        if secret in views and field in views[secret].bundle:
            return views[secret], views[secret].bundle[field]
    else:
        for view in views.values():
            if name in view.published:
                return view, view.published[name]
        if secret in views and tuple(views[secret].bundle) == ("value",):
            return views[secret], views[secret].bundle["value"]
    why = made.off(at, f"no name {name!r:.80} was delivered").message
    raise NotFound(why, f"there is {', '.join(sorted(_there(views)))}")


def _there(views: Mapping[str, View]) -> Iterator[str]:
    for view in views.values():
        yield from view.published
        yield from (view.secret if field == "value" else f"{view.secret}.{field}" for field in view.bundle)


def _filled(text: str, put: Callable[[str], str]) -> str:
    return _PIECE.sub(lambda piece: piece[0][0] if piece[1] is None else put(piece[1]), text)


def _try(made: Template, escape: Escape) -> None:
    """Raise UsageError at the first place that would not give back an awkward value as it is."""
    places = [at for at, _ in _names(made)]
    if _given_back(made, escape, set(range(len(places)))) == len(places):
        return
    for number, at in enumerate(places):
        if _given_back(made, escape, {number}) != 1:
            raise made.off(at, "no value can stand here", f'between double quotes, as {made.form} has them: "{{name}}"')
    raise UsageError(f"{made.name}{SUFFIX} is no {made.form}", "--format none takes any text, and escapes nothing")


def _given_back(made: Template, escape: Escape, awkward: set[int]) -> int:
    """How often the awkward text is read where it stands in these places; -1 where nothing can be read."""
    turn = count()
    text = _filled(made.text, lambda _: escape(_AWKWARD if next(turn) in awkward else "0"))
    try:
        return sum(found.count(_AWKWARD) for found in _READERS[made.form](text))
    except ValueError:
        return -1


def _env_lines(made: Template, values: Mapping[str, SecretValue]) -> Iterator[str]:
    at = 0
    for line in dotenv.parse(made.text):
        if any(piece[1] is not None for piece in _PIECE.finditer(line.text)):
            yield _assigned(made, at, line, values)
        else:
            yield _filled(line.text, str)
        at += len(line.text)


def _assigned(made: Template, at: int, line: dotenv.Line, values: Mapping[str, SecretValue]) -> str:
    """One assignment, whose whole value is quoted as all readers of such a file read it."""
    start, end = line.span
    outside = line.text[:start] + line.text[end:]
    if line.value is None or any(piece[1] is not None for piece in _PIECE.finditer(outside)):
        raise made.off(at, "no value can stand here", "as the value of a variable: DATABASE_URL={database-url}")
    value = SecretValue(_composed(line.value.reveal(), values))
    try:
        lines = dotenv.assigned((line,), line.key or "", value)
    except ValueError as error:
        raise Unsupported(
            made.off(at, str(error)).message, "--format none, or read it from a file of its own"
        ) from None
    return dotenv.render(lines)


def _composed(text: str, values: Mapping[str, SecretValue]) -> str:
    return _filled(text, lambda name: _as_it_is(values[name].reveal()))


def _as_it_is(text: str) -> str:
    return text


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _in_yaml(text: str) -> str:
    """Between double quotes; YAML joins no surrogates, so nothing is escaped as two of them."""
    return "".join(map(_yaml_character, text))


def _yaml_character(one: str) -> str:
    if one in '"\\':
        return f"\\{one}"
    return one if one.isprintable() else f"\\U{ord(one):08X}"


def _json_texts(text: str) -> Iterator[str]:
    """Each string in it, names too. Raises ValueError."""
    pending: list[object] = [json.loads(text, object_pairs_hook=lambda pairs: [list(pair) for pair in pairs])]
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            pending += one
        elif isinstance(one, str):
            yield one


def _yaml_texts(text: str) -> Iterator[str]:
    """Each scalar in it. Raises ValueError."""
    from ruamel.yaml import YAML  # takes a while, and only templates in YAML need it
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import ScalarEvent

    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            if isinstance(event, ScalarEvent):
                yield event.value
    except YAMLError:
        raise ValueError("no YAML") from None


_ESCAPES: Mapping[Format, Escape] = {Format.JSON: _in_json, Format.YAML: _in_yaml, Format.NONE: _as_it_is}
_READERS: Mapping[Format, Callable[[str], Iterator[str]]] = {Format.JSON: _json_texts, Format.YAML: _yaml_texts}
