"""The certificates and keys that a double of an Azure Key Vault keeps, and what it answers about them.

Shapes after the REST reference (learn.microsoft.com/rest/api/keyvault/certificates and /keys): import, get, versions,
list, update, delete. Nothing that is asked here gives a private key; a certificate's comes with the secret of its name.
"""

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from keyturn.core.secret import SecretValue
from keyturn.testing.key_vault_contents import (
    Answer,
    Body,
    Call,
    Refusal,
    attributes_of,
    check_name,
    page,
    place,
    tags_of,
)

PEM = "application/x-pem-file"
CURVES: Mapping[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "P-256K": ec.SECP256K1(),
}
Keep = Callable[[str, str, SecretValue, dict[str, str] | None], None]


@dataclass(slots=True)
class _Version:
    public: Body
    tags: dict[str, str] | None
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    attributes: Body = field(default_factory=lambda: {"enabled": True})
    created: int = field(default_factory=lambda: int(time.time()))


@dataclass(slots=True)
class _Thing:
    name: str
    versions: list[_Version] = field(default_factory=list)
    deleted: bool = False


class Objects:
    """The certificates, or the keys, of one vault.

    Args:
        url: of the vault.
        seed: decides in which order names are listed.
        form: `certificates` or `keys`.
        keep: keeps the secret of a certificate: name, version, PEM, tags; raises Refusal where the name is taken.
        switch: tells that secret whether its version is enabled.
    """

    def __init__(self, url: str, seed: int, form: str, keep: Keep, switch: Callable[[str, str, bool], None]) -> None:
        self._url, self._seed, self._form, self._keep, self._switch = url, seed, form, keep, switch
        self._things: dict[str, _Thing] = {}

    def answer(self, call: Call, rest: list[str]) -> Answer:
        """What the vault answers. Raises Refusal."""
        routes: dict[tuple[str, int], tuple[str, Callable[..., Answer]]] = {
            ("GET", 0): ("list", self._list),
            ("GET", 1): ("get", self._read),
            ("GET", 2): ("get", self._read),
            ("PATCH", 2): ("update", self._update),
            ("DELETE", 1): ("delete", self._delete),
        }
        right, act = routes.get((call.method, len(rest)), ("", _unknown))
        if (call.method, rest[1:]) == ("GET", ["versions"]):
            right, act, rest = "list", self._list_versions, rest[:1]
        if (call.method, rest[1:]) == (("POST", ["import"]) if self._form == "certificates" else ("PUT", [])):
            right, act, rest = "import", self._import, rest[:1]
        if right and f"{self._form}/{right}" not in call.role.value:
            message = f"Caller is not authorized to perform action {right!r} on resource."
            raise Refusal(403, "Forbidden", message, "ForbiddenByRbac")
        if rest:
            check_name(rest[0])
        return act(call, *rest)

    def _import(self, call: Call, name: str) -> Answer:
        thing = self._things.get(name.lower())
        if thing is not None and thing.deleted:
            message = f"{name} is currently in a deleted but recoverable state, and its name cannot be reused."
            raise Refusal(409, "Conflict", message, "ObjectIsDeletedButRecoverable")
        tags = tags_of(call.body)
        made = _Version({}, tags)
        made.attributes |= attributes_of(call.body)
        if self._form == "certificates":
            text, made.public = _certificate(call.body)
            self._keep(name, made.id, text, tags)
        else:
            made.public = _key(call.body)
        thing = thing or self._things.setdefault(name.lower(), _Thing(name))
        thing.versions.append(made)
        return self._bundle(thing, made)

    def _read(self, _: Call, name: str, version: str = "") -> Answer:
        thing = self._live(name)
        return self._bundle(thing, _version(thing, version))

    def _update(self, call: Call, name: str, version: str) -> Answer:
        thing = self._live(name)
        found = _version(thing, version)
        tags = tags_of(call.body)
        found.tags = found.tags if tags is None else tags
        found.attributes |= attributes_of(call.body)
        if self._form == "certificates":
            self._switch(name, found.id, found.attributes["enabled"])
        return self._bundle(thing, found)

    def _delete(self, _: Call, name: str) -> Answer:
        thing = self._live(name)
        thing.deleted = True
        body = self._bundle(thing, thing.versions[-1]).body or {}
        gone = f"{self._url}/deleted{self._form}/{thing.name}"
        return Answer(200, body | {"recoveryId": gone, "deletedDate": int(time.time()), "scheduledPurgeDate": 0})

    def _list(self, call: Call) -> Answer:
        live = [thing for thing in self._things.values() if not thing.deleted]
        rows = {place(self._seed, thing.name): self._item(thing, thing.versions[-1], "") for thing in live}
        return page(self._url, call, rows)

    def _list_versions(self, call: Call, name: str) -> Answer:
        thing = self._live(name)
        return page(self._url, call, {one.id: self._item(thing, one, f"/{one.id}") for one in thing.versions})

    def _live(self, name: str) -> _Thing:
        thing = self._things.get(name.lower())
        if thing is None or thing.deleted:
            raise Refusal(404, "NotFound", f"{name} was not found in this key vault.")
        return thing

    def _bundle(self, thing: _Thing, version: _Version) -> Answer:
        item = self._item(thing, version, f"/{version.id}")
        if self._form == "keys":
            return Answer(200, {"key": {"kid": item.pop("kid"), **version.public}, **item})
        secret = f"{self._url}/secrets/{thing.name}/{version.id}"
        return Answer(200, {**item, "sid": secret, **version.public, "policy": {"secret_props": {"contentType": PEM}}})

    def _item(self, thing: _Thing, version: _Version, id_: str) -> Body:
        times = {"created": version.created, "updated": version.created}
        named = {"kid" if self._form == "keys" else "id": f"{self._url}/{self._form}/{thing.name}{id_}"}
        body: Body = {**named, "attributes": version.attributes | times | {"recoveryLevel": "Recoverable+Purgeable"}}
        return body if version.tags is None else body | {"tags": version.tags}


def _unknown(call: Call, *_: str) -> Answer:
    raise Refusal(405, "MethodNotAllowed", f"{call.method} is not allowed here.")


def _version(thing: _Thing, version: str) -> _Version:
    found = next((one for one in thing.versions if one.id == version), None) if version else thing.versions[-1]
    if found is None:
        raise Refusal(404, "NotFound", f"{thing.name} has no such version in this key vault.")
    return found


def _bad(what: str) -> Refusal:
    return Refusal(400, "BadParameter", what)


def _certificate(body: Body) -> tuple[SecretValue, Body]:
    """The PEM text and the public members. The key must be PKCS#8, and its certificate the first one."""
    policy = body.get("policy") or {}
    if (policy.get("secret_props") or {}).get("contentType") != PEM:
        raise _bad("A certificate in PEM needs a policy with its content type.")
    try:
        content = base64.b64decode(body["value"], validate=True)
        chain, key = x509.load_pem_x509_certificates(content), load_pem_private_key(content, None)
    except (KeyError, ValueError, TypeError):
        refused = _bad("The certificate cannot be read.")
    else:
        if b"-----BEGIN PRIVATE KEY-----" in content and _public(key) == _public(chain[0]):
            return SecretValue(content.decode()), _shown(chain[0].public_bytes(Encoding.DER))
        refused = _bad("The private key is not PKCS#8, or not that of the first certificate.")
    raise refused


def _public(holder: Any) -> bytes:  # noqa: ANN401 - a key of any kind, or a certificate
    der: bytes = holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return der


def _shown(der: bytes) -> Body:
    thumbprint = base64.urlsafe_b64encode(sha1(der, usedforsecurity=False).digest()).rstrip(b"=").decode()
    return {"cer": base64.b64encode(der).decode(), "x5t": thumbprint}


def _number(key: Body, member: str) -> int:
    text = key[member]
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _key(body: Body) -> Body:
    """The public members of a key that is whole."""
    key = body.get("key") or {}
    try:
        if key["kty"] == "RSA":
            public = rsa.RSAPublicNumbers(_number(key, "e"), _number(key, "n"))
            p, q, d, dp, dq, qi = (_number(key, name) for name in ("p", "q", "d", "dp", "dq", "qi"))
            rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()
            members: tuple[str, ...] = ("kty", "n", "e")
        else:
            point = ec.EllipticCurvePublicNumbers(_number(key, "x"), _number(key, "y"), CURVES[key["crv"]])
            ec.EllipticCurvePrivateNumbers(_number(key, "d"), point).private_key()
            members = ("kty", "crv", "x", "y")
    except (KeyError, ValueError, TypeError):
        refused = _bad("The key is not one that can be imported.")
    else:
        return {name: key[name] for name in members}
    raise refused
