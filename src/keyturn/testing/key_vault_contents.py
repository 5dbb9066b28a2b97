"""What a double of an Azure Key Vault keeps, and what it answers: the rules of the secrets API, without any network.

Shapes and limits after the REST reference of Microsoft (learn.microsoft.com/rest/api/keyvault/secrets) and the
service limits (learn.microsoft.com/azure/key-vault/general/service-limits). Where both are silent this is stricter than
it may have to be, and says so: what works here shall work there, not the other way round.
"""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Any, NamedTuple

from keyturn.core.secret import SecretValue

API_VERSIONS = frozenset({"2026-04-01", "2025-07-01", "7.6", "7.5", "7.4", "7.3", "7.2", "7.1", "7.0", "2016-10-01"})
PAGE = 25
MAX_VALUE_BYTES = 25 * 1024
MAX_TAGS = 15
MAX_TAG_LENGTH = 256
RETENTION_DAYS = 90
_NAME = re.compile(r"[0-9A-Za-z-]{1,127}\Z")
_VERSION = re.compile(r"[0-9a-f]{32}\Z")

Body = dict[str, Any]


class Role(Enum):
    """What a client may do: the rights of the data actions of secrets, by their name in an access policy."""

    READER = frozenset({"get", "list"})
    """As "Key Vault Secrets User", which may list, too."""
    OFFICER = frozenset({"get", "list", "set", "delete", "recover", "purge"})
    """As "Key Vault Secrets Officer"."""
    OFFICERS = frozenset(
        {"get", "list", "set", "delete", "recover", "purge"}
        | {
            f"{form}/{right}"
            for form in ("certificates", "keys")
            for right in ("get", "list", "import", "update", "delete")
        }
    )
    """As that one with "Key Vault Certificates Officer" and "Key Vault Crypto Officer"."""
    NOTHING = frozenset[str]()


class Answer(NamedTuple):
    """Status and body of an HTTP answer; no body where there is nothing to say."""

    status: int
    body: Body | None


class Refusal(Exception):
    """An answer that is an error, as Key Vault words it. It never holds a value."""

    def __init__(self, status: int, code: str, message: str, inner: str = "") -> None:
        super().__init__(code)
        error: Body = {"code": code, "message": message}
        self.answer = Answer(status, {"error": error | ({"innererror": {"code": inner}} if inner else {})})


class Call(NamedTuple):
    """A request whose token was accepted: `path` has neither query nor a slash at its end."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Body
    role: Role


@dataclass(slots=True)
class _Version:
    value: SecretValue
    tags: dict[str, str] | None
    content_type: str | None
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    attributes: Body = field(default_factory=lambda: {"enabled": True})
    created: int = field(default_factory=lambda: int(time.time()))
    updated: int = field(default_factory=lambda: int(time.time()))


@dataclass(slots=True)
class _Secret:
    name: str
    """As it was written first: names are compared without case."""
    versions: list[_Version] = field(default_factory=list)
    deleted: int | None = None
    managed: bool = False
    """It belongs to a certificate."""


class Contents:
    """All secrets of one vault. Not safe for threads: who calls `answer` holds a lock.

    `objects` answers for its certificates and keys (`keyturn.testing.key_vault_objects`).

    Args:
        url: of the vault, what its ids begin with.
        seed: decides in which order names are listed; versions are listed by their random id.
        purge_protection: nothing can be purged.
    """

    def __init__(self, url: str, seed: int, *, purge_protection: bool) -> None:
        self._url, self._seed, self._purge_protection = url, seed, purge_protection
        self._secrets: dict[str, _Secret] = {}
        self.objects: dict[str, Callable[[Call, list[str]], Answer]] = {}

    def answer(self, call: Call) -> Answer:
        """What the vault answers, and what it does."""
        try:
            _check_api_version(call.query)
            return self._route(call)
        except Refusal as refused:
            return refused.answer

    def _route(self, call: Call) -> Answer:
        collection, *rest = call.path.strip("/").split("/")
        if collection in self.objects:
            return self.objects[collection](call, rest)
        routes: dict[tuple[str, str, int], tuple[str, Callable[..., Answer]]] = {
            ("GET", "secrets", 0): ("list", self._list_secrets),
            ("PUT", "secrets", 1): ("set", self._set),
            ("GET", "secrets", 1): ("get", self._read),
            ("GET", "secrets", 2): ("get", self._read),
            ("PATCH", "secrets", 1): ("set", self._update),
            ("PATCH", "secrets", 2): ("set", self._update),
            ("DELETE", "secrets", 1): ("delete", self._delete),
            ("GET", "deletedsecrets", 0): ("list", self._list_deleted),
            ("GET", "deletedsecrets", 1): ("get", self._read_deleted),
            ("DELETE", "deletedsecrets", 1): ("purge", self._purge),
            ("POST", "deletedsecrets", 2): ("recover", self._recover),
        }
        right, act = routes.get((call.method, collection, len(rest)), ("", self._unknown))
        if call.method == "GET" and collection == "secrets" and rest[1:] == ["versions"]:
            right, act, rest = "list", self._list_versions, rest[:1]
        if right and right not in call.role.value:
            raise Refusal(
                403,
                "Forbidden",
                f"Caller is not authorized to perform action {right!r} on resource.",
                "ForbiddenByRbac",
            )
        if rest:
            check_name(rest[0])
        return act(call, *rest)

    def keep(self, name: str, version: str, value: SecretValue, tags: dict[str, str] | None) -> None:
        """The secret of a certificate's new version. Raises Refusal where a secret of its own has that name."""
        kept = self._secrets.get(name.lower())
        if kept is not None and not kept.managed:
            raise Refusal(409, "Conflict", f"A secret has the name {name}.")
        kept = kept or self._secrets.setdefault(name.lower(), _Secret(name, managed=True))
        kept.versions.append(_Version(value, tags, "application/x-pem-file", id=version))

    def switch(self, name: str, version: str, enabled: bool) -> None:  # noqa: FBT001 - what the certificate says
        """The same state for the secret of a certificate."""
        _version(self._secrets[name.lower()], version).attributes["enabled"] = enabled

    def _unknown(self, call: Call, *_: str) -> Answer:
        raise Refusal(405, "MethodNotAllowed", f"{call.method} is not allowed here.")

    def _set(self, call: Call, name: str) -> Answer:
        kept = self._secrets.get(name.lower())
        if kept is not None and kept.deleted is not None:
            message = (
                f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; "
                "in this state, the secret can only be recovered or purged."
            )
            raise Refusal(409, "Conflict", message, "ObjectIsDeletedButRecoverable")
        if kept is not None and kept.managed:
            raise Refusal(409, "Conflict", f"A certificate has the name {name}.")
        made = _Version(_value(call.body), tags_of(call.body), _content_type(call.body))
        made.attributes |= attributes_of(call.body)
        kept = kept or self._secrets.setdefault(name.lower(), _Secret(name))
        kept.versions.append(made)
        return self._bundle(kept, made, made.value.reveal())

    def _read(self, _: Call, name: str, version: str = "") -> Answer:
        kept = self._live(name)
        found = _version(kept, version)
        if not found.attributes["enabled"]:
            message = "Operation get is not allowed on a disabled secret."
            raise Refusal(403, "Forbidden", message, "SecretDisabled")
        return self._bundle(kept, found, found.value.reveal())

    def _update(self, call: Call, name: str, version: str = "") -> Answer:
        kept = self._live(name)
        found = _version(kept, version)
        tags, content_type, attributes = tags_of(call.body), _content_type(call.body), attributes_of(call.body)
        found.tags = found.tags if tags is None else tags
        found.content_type = content_type or found.content_type
        found.attributes |= attributes
        found.updated = int(time.time())
        return self._bundle(kept, found)

    def _delete(self, _: Call, name: str) -> Answer:
        kept = self._live(name)
        kept.deleted = int(time.time())
        return Answer(200, self._deleted_item(kept))

    def _recover(self, call: Call, name: str, what: str) -> Answer:
        if what != "recover":
            return self._unknown(call)
        kept = self._gone(name)
        kept.deleted = None
        return self._bundle(kept, kept.versions[-1])

    def _read_deleted(self, _: Call, name: str) -> Answer:
        return Answer(200, self._deleted_item(self._gone(name)))

    def _purge(self, _: Call, name: str) -> Answer:
        self._gone(name)
        if self._purge_protection:
            message = 'Operation "purge" is not allowed because purge protection is enabled for this vault.'
            raise Refusal(403, "Forbidden", message)
        del self._secrets[name.lower()]
        return Answer(204, None)

    def _list_secrets(self, call: Call) -> Answer:
        rows = {self._place(kept): self._item(kept, kept.versions[-1]) for kept in self._all(deleted=False)}
        return page(self._url, call, rows)

    def _list_versions(self, call: Call, name: str) -> Answer:
        kept = self._live(name)
        rows = {version.id: self._item(kept, version, version.id) for version in kept.versions}
        return page(self._url, call, rows)

    def _list_deleted(self, call: Call) -> Answer:
        return page(self._url, call, {self._place(kept): self._deleted_item(kept) for kept in self._all(deleted=True)})

    def _all(self, *, deleted: bool) -> list[_Secret]:
        return [kept for kept in self._secrets.values() if (kept.deleted is not None) is deleted]

    def _place(self, kept: _Secret) -> str:
        """Where it stands in a list: anywhere, but always there."""
        return place(self._seed, kept.name)

    def _live(self, name: str) -> _Secret:
        kept = self._secrets.get(name.lower())
        if kept is None or kept.deleted is not None:
            raise _not_found(name)
        return kept

    def _gone(self, name: str) -> _Secret:
        kept = self._secrets.get(name.lower())
        if kept is None or kept.deleted is None:
            raise _not_found(name)
        return kept

    def _bundle(self, kept: _Secret, version: _Version, value: str | None = None) -> Answer:
        body = self._item(kept, version, version.id)
        return Answer(200, body if value is None else {"value": value, **body})

    def _item(self, kept: _Secret, version: _Version, id_: str = "") -> Body:
        """All but the value: in a list of secrets the id names no version."""
        level = "Recoverable" if self._purge_protection else "Recoverable+Purgeable"
        times = {"created": version.created, "updated": version.updated}
        attributes = version.attributes | times | {"recoveryLevel": level, "recoverableDays": RETENTION_DAYS}
        item: Body = {"id": f"{self._url}/secrets/{kept.name}{id_ and '/'}{id_}", "attributes": attributes}
        if kept.managed:
            item["managed"] = True
        if version.content_type is not None:
            item["contentType"] = version.content_type
        if version.tags is not None:
            item["tags"] = version.tags
        return item

    def _deleted_item(self, kept: _Secret) -> Body:
        assert kept.deleted is not None
        return {
            **self._item(kept, kept.versions[-1]),
            "recoveryId": f"{self._url}/deletedsecrets/{kept.name}",
            "deletedDate": kept.deleted,
            "scheduledPurgeDate": kept.deleted + RETENTION_DAYS * 86400,
        }


def check_name(name: str) -> None:
    """Raises Refusal where nothing can be called so."""
    if not _NAME.match(name):
        raise Refusal(400, "BadParameter", "The request URI contains an invalid name.")


def place(seed: int, name: str) -> str:
    """Where a name stands in a list: anywhere, but always there."""
    return sha256(f"{seed} {name.lower()}".encode()).hexdigest()


def page(url: str, call: Call, rows: Mapping[str, Body]) -> Answer:
    """Rows by place. `$skiptoken` is the last place that was told, so rows that come meanwhile move nothing."""
    size, after = _page_size(call.query), call.query.get("$skiptoken", "")
    places = sorted(one for one in rows if one > after)
    link = None
    if len(places) > size:
        version = call.query["api-version"]
        link = f"{url}{call.path}?api-version={version}&$skiptoken={places[size - 1]}&maxresults={size}"
    return Answer(200, {"value": [rows[one] for one in places[:size]], "nextLink": link})


def _check_api_version(query: Mapping[str, str]) -> None:
    if query.get("api-version", "") not in API_VERSIONS:
        raise Refusal(400, "BadParameter", "The request has no api-version that is known here.")


def _version(kept: _Secret, version: str) -> _Version:
    """The newest one where none is named. What Azure says to a malformed id is not verified: here it is a 400."""
    if not version:
        return kept.versions[-1]
    if not _VERSION.match(version):
        raise Refusal(400, "BadParameter", "The request URI contains an invalid version.")
    for known in kept.versions:
        if known.id == version:
            return known
    raise _not_found(kept.name)


def _not_found(name: str) -> Refusal:
    return Refusal(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")


def _value(body: Body) -> SecretValue:
    """The limit of 25 KB is taken as 25 600 bytes of UTF-8 (not verified)."""
    if not isinstance(body.get("value"), str):
        raise Refusal(400, "BadParameter", "The parameter 'value' is required.")
    if len(body["value"].encode("utf-8", "surrogatepass")) > MAX_VALUE_BYTES:
        raise Refusal(400, "BadParameter", f"The value is longer than the allowed maximum of {MAX_VALUE_BYTES}.")
    return SecretValue(body["value"])


def tags_of(body: Body) -> dict[str, str] | None:
    """The tags in a request, None where it says nothing of them. Raises Refusal."""
    tags = body.get("tags")
    if tags is None:
        return None
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise Refusal(400, "BadParameter", "Tags are text by name.")
    if len(tags) > MAX_TAGS:
        raise Refusal(400, "BadParameter", f"There are more than {MAX_TAGS} tags.")
    if any(len(text) > MAX_TAG_LENGTH for pair in tags.items() for text in pair):
        raise Refusal(400, "BadParameter", f"A tag is longer than {MAX_TAG_LENGTH} characters.")
    return dict(tags)


def _content_type(body: Body) -> str | None:
    kind = body.get("contentType")
    if not isinstance(kind, str | None):
        raise Refusal(400, "BadParameter", "The content type is text.")
    return kind


def attributes_of(body: Body) -> Body:
    """What the caller may set of them; `exp` and `nbf` are kept and, as in Azure, enforced by nobody."""
    given = body.get("attributes") or {}
    kinds = {"enabled": bool, "exp": int, "nbf": int}
    if not isinstance(given, dict) or not all(isinstance(given[key], kinds[key]) for key in kinds if key in given):
        raise Refusal(400, "BadParameter", "An attribute has another type than it should have.")
    return {key: given[key] for key in kinds if key in given}


def _page_size(query: Mapping[str, str]) -> int:
    wanted = query.get("maxresults", str(PAGE))
    if not wanted.isascii() or not wanted.isdigit() or not 1 <= int(wanted) <= PAGE:
        raise Refusal(400, "BadParameter", f"maxresults must be from 1 to {PAGE}.")
    return int(wanted)
