"""`keyturn set`: a value that a person brings, never by the command line itself."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from keyturn.cli import say
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import opened
from keyturn.cli.placing import where
from keyturn.core.errors import KeyturnError, NotAvailable, NotFound, Refused, Unavailable, UsageError
from keyturn.core.kinds import rotates
from keyturn.core.secret import FIELD, MAX_FIELD_BYTES, Bundle
from keyturn.rotation.intake import Taken, take_in
from keyturn.rotation.serving import serve
from keyturn.stores.taking.directory import PEM_BEGINS
from keyturn.system.files import make_directory, read_file
from keyturn.wiring import Assembly

PROMPT, STDIN = "prompt", "-"
LINE_BREAK = 2


@dataclass(frozen=True, slots=True)
class Source:
    """Where one field comes from: `prompt`, `-` (stdin), or a file."""

    field: str
    where: str

    @property
    def how(self) -> str:
        """For the journal."""
        return {PROMPT: "prompt", STDIN: "stdin"}.get(self.where, "file")


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which secret, of a kind that a person changes.")],
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FIELD=@FILE|FIELD=-|FIELD=prompt]...", help="Where each field comes from."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Bring a value that a person changes: prompt, stdin or file.

    One line break at the end of a file or of stdin is left out, and that is said; not of PEM text. It is delivered to
    those who use it. A secret that Keyturn can rotate is refused: rotate it instead.
    """

    def work() -> Answer:
        with opened(context) as assembly:
            table = assembly.manifest.secret(name)
            if rotates(table.kind):
                remedy = (
                    f"keyturn rotate {name}; for the first version keyturn provision {name}, or keyturn import FILE"
                )
                raise Refused(f"{name} is rotated by Keyturn, nobody sets it", remedy)
            chosen = sources(tuple(fields or ()), table.brought, tuple(table.follows))
            assembly.store(name)  # a store that cannot be opened is said before anybody types a value
            bundle = assembly.whole(name, {source.field: read(source) for source in chosen})
            taken = take(assembly, name, bundle, "+".join(sorted({source.how for source in chosen})))
            delivered, failure = deliver(assembly, name)
        data = {"secret": name, "version": taken.version, "was": taken.was, "fields": sorted(bundle)}
        line = f"{name}: version {taken.version} is current" + (f", before it {taken.was}" if taken.was else "")
        return Answer({**data, "delivered": list(delivered)}, (line, *delivered), error=failure)

    answering("set", as_json, work)


def take(assembly: Assembly, name: str, bundle: Bundle, how: str) -> Taken:
    """Make `bundle` the current version. Raises Refused, AdapterError."""
    make_directory(assembly.state.locks)
    lock = assembly.state.locks / f"{name}.lock"
    return take_in(assembly.journal, where(assembly, name), bundle, how, lock)


def deliver(assembly: Assembly, name: str) -> tuple[tuple[str, ...], KeyturnError | None]:
    """Bring the current version to those who use it; a line for each, and why one did not take it."""
    try:
        agreed = serve(assembly.journal, assembly.served(name))
    except NotAvailable:
        return (), None  # a consumer of a kind that is not built: `plan` says so
    except KeyturnError as error:
        return (), Unavailable(
            f"the version is current, and not delivered: {error.message}", "mend it, then keyturn tick"
        )
    return agreed.repaired, None


def sources(words: Sequence[str], fields: tuple[str, ...], more: tuple[str, ...] = ()) -> tuple[Source, ...]:
    """Where each field comes from; without a word, from a prompt. The fields `more` may be left out.

    Raises:
        UsageError: a word that is no source (it is not repeated: it may be a value), a field that
            the secret does not have, twice or not at all, stdin for two fields.
    """
    if not words:
        return tuple(Source(field, PROMPT) for field in fields)
    found: dict[str, Source] = {}
    for word in words:
        source = _source(word, fields, more)
        if source.field in found:
            raise UsageError(f"the field {source.field} is named twice", "name each field once")
        found[source.field] = source
    if missing := [field for field in fields if field not in found]:
        raise UsageError(f"the fields {', '.join(missing)} are missing", f"{missing[0]}=@FILE, or {missing[0]}=prompt")
    if sum(source.where == STDIN for source in found.values()) > 1:
        raise UsageError("stdin can be one field only", "use @FILE for the others")
    return tuple(found[field] for field in (*fields, *more) if field in found)


def _source(word: str, fields: tuple[str, ...], more: tuple[str, ...]) -> Source:
    field, equals, where = word.partition("=")
    if not equals and len(fields) == 1:
        field, where = fields[0], word
    if where not in {PROMPT, STDIN} and not (where.startswith("@") and len(where) > 1):
        raise UsageError(
            "a value has no place on a command line, where others can read it", "FIELD=@FILE, FIELD=- or FIELD=prompt"
        )
    if field not in {*fields, *more}:
        shown = repr(field) if FIELD.match(field) else "that"
        raise UsageError(f"the secret has no field {shown:.80}", f"it has {', '.join((*fields, *more))}")
    return Source(field, where)


def read(source: Source) -> str:
    """The text of a field.

    Raises:
        UsageError: too long, not UTF-8, typed differently twice, no terminal to ask on.
        AdapterError: the file cannot be read.
    """
    if source.where == PROMPT:
        return _prompt(source.field)
    limit = MAX_FIELD_BYTES + LINE_BREAK
    if source.where == STDIN:
        content, name = sys.stdin.buffer.read(limit + 1), "stdin"
    else:
        name = source.where[1:]
        content = _content(name, source.field, limit)
    if len(content) > limit:
        raise UsageError(f"{name} holds more than {MAX_FIELD_BYTES} bytes", "a value is shorter")
    return _text(content, name)


def _content(name: str, field: str, limit: int) -> bytes:
    try:
        return read_file(Path(name), limit)
    except NotFound as missing:
        raise NotFound(missing.message, f"{field}=@FILE with a file that is there, or {field}=prompt") from None


def _text(content: bytes, name: str) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8 text", "encode binary content, as base64 for instance") from None
    if content.startswith(PEM_BEGINS):
        return text  # its last line break belongs to it, as where it is imported
    for ending in ("\r\n", "\n"):
        if text.endswith(ending):
            say.note(f"one line break at the end of {name} was left out")
            return text.removesuffix(ending)
    return text


def _prompt(field: str) -> str:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"there is no terminal to ask for {field}", f"say where it is: {field}=@FILE or {field}=-")
    typed = {"once": getpass(f"{field}: "), "again": getpass(f"{field} again: ")}
    if typed["once"] != typed["again"]:
        raise UsageError("you typed two different things: nothing was changed", "try again")
    return typed["once"]
