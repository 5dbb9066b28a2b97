"""A value back into the fields that a template would have made it of: the inverse of `core.compose`.

A URL that a person wrote is not always one that Keyturn would write: the port may be missing, the scheme may be another
name of the same, the query may say something else. What differs and is neither a field nor a place is told as a doubt.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from keyturn.core.compose import holes
from keyturn.core.errors import UsageError
from keyturn.core.secret import SecretValue

PORTS: Mapping[str, str] = {"postgresql": "5432", "redis": "6379", "rediss": "6379", "smtp": "587", "mysql": "3306"}
_ALIASES = {"postgres": "postgresql"}
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<user>[^/?#]*)@)?(?P<where>[^/?#]*)(?P<path>/[^?#]*)?"
    r"(?:\?(?P<query>[^#]*))?(?P<fragment>#.*)?\Z",
    re.DOTALL,
)
_PLACE = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>.*))?\Z")
_HOLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_BROKEN_CODE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
_CHAIN = ("certificate", "chain")


@dataclass(frozen=True, slots=True)
class Parted:
    """The parts by the names of the template's holes, and what is written otherwise than the template has it."""

    parts: Mapping[str, SecretValue]
    doubts: tuple[str, ...] = ()


class _Url(NamedTuple):
    scheme: str
    username: str | None
    password: str | None
    host: str
    port: str | None
    path: str
    query: Mapping[str, str]


def part(template: str, value: SecretValue) -> Parted:
    """The parts of `value`.

    Raises:
        UsageError: it was not made of this template; says why, never what it is.
    """
    names = holes(template)
    if template == f"{{{names[0]}}}":
        return Parted({names[0]: value})
    if "://" in template:
        return _from_url(template, value.reveal())
    if names == _CHAIN and template == "{certificate}{chain}":
        return Parted(dict(zip(_CHAIN, _chain(value.reveal()), strict=True)))
    return Parted(_fitted(template, value.reveal(), decode=False))


def is_url_with_password(value: SecretValue) -> bool:
    """Whether it is a URL with a password before the @."""
    return _holds_password(value.reveal())


def _holds_password(text: str) -> bool:
    found = _URL.match(text)
    return found is not None and ":" in (found["user"] or "") and bool((found["user"] or "").partition(":")[2])


def _chain(text: str) -> tuple[SecretValue, SecretValue]:
    """The first certificate, and all that follow it."""
    if not text.startswith(_CERTIFICATE):
        raise UsageError("it does not begin with a certificate", "the certificate comes first, then those that signed")
    second = text.find(_CERTIFICATE, len(_CERTIFICATE))
    cut = len(text) if second < 0 else second
    return SecretValue(text[:cut]), SecretValue(text[cut:])


def _from_url(template: str, text: str) -> Parted:
    wanted, given = _url(template), _url(text)
    if wanted is None:
        raise UsageError("the template is no URL that can be taken apart", "give its fields one by one")
    if given is None:
        raise UsageError("it is no URL", "scheme://user:password@host:port/name")
    parts: dict[str, SecretValue] = {}
    if wanted.username is not None:
        if given.username is None:
            hint = "in a password / ? # and @ are written as %2F %3F %23 and %40"
            raise UsageError("it has no user and password before an @", hint)
        parts |= _piece(wanted.username, given.username) | _piece(wanted.password or "", given.password or "")
    parts |= _places(wanted, given)
    for name, shape in wanted.query.items():
        if _HOLE.search(shape) and name in given.query:
            parts |= _piece(shape, given.query[name])
    return Parted({name: value for name, value in parts.items() if value}, _doubts(wanted, given))


def _places(wanted: _Url, given: _Url) -> dict[str, SecretValue]:
    several = "," in given.host or "," in (given.port or "")
    if wanted.port is None and (several or _HOLE.fullmatch(wanted.host)):
        host = given.host + (f":{given.port}" if given.port else "")
        parts = _piece(wanted.host, host)
    elif several:
        raise UsageError("it names several hosts, and the template one", "publish {hosts} in the template")
    else:
        usual = PORTS.get(_scheme(given.scheme), "")
        port = given.port or usual
        parts = _piece(wanted.host, given.host) | (_piece(wanted.port or usual, port) if port else {})
    return parts | (_piece(wanted.path, given.path) if given.path else {})


def _doubts(wanted: _Url, given: _Url) -> tuple[str, ...]:
    doubts = []
    if _scheme(wanted.scheme) != _scheme(given.scheme):
        doubts.append("its scheme is another one than the template's")
    fixed = {name: shape for name, shape in wanted.query.items() if not _HOLE.search(shape)}
    said = {name: text for name, text in given.query.items() if name in fixed or name not in wanted.query}
    if fixed != said:
        names = sorted(name for name in fixed.keys() | said.keys() if fixed.get(name) != said.get(name))
        told = ", ".join(name for name in names if name.isidentifier()) or "what has no name"
        doubts.append(f"its query differs from the template's in {told}")
    return tuple(doubts)


def _scheme(text: str) -> str:
    """Without the name of a driver (`postgresql+asyncpg`)."""
    name = text.lower().partition("+")[0]
    return _ALIASES.get(name, name)


def _url(text: str) -> _Url | None:
    found = _URL.match(text)
    if found is None or found["fragment"]:
        return None
    username, password = None, None
    if found["user"] is not None:
        username, _, password = found["user"].partition(":")
    place = _PLACE.match(found["where"])
    host, port = (place["host"], place["port"]) if place else (found["where"], None)
    return _Url(
        found["scheme"], username, password, host, port, (found["path"] or "")[1:], _query(found["query"] or "")
    )


def _query(text: str) -> dict[str, str]:
    """By name; what has none is a value, and never told as a name."""
    parts = [one for one in text.split("&") if one]
    bare = "&".join(one for one in parts if "=" not in one)
    named = (one.partition("=") for one in parts if "=" in one)
    return {name: value for name, _, value in named} | ({"": bare} if bare else {})


def _piece(shape: str, text: str) -> dict[str, SecretValue]:
    """One component against the template's; nothing where the template has nothing."""
    if not _HOLE.search(shape):
        if unquote(shape).lower() != unquote(text).lower():
            raise UsageError("it leads to another place than the template", "is this the right secret?")
        return {}
    return _fitted(shape, text, decode=True)


def _fitted(shape: str, text: str, *, decode: bool) -> dict[str, SecretValue]:
    """The holes of `shape`; refused where `text` could be made of it in two ways, or in none."""
    names = _HOLE.findall(shape)
    literals = [re.escape(one) for one in _HOLE.split(shape)[::2]]
    found = []
    for quantifier in ("*", "*?"):
        pattern = literals[0] + "".join(f"(.{quantifier}){after}" for after in literals[1:])
        match = re.fullmatch(pattern, text, re.DOTALL)
        if match is None:
            raise UsageError("it is not made as the template has it", "give its fields one by one")
        found.append(match.groups())
    if found[0] != found[1] or len(set(names)) != len(names):
        raise UsageError("it can be taken apart in more than one way", "give its fields one by one")
    return {name: SecretValue(_decoded(one) if decode else one) for name, one in zip(names, found[0], strict=True)}


def _decoded(text: str) -> str:
    if _BROKEN_CODE.search(text):
        raise UsageError("it has a % that begins no code", "a % itself is written %25")
    decoded = None
    # the error of what reads it would carry the text
    with suppress(UnicodeDecodeError):
        decoded = unquote(text, errors="strict")
    if decoded is None:
        raise UsageError("a part of it is not UTF-8 text", "write it percent-encoded as UTF-8")
    return decoded
