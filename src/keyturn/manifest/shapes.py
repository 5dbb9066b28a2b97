"""The forms that values of a manifest have: what pydantic checks, in our words."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from keyturn.core.duration import parse_duration
from keyturn.core.errors import UsageError
from keyturn.core.secret import check_name
from keyturn.manifest.problems import Flaw, Off

T = TypeVar("T")
MAX_IDENTIFIER_BYTES = 63
MAX_PORT = 65535
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?):(\d{1,5})\Z")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}\Z")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\Z")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


class Table(BaseModel):
    """A table of the manifest: frozen, strict, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=False)

    def flaws(self) -> Iterator[Flaw]:
        """What is off between keys of this table, each at a path that starts in it."""
        yield from ()


def _checked(check: Callable[[str], T], example: str) -> Callable[[object], T]:
    def validate(value: object) -> T:
        if not isinstance(value, str):
            raise Off("must be a string", f'such as "{example}"' if example else "")
        return check(value)

    return validate


def shape(
    check: Callable[[str], object], pattern: str | None = None, example: str = "", **schema: int
) -> tuple[object, object]:
    """What makes an annotated type of a string: its check, and how JSON Schema describes it.

    Args:
        check: the value from the text; raises `Off`.
        pattern: a regular expression for editors; the check has the last word.
        example: a good value.
        schema: other keywords of JSON Schema.
    """
    described: dict[str, object] = {"type": "string", **schema}
    if pattern:
        described["pattern"] = pattern
    if example:
        described["examples"] = [example]
    return PlainValidator(_checked(check, example)), WithJsonSchema(described)


def _name(text: str) -> str:
    try:
        return check_name(text)
    except UsageError as error:
        raise Off("is not a name", error.remedy) from None


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise Off("is not a duration", str(error)) from None


def _positive(text: str) -> float:
    if seconds := _duration(text):
        return seconds
    raise Off("is no time at all", 'write one such as "30s", "15m" or "30d"')


def _line(text: str) -> str:
    if not text.strip() or _CONTROL.search(text):
        raise Off("must be one line of text")
    return text


def _identifier(text: str) -> str:
    if not 0 < len(text.encode("utf-8", "surrogatepass")) <= MAX_IDENTIFIER_BYTES or _CONTROL.search(text):
        raise Off(f"is not an identifier of 1 to {MAX_IDENTIFIER_BYTES} bytes without control characters")
    return text


def _host(text: str) -> str:
    match = _HOST.match(text)
    if not match or not 0 < int(match[1]) <= MAX_PORT:
        raise Off("is not host:port", 'write one such as "db.internal:5432" or "[::1]:5432"')
    return text


def _absolute(text: str) -> Path:
    if not text.startswith("/") or _CONTROL.search(text) or ".." in PurePosixPath(text).parts:
        raise Off("is not an absolute path", "start it with / and leave out ..")
    return Path(text)


def _url(*schemes: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            parts = urlsplit(text)
            fine = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            fine = False
        if not fine or _CONTROL.search(text) or " " in text:
            raise Off("is not a URL", f"start it with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return text

    return check


def _env(text: str) -> str:
    if not _ENV.match(text):
        raise Off("is not the name of an environment variable", 'write one such as "DATABASE_URL"')
    return text


def _field(text: str) -> str:
    if not _FIELD.match(text):
        raise Off("is not a field name", "use a-z, 0-9 and underscores")
    return text


def _file_name(text: str) -> str:
    if not _FILE_NAME.match(text):
        raise Off("is not a file's name", 'write one such as "app.env"')
    return text


def _guid(text: str) -> str:
    if not _GUID.match(text):
        raise Off("is not an id", 'write one such as "00000000-0000-0000-0000-000000000000"')
    return text


NAME_PATTERN = "^(?!.*--)[a-z][a-z0-9-]{0,62}$"
PATH_PATTERN = "^/"
HOST_PATTERN = r":\d{1,5}$"
HTTPS_PATTERN = "^https://"
HTTP_PATTERN = "^https?://"
DURATION_PATTERN = r"^(\d{1,9}(ms|s|m|h|d|w))+$"

Name = Annotated[str, *shape(_name, NAME_PATTERN, example="clo-api")]
"""Of a secret, consumer, store, published view or profile."""
Duration = Annotated[float, *shape(_duration, DURATION_PATTERN, example="30s")]
"""Seconds; written `"15m"`."""
PositiveDuration = Annotated[float, *shape(_positive, DURATION_PATTERN, example="30s")]
"""Seconds, more than 0."""
Line = Annotated[str, *shape(_line, minLength=1)]
"""One line of text."""
Identifier = Annotated[str, *shape(_identifier, minLength=1, maxLength=MAX_IDENTIFIER_BYTES)]
"""A role, user or database at a target."""
Host = Annotated[str, *shape(_host, HOST_PATTERN, example="db.internal:5432")]
"""`host:port`."""
AbsolutePath = Annotated[Path, *shape(_absolute, PATH_PATTERN, example="/run/keyturn")]
HttpsUrl = Annotated[str, *shape(_url("https"), HTTPS_PATTERN, example="https://example.com")]
HttpUrl = Annotated[str, *shape(_url("https", "http"), HTTP_PATTERN, example="https://example.com")]
Env = Annotated[str, *shape(_env, "^[A-Za-z_][A-Za-z0-9_]{0,126}$", example="DATABASE_URL")]
FieldName = Annotated[str, *shape(_field, "^[a-z][a-z0-9_]{0,62}$", example="password")]
FileName = Annotated[str, *shape(_file_name, "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$", example="app.env")]
"""A file in a directory that is named elsewhere; not hidden."""
Guid = Annotated[str, *shape(_guid, _GUID.pattern.replace(r"\Z", "$"))]
Count = Annotated[int, Field(ge=1, le=100_000)]
Several = Annotated[tuple[T, ...], Field(strict=False)]
"""A list, in the order of the manifest."""


def _not_empty(several: tuple[T, ...]) -> tuple[T, ...]:
    # Not pydantic's own minimum, which also complains when the only element is off.
    if not several:
        raise Off("must not be empty")
    return several


AtLeastOne = Annotated[
    tuple[T, ...], Field(strict=False, json_schema_extra={"minItems": 1}), AfterValidator(_not_empty)
]


def _sealed(mapping: Mapping[str, T]) -> Mapping[str, T]:
    return MappingProxyType(dict(mapping))


Named = Annotated[Mapping[Name, T], AfterValidator(_sealed)]
"""Tables by their name; cannot be changed."""


class Tls(Table):
    """How a connection is protected. Anything weaker than `verify-full` needs a reason.

    `sslmode` has libpq's words for every kind of target; `sslrootcert` is the file of the authorities
    that may vouch for the server; `connect_timeout` is in seconds once read.
    """

    sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = "verify-full"
    """How the server is verified, in libpq's words."""
    sslmode_reason: Line | None = None
    """Why less than `verify-full` is enough; needed then."""
    sslrootcert: AbsolutePath | None = None
    """File of the authorities that may vouch for the server."""
    connect_timeout: PositiveDuration = 5.0
    """For one connection."""

    weaker: ClassVar[str] = "say why in sslmode_reason, or leave sslmode out"

    def flaws(self) -> Iterator[Flaw]:
        """A weak mode without its reason."""
        if self.sslmode != "verify-full" and self.sslmode_reason is None:
            yield Flaw(("sslmode",), f"sslmode {self.sslmode!r} does not show who the server is", self.weaker)
        yield from super().flaws()
