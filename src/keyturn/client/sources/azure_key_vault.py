"""Source `azure-key-vault`: bundles and derived copies as Keyturn writes them, and plain values of anybody.

With the standard library only. The first look reads everything, ten requests at a time and with one token; each
later one asks for a list without values, and reads what is another version than the one that is held.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hmac import compare_digest
from typing import Any, NamedTuple

from keyturn.client.configuration import absolute
from keyturn.client.sources import Generation
from keyturn.client.sources.azure_identity import AUTHORITY, Identity
from keyturn.client.sources.azure_vault import Entry, Vault, resource_of, soon
from keyturn.client.view import View
from keyturn.core import strict_json
from keyturn.core.duration import parse_duration
from keyturn.core.errors import AdapterError, Conflict, Corrupt, Denied, Throttled, Unavailable, UsageError
from keyturn.core.key_vault import ATTEMPT_FORM, ENV, FOR, MARK, OP, VIEW, mark_of
from keyturn.core.secret import Bundle, SecretValue
from keyturn.system.https import Host

AT_ONCE = 10
FEW = 2
"""So many secrets are read one by one: a list would take as many requests."""
PAUSE = 0.3
"""Seconds before another try at the start; doubled each time."""
FOREIGN = "azure:"
_OPTIONAL: Mapping[str, Any] = {
    "timeout": "10s",
    "every": "10s",
    "ca_file": None,
    "authority": AUTHORITY,
    "names": {},
    "published": {},
}


class _Wanted(NamedTuple):
    """The entries of one secret: its bundle, and the derived copy of each of its published names."""

    entry: str
    published: Mapping[str, str]


class AzureKeyVault:
    """Reads the newest versions of these secrets.

    Args:
        table: docs/client.md.
        secrets: their names.

    Attributes:
        every: seconds between two looks.
        asked: how many requests have left for the vault.

    Raises:
        ValueError: the table is not like that.
    """

    def __init__(self, table: Mapping[str, Any], secrets: tuple[str, ...]) -> None:
        given = _checked(table, secrets)
        try:
            host = Host(given["url"], given["ca_file"])
        except ValueError as error:
            raise ValueError(f"source.url {error}") from None
        identity = Identity(given["identity"], resource_of(host.url), given["authority"], given["ca_file"])
        self._vault, self._url = Vault(host, identity), host.url
        self._timeout, self.every = parse_duration(given["timeout"]), parse_duration(given["every"])
        entries = {**{name: name for name in secrets}, **given["names"]}
        self._wanted = {
            name: _Wanted(
                entries[name], {view: given["names"].get(view, view) for view in given["published"].get(name, ())}
            )
            for name in secrets
        }
        self._views: dict[str, View] = {}
        self._held: dict[str, Mapping[str, str]] = {}
        self._environment = ""
        self._lists = len(self._entries()) > FEW
        self._not_before = 0.0

    @property
    def asked(self) -> int:
        """How many requests have left for the vault."""
        return self._vault.asked

    def changed(self) -> Generation | None:
        """What the vault holds now, None when no version changed. Takes no longer than `timeout`.

        Raises:
            NotFound, Disabled, Denied, Corrupt, Conflict, Unsupported: a secret cannot be had.
            Throttled, Unavailable: not now.
        """
        try:
            return self._changed(soon(self._timeout))
        finally:
            self._vault.rest()

    def close(self) -> None:
        """End the connection."""
        self._vault.rest(0)

    def nonce(self) -> str:
        """Nothing is asked here."""
        return ""

    def _changed(self, until: float) -> Generation | None:
        if time.monotonic() < self._not_before:
            raise Throttled(f"{self._url} asked for patience", self._not_before - time.monotonic())
        if not self._views:
            self._views = self._first(until)
            return Generation(self._environment, dict(self._views))
        try:
            fresh = self._again(until)
        except Throttled as error:
            self._not_before = soon(error.retry_after)
            raise
        if not fresh:
            return None
        self._views = {**self._views, **fresh}
        return Generation(self._environment, dict(self._views))

    def _entries(self) -> tuple[str, ...]:
        return tuple(entry for wanted in self._wanted.values() for entry in (wanted.entry, *wanted.published.values()))

    def _first(self, until: float) -> dict[str, View]:
        """Everything, or an error by then. What may pass is tried again while there is time."""
        pause = PAUSE
        while True:
            try:
                views = self._read(self._wanted, until)
                if len(views) == len(self._wanted):
                    return views
                missing = min(self._wanted.keys() - views.keys())
                failure: AdapterError = Unavailable(
                    f"{missing!r} and its published names are of two versions", "try again"
                )
            except Throttled as error:
                failure, pause = error, max(pause, error.retry_after)
            except Unavailable as error:
                failure = error
            if time.monotonic() + pause >= until:
                raise failure
            time.sleep(pause)
            pause *= 2

    def _again(self, until: float) -> dict[str, View]:
        """The secrets of which another version is there."""
        due = self._due(until)
        read = self._read(due, until) if due else {}
        return {name: view for name, view in read.items() if not _same(view, self._views[name])}

    def _due(self, until: float) -> Mapping[str, _Wanted]:
        """The secrets that have to be read: all that the list does not show to be what is held."""
        rows = self._listed(until)
        if rows is None:
            return self._wanted
        same = {
            row.name.casefold()
            for row in rows
            if row.enabled and OP in row.tags and self._held.get(row.name.casefold()) == row.tags
        }
        return {
            name: wanted
            for name, wanted in self._wanted.items()
            if not {entry.casefold() for entry in (wanted.entry, *wanted.published.values())} <= same
        }

    def _listed(self, until: float) -> tuple[Entry, ...] | None:
        """None where reading all of them costs less, or where this identity may not list."""
        if not self._lists:
            return None
        try:
            rows = self._vault.listed(until, len(self._entries()))
        except Denied:
            rows = None
        self._lists = rows is not None
        return rows

    def _read(self, due: Mapping[str, _Wanted], until: float) -> dict[str, View]:
        """The secrets whose copies are all of one version; the others are on the way from one to the next."""
        wanted = [entry for one in due.values() for entry in (one.entry, *one.published.values())]
        found = dict(zip(wanted, _at_once(self._vault, wanted, until), strict=True))
        self._check_environment(found.values())
        views: dict[str, View] = {}
        for name, one in due.items():
            copies = {view: found[entry] for view, entry in one.published.items()}
            view = _view(name, found[one.entry], copies)
            if view is not None:
                views[name] = view
                self._held |= {entry.name.casefold(): entry.tags for entry in (found[one.entry], *copies.values())}
        return views

    def _check_environment(self, entries: Iterable[Entry]) -> None:
        told = {entry.tags[ENV].partition("/")[2] for entry in entries if ENV in entry.tags}
        told |= {self._environment} - {""}
        if len(told) > 1:
            raise Conflict(
                f"{self._url} holds secrets of {' and '.join(sorted(told))}", "one vault for each environment"
            )
        self._environment = next(iter(told), "")


def _view(name: str, entry: Entry, copies: Mapping[str, Entry]) -> View | None:
    """One version; None while the copies are of another one than the bundle."""
    attempt = entry.tags.get(OP, "")
    version = attempt if ATTEMPT_FORM.match(attempt) else FOREIGN + entry.id
    for copy in copies.values():
        if copy.tags.get(FOR, "").casefold() != entry.name.casefold():
            raise Conflict(f"{copy.name!r} is no derived copy of {entry.name!r}", "check source.published")
    if any(copy.tags.get(OP) != version or copy.tags.get(VIEW) != view for view, copy in copies.items()):
        return None
    published = {view: copy.value for view, copy in copies.items() if copy.value is not None}
    return View(name, version, _bundle(name, entry), published)


def _same(one: View, other: View) -> bool:
    """A value that is no bundle has no proof key of its own, and gets another one at each read."""
    alike = one.version == other.version and dict(one.bundle) == dict(other.bundle)
    return alike and dict(one.published) == dict(other.published)


def _bundle(name: str, entry: Entry) -> Bundle:
    """What stands in the entry: a bundle of Keyturn's, which its mark is of; else one value."""
    assert entry.value is not None
    mark, bundle = entry.tags.get(MARK), None
    if VIEW in entry.tags or (mark is None and FOR not in entry.tags):
        return _plain(name, entry.value)
    with suppress(ValueError):  # an error of what reads it would carry the whole text
        bundle = Bundle.parse(_encoded(entry.value.reveal()))
    named = entry.tags.get(FOR, entry.name).casefold() == entry.name.casefold()
    if bundle is None or not named or (mark is not None and not compare_digest(mark_of(bundle), mark)):
        raise Corrupt(f"{name!r} bears Keyturn's tags and holds another content", f"keyturn history {name}")
    return bundle


def _plain(name: str, value: SecretValue) -> Bundle:
    try:
        return Bundle({"value": value.reveal()})
    except UsageError as error:
        failure = Corrupt(f"{name!r}: {error.message}", error.remedy)
    raise failure


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _at_once(vault: Vault, entries: list[str], until: float) -> list[Entry]:
    """The answers in the order of the questions, ten at a time; connections are opened while the token is fetched."""
    answers: dict[int, Entry] = {}
    waiting, failures, signed_in = deque(range(len(entries))), list[Exception](), threading.Event()

    def work() -> None:
        vault.warm(until)
        signed_in.wait()
        read()

    def read() -> None:
        while not failures:
            try:
                number = waiting.popleft()
            except IndexError:
                return
            try:
                answers[number] = vault.newest(entries[number], until)
            except Exception as error:  # noqa: BLE001 - raised below, in the thread that asked
                failures.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(entries)) - 1)]
    for thread in threads:
        thread.start()
    try:
        vault.sign_in(until)
    except AdapterError as error:
        failures.append(error)
    finally:
        signed_in.set()
    read()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [answers[number] for number in range(len(entries))]


def _checked(table: Mapping[str, Any], secrets: tuple[str, ...]) -> dict[str, Any]:
    """The table with what was left out. Raises ValueError."""
    shape: dict[str, type | tuple[type, ...]] = {
        "kind": str,
        "url": str,
        "identity": (str, dict),
        "timeout": str,
        "every": str,
        "ca_file": (str, type(None)),
        "authority": str,
        "names": dict,
        "published": dict,
    }
    given = strict_json.exactly({**_OPTIONAL, **table}, shape)
    if given["ca_file"] is not None:
        absolute(given["ca_file"], "source.ca_file")
    for key in ("timeout", "every"):
        try:
            parse_duration(given[key])
        except ValueError as error:
            raise ValueError(f"source.{key}: {error}") from None
    if not all(isinstance(name, str) for name in given["names"].values()):
        raise ValueError("source.names is not names and entries of the vault")
    views = list(given["published"].values())
    if not given["published"].keys() <= set(secrets) or not all(_are_names(one) for one in views):
        raise ValueError('source.published is not secrets and names such as {"database": ["database-url"]}')
    return given


def _are_names(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)
