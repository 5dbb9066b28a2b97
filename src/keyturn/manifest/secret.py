"""The table of a secret, as far as all kinds share it."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from keyturn.core.compose import holes
from keyturn.core.errors import UsageError
from keyturn.manifest.calendars import Calendar, TimeZone
from keyturn.manifest.problems import Flaw, Off
from keyturn.manifest.shapes import (
    Duration,
    Env,
    FieldName,
    Line,
    Name,
    Named,
    PositiveDuration,
    Several,
    Table,
    shape,
)

_WINDOW = re.compile(
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun)(?:[,-](?:mon|tue|wed|thu|fri|sat|sun))* )?"
    r"(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d\Z"
)
_STORE_NAME = re.compile(r"[!-~]{1,512}\Z")


def _window(text: str) -> str:
    if not _WINDOW.match(text) or text[-11:-6] == text[-5:]:
        raise Off("is not a window", 'write one such as "02:00-05:00" or "sat,sun 01:00-05:00"')
    return text


def _freeze(text: str) -> tuple[date, date]:
    first, _, last = text.partition("/")
    try:
        span = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        span = date.max, date.min
    if span[0] > span[1]:
        raise Off("is not a day or a span of days", 'write one such as "2026-12-24" or "2026-12-20/2027-01-03"')
    return span


def _store_name(text: str) -> str:
    if not _STORE_NAME.match(text):
        raise Off("is not a name that a store could have", "write it as the store shows it, without spaces")
    return text


def _template(text: str) -> str:
    if "\0" in text or len(text) > MAX_TEMPLATE:
        raise Off("is not a template")
    try:
        if not holes(text):
            raise Off("has no field in it", "write {field} where a part of the secret belongs")
    except UsageError as error:
        raise Off("has a brace that does not belong to a field name", error.remedy) from None
    return text


MAX_TEMPLATE = 4_096
Window = Annotated[str, *shape(_window, example="02:00-05:00")]
Freeze = Annotated[tuple[date, date], *shape(_freeze, example="2026-12-20/2027-01-03")]
"""First and last day, both frozen."""
StoreName = Annotated[str, *shape(_store_name, "^[!-~]{1,512}$")]
Template = Annotated[str, *shape(_template, maxLength=MAX_TEMPLATE)]


class Rotate(Table):
    """When a secret is rotated, and how long both credentials live side by side."""

    every: PositiveDuration | None = None
    """Age at which it is due."""
    calendar: Calendar | None = None
    """Minute, hour, day of the month, month, weekday, as in crontab."""
    tz: TimeZone | None = None
    """IANA time zone of `calendar`, `window` and `freeze`."""
    window: Window | None = None
    """When a rotation may change something: `02:00-05:00`, or with days `sat,sun 01:00-05:00`."""
    jitter: Duration | None = None
    """Spreads the start, so that secrets due together do not start together."""
    freeze: Several[Freeze] = ()
    """Days, or spans of days, on which none starts."""
    deadline: PositiveDuration | None = None
    """When a rotation that has not closed becomes a finding. It never retires anything."""
    overlap: Duration = 0.0
    """How long both credentials live at least."""

    def flaws(self) -> Iterator[Flaw]:
        """Two schedules at once; a time of day without its zone."""
        if self.every is not None and self.calendar is not None:
            yield Flaw(("calendar",), "'every' and 'calendar' exclude each other", "keep one of them")
        for key in ("calendar", "window", "freeze"):
            if getattr(self, key) and self.tz is None:
                yield Flaw((key,), f"'{key}' without 'tz'", 'add one such as tz = "Europe/London"')


class Published(Table):
    """A view of the bundle under a name that readers know; composed from `template`, or one `field`."""

    template: Template | None = None
    """Text with `{field}` holes; in a URL every part is percent-encoded."""
    field: FieldName | None = None
    """One field as it is."""
    env: Env | None = None
    """Environment variable; otherwise the name in upper case with underscores."""
    store_as: Literal["secret", "certificate", "key"] | None = None
    """Also an entry of the store, for readers that know nothing of Keyturn."""
    store_name: StoreName | None = None
    """Its name there, where that differs."""
    unsafe_alone: Line | None = None
    """Why it is fine that a reader gets part of what changes together; `plan` prints it."""

    def flaws(self) -> Iterator[Flaw]:
        """No content or two; a name in a store for what is not in a store."""
        if (self.template is None) == (self.field is None):
            yield Flaw((), "a published name has either 'template' or 'field'", 'such as field = "password"')
        if self.store_name is not None and self.store_as is None:
            yield Flaw(("store_name",), "'store_name' without 'store_as'", 'add store_as = "secret"')

    @property
    def text(self) -> str:
        """The template; for a single field, the hole that it is."""
        return self.template or f"{{{self.field}}}"

    @property
    def holes(self) -> tuple[str, ...]:
        """The names between the braces; none where neither key says what is published."""
        return holes(self.text) if self.template or self.field else ()


class SecretTable(Table, ABC):
    """What every secret declares. Each kind adds its own keys, and says what its bundle holds."""

    kind: str
    """Which kind of target accepts it."""
    owner: Line
    """Who answers for it: a person or a team, with an address."""
    purpose: Line
    """What it is for."""
    used_by: Literal["keyturn"] | None = None
    """One of Keyturn's own: needs no consumer."""
    rotate: Rotate = Rotate()
    """When it is rotated; without, by hand."""
    publish: Named[Published] = Field(default={}, validate_default=True)
    """Views of the bundle under names that readers know."""
    consumers: Several[Name] = ()
    """Who uses it."""
    store: Name | None = None
    """Where its bundle lives; needed with several stores."""
    store_name: StoreName | None = None
    """Its name there, where that differs; taken as it is."""
    probe: Line | None = None
    """One statement that a consumer must be able to run with a new credential."""
    on_reject: Literal["revert", "hold"] = "revert"
    """What a rejected version brings: back to the former one, or a hold."""
    compromise: Literal["availability", "containment"] = "availability"
    """In an emergency: the new one first, or the old one off first."""

    coordinates: ClassVar[tuple[str, ...]] = ()
    """Public facts of the target that templates may use."""

    @property
    @abstractmethod
    def bundle(self) -> tuple[str, ...]:
        """The fields of the bundle."""

    @property
    def follows(self) -> Mapping[str, str]:
        """Fields that a person need not bring, each with what it is where nobody does: the only declared user."""
        return {"username": self.accounts[0]} if len(self.accounts) == 1 and "username" in self.bundle else {}

    @property
    def brought(self) -> tuple[str, ...]:
        """The fields that a person has to bring."""
        return tuple(field for field in self.bundle if field not in self.follows)

    @property
    def rotating(self) -> frozenset[str]:
        """The fields that change together: a view holds all of them, none, or says why not."""
        return frozenset(self.bundle)

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """Secrets that Keyturn itself needs for this one: the key in `target`, and the name."""
        return ()

    @property
    def whereabouts(self) -> Mapping[str, str]:
        """The public facts of the target, by the names in `coordinates`."""
        return {}

    @property
    def accounts(self) -> tuple[str, ...]:
        """The users that the target declares; a credential in `username` is one of them."""
        return ()

    @property
    def verifiers(self) -> tuple[str, ...]:
        """Consumers in `target` that check what others make with this secret."""
        return ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Every hole that a template of this secret may have."""
        return (*self.bundle, *self.coordinates)
