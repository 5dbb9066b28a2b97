"""Files made of templates, as one generation that readers get as a whole, and what differs from it."""

from collections.abc import Mapping
from pathlib import Path

from keyturn.cli.templates import SUFFIX, Format, Rendered, rendered, template
from keyturn.client.view import View
from keyturn.core import strict_json
from keyturn.core.errors import Corrupt, NotFound, UsageError
from keyturn.system.files import OPEN_TO_OTHERS, Directory
from keyturn.system.generations import Generations, Reader

INDEX, SCHEMA = ".index.json", "keyturn/rendered/1"
MAX_BYTES = 1024 * 1024
_OPEN_BEYOND_GROUP = 0o027

Versions = Mapping[str, Mapping[str, str]]
"""File to secret to version."""


def files(folder: Path, views: Mapping[str, View], form: Format | None) -> tuple[Rendered, ...]:
    """Each template of that directory, with values in it; what ends otherwise is left alone.

    Raises:
        UsageError: there is none, or one is off.
        AdapterError: a name that was not delivered, a file that cannot be read.
    """
    with Directory(folder.absolute(), follow=True) as opened:
        found = {name: opened.read(name, MAX_BYTES) for name in opened.names() if name.endswith(SUFFIX)}
    names = [name for name in found if name != SUFFIX]
    if not names:
        raise UsageError(f"{folder} holds no template", f"a template is a file such as app.env{SUFFIX}")
    if f"{INDEX}{SUFFIX}" in names:
        raise UsageError(f"{INDEX} is Keyturn's own list", "give the template another name")
    return tuple(rendered(template(name, _text(name, found[name]), form), views) for name in names)


def generations(into: Path, group: str | None) -> Generations:
    """Where they go: a link that is switched. Raises Denied where there is no such group."""
    return Generations(into.absolute(), group=group, private=_OPEN_BEYOND_GROUP if group else OPEN_TO_OTHERS)


def write(place: Generations, made: tuple[Rendered, ...]) -> dict[str, str]:
    """Switch to these files where they differ from what lies there; what differed, and why.

    Raises:
        AdapterError: nothing was switched.
    """
    place.group_id()
    place.prepare()
    differed: dict[str, str] = {}

    def change(read: Reader | None) -> Mapping[str, bytes] | None:
        differed.update(differing(read, made))
        return _content(made) if differed else None

    with place.locked():
        place.put(change)
    return differed


def check(place: Generations, made: tuple[Rendered, ...]) -> dict[str, str]:
    """What differs from what lies there, and why; nothing is changed. Raises AdapterError."""
    if place.present() is None:
        return differing(None, made)
    return differing(lambda name: _read(place, name), made)


def differing(read: Reader | None, made: tuple[Rendered, ...]) -> dict[str, str]:
    """The names of files that are not as they would be made, and why; no value.

    Args:
        read: gives a file of the present generation; None before the first one.
        made: all files as they would be.

    Raises:
        Corrupt: the present list cannot be read.
    """
    if read is None:
        return {one.name: "is not there" for one in made}
    there, found = _parsed(read(INDEX)), {}
    for one in made:
        if one.name not in there:
            found[one.name] = "is not there"
        elif there[one.name] != one.versions:
            found[one.name] = _moved(there[one.name], one.versions)
        elif not _same(read(one.name), one):
            found[one.name] = "its template has changed, or somebody changed it"
    return {**found, **{name: "has no template" for name in there if name not in {one.name for one in made}}}


def _same(content: bytes, one: Rendered) -> bool:
    return _equal(content, one.content.reveal().encode())


def _equal(one: bytes, other: bytes) -> bool:
    return one == other


def _moved(was: Mapping[str, str], now: Mapping[str, str]) -> str:
    words = [f"{name} is {now[name]}, was {was.get(name, 'none')}" for name in now if was.get(name) != now[name]]
    return "; ".join([*words, *(f"{name} is no longer in it" for name in was if name not in now)])


def _content(made: tuple[Rendered, ...]) -> dict[str, bytes]:
    listed = {one.name: dict(one.versions) for one in made}
    head = strict_json.dump({"schema": SCHEMA, "files": listed})
    return dict({INDEX: head}, **{one.name: one.content.reveal().encode() for one in made})


def _read(place: Generations, name: str) -> bytes:
    found = place.read(name)
    if found is None:
        raise NotFound(f"{name} was removed while it was read", "again")
    return found


def _parsed(text: bytes) -> Versions:
    try:
        return _listed(text)
    except ValueError as error:
        raise Corrupt(f"{INDEX}: {error}", "move the directory away, and render again") from None


def _listed(text: bytes) -> Versions:
    content = strict_json.exactly(strict_json.load(text), {"schema": str, "files": dict})
    if content["schema"] != SCHEMA or not all(isinstance(one, dict) for one in content["files"].values()):
        raise ValueError(f"schema is not {SCHEMA}")
    return {name: strict_json.exactly(one, dict.fromkeys(one, str)) for name, one in content["files"].items()}


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8 text", "a template is text") from None
