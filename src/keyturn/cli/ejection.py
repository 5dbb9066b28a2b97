"""What `keyturn eject` writes: files that a program reads without Keyturn, and a page that says how to go on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from keyturn.core.errors import Refused, Unsupported
from keyturn.core.secret import Bundle, SecretValue
from keyturn.stores.plain import names
from keyturn.system import dotenv
from keyturn.system.files import Directory

README, SECRETS, ENV = "README.md", "secrets", ".env"


class Form(StrEnum):
    """How the values lie there."""

    FILES = "files"
    ENV = "env"


@dataclass(frozen=True, slots=True)
class Ejected:
    """One secret with its current content.

    Attributes:
        secret, kind, version: what it is.
        bundle: its fields.
        views: its published names with their values, and the variable of each where the manifest names one.
        slot: the place at the target that is in use, empty where there is none.
        idle: the places there that stay disabled.
        missing: published names that this version cannot compose.
    """

    secret: str
    kind: str
    version: str
    bundle: Bundle
    views: Mapping[str, SecretValue]
    variables: Mapping[str, str]
    slot: str = ""
    idle: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def places(self, form: Form) -> Mapping[str, tuple[str, SecretValue]]:
        """File or variable to what it is and its value."""
        fields = tuple(self.bundle)
        if form is Form.FILES:
            own = names.files(self.secret, fields)
            views = {view: names.files(view, names.ALONE)[0] for view in self.views}
        else:
            own = names.variables(self.secret, fields)
            views = {view: self.variables.get(view) or names.variables(view, names.ALONE)[0] for view in self.views}
        found = {
            place: (f"{self.secret}.{field}", self.bundle[field]) for place, field in zip(own, fields, strict=True)
        }
        for view, place in views.items():
            if place in found and found[place][1] != self.views[view]:
                raise Refused(f"{place} would be {view} and {found[place][0]}", "give the published name another one")
            found[place] = (view, self.views[view])
        return found


def laid_out(ejected: tuple[Ejected, ...], form: Form) -> Mapping[str, tuple[str, SecretValue]]:
    """Every file or variable, with what it is and its value.

    Raises:
        Refused: two would have one name.
        Unsupported: a value cannot be written to a `.env` file so that everybody reads it alike.
    """
    found: dict[str, tuple[str, SecretValue]] = {}
    for one in ejected:
        for place, (what, value) in one.places(form).items():
            if place in found and found[place][1] != value:
                raise Refused(f"{place} would be {found[place][0]} and {what}", "give the published name another one")
            found[place] = (what, value)
    if form is Form.ENV and (odd := [what for what, value in found.values() if not dotenv.writable(value)]):
        raise Unsupported(f"{', '.join(odd)}: not every reader of a .env file reads it alike", "--form files")
    return found


def write(folder: Directory, ejected: tuple[Ejected, ...], form: Form, page: str) -> None:
    """Everything into that directory, durable on return. Raises Denied, Unavailable: it may be there in part."""
    laid = laid_out(ejected, form)
    if form is Form.FILES:
        with folder.make(SECRETS) as inside:
            for place, (_, value) in laid.items():
                inside.create(place, value.reveal().encode())
            inside.sync()
    else:
        lines: tuple[dotenv.Line, ...] = ()
        for place, (_, value) in laid.items():
            lines = dotenv.assigned(lines, place, value)
        folder.create(ENV, dotenv.render(lines).encode())
    folder.create(README, page.encode())
    folder.sync()


def readme(service: str, environment: str, ejected: tuple[Ejected, ...], form: Form) -> str:
    """The page beside the files; no value is in it."""
    where = f"`{SECRETS}/`, one file for each value" if form is Form.FILES else f"`{ENV}`"
    return "\n".join(
        (
            f"# The secrets of {service} ({environment}), without Keyturn",
            "",
            f"The values are in {where}: in the clear, readable for their owner alone.",
            "Nothing was removed from where Keyturn keeps them.",
            "",
            "## What is where",
            "",
            "| place | is | secret | version |",
            "| --- | --- | --- | --- |",
            *(_row(place, what, one) for one in ejected for place, (what, _) in one.places(form).items()),
            "",
            *(f"Not composed: `{view}`, out of the fields of {one.secret}." for one in ejected for view in one.missing),
            "## What stops from now on",
            "",
            "- These files do not change any more. If Keyturn rotates again, they are out of date: end the",
            "  timer that runs `keyturn tick` first.",
            "- Once it has ended, nothing is rotated, delivered to a consumer, or watched. What lies in a",
            "  consumer's bundle directory stays as it is; on a tmpfs it is gone after a reboot.",
            "- The journal stays as evidence. `keyturn audit verify` needs its state directory.",
            "",
            "## At the targets",
            "",
            *_targets(ejected),
            "",
            "## The way back",
            "",
            "Where the state directory is still there: start the timer again. Nothing was changed.",
            "Elsewhere: `keyturn init`, the manifest, then",
            "",
            f"    keyturn import {SECRETS if form is Form.FILES else ENV}",
            "",
            "and remove this directory. Who could read it knows the values: rotate them.",
            "",
        )
    )


def _row(place: str, what: str, one: Ejected) -> str:
    return f"| `{place}` | `{what}` | {one.secret} ({one.kind}) | {one.version} |"


def _targets(ejected: tuple[Ejected, ...]) -> Iterator[str]:
    for one in ejected:
        if one.slot:
            rest = (
                f"; {', '.join(f'`{slot}`' for slot in one.idle)} cannot log in, and is to stay so" if one.idle else ""
            )
            yield f"- {one.secret}: `{one.slot}` is in use{rest}. To change its password is now up to you."
    if not any(one.slot for one in ejected):
        yield "Nothing was rotated at a target."
