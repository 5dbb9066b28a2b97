"""The signing keys of a secret as of now: what signs, and all that is accepted (docs/formats/key-set.md)."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from keyturn.client.adapters.jwt import keys
from keyturn.client.adapters.jwt.keys import Key, SigningKey
from keyturn.client.made import Made
from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core.errors import Corrupt, NotFound, Unsupported
from keyturn.core.key_sets import listed
from keyturn.core.secret import SecretValue
from keyturn.system.jwk import thumbprint

_SHOWN = "docs/formats/key-set.md shows the fields"


@dataclass(frozen=True, slots=True)
class Version:
    """The keys of one version. `signing` is None where this process only checks."""

    version: str
    accepted: Mapping[str, Key] = field(repr=False)
    signing: SigningKey | None

    def find(self, kid: str) -> Key | None:
        """The accepted key with this id."""
        return self.accepted.get(kid)


class KeySet:
    """The keys as of now, always all of one version, parsed once for each. Thread-safe and fork-safe.

    Args:
        secrets: the application's secrets.
        name: a secret with `private_key` or `secret_key`, and `jwks` or `public_key`; or with what checks alone.

    Raises:
        NotFound: there is no such secret, or it has no keys.
        Corrupt: its fields contradict each other, or cannot be read.
    """

    def __init__(self, secrets: Secrets, name: str) -> None:
        self._versions = Made(secrets, name, version_of)

    def now(self) -> Version:
        """The keys of the version that reads give.

        Raises:
            Unavailable: the source could not be read for longer than `max_stale`.
        """
        return self._versions.now()

    def find(self, kid: str) -> Key | None:
        """The accepted key with this id. Raises as `now` does."""
        return self.now().find(kid)

    def jwks(self) -> str:
        """The document for others who check tokens (RFC 7517): public keys alone. Raises as `now` does.

        Raises:
            Unsupported: all keys are shared ones, of which nothing may be published.
        """
        shown = [
            {**key.shown, "alg": key.algorithm, "kid": key.kid, "use": "sig"}
            for _, key in sorted(self.now().accepted.items())
            if key.shown is not None
        ]
        if not shown:
            raise Unsupported("these keys are shared ones: nothing of them may be published", "use ES256 or EdDSA")
        return json.dumps({"keys": shown}, sort_keys=True, separators=(",", ":"))

    def close(self) -> None:
        """Use nothing any more."""
        self._versions.close()


def version_of(view: View) -> Version:
    """The keys of one version, looked at together.

    Raises:
        NotFound: it has none.
        Corrupt: they contradict each other, or cannot be read.
    """
    private, shared = _field(view, "private_key"), _field(view, "secret_key")
    if private and shared:
        raise Corrupt(f"{view.secret} has a private and a shared key", _SHOWN)
    if private:
        accepted, signing = _asymmetric(view, private)
    elif shared:
        accepted, signing = _symmetric(view, shared)
    else:
        accepted, signing = _accepted(view), None
    if not accepted:
        raise NotFound(f"{view.secret} has no keys of tokens", _SHOWN)
    return Version(view.version, MappingProxyType(accepted), signing)


def by_kid(found: Iterable[Key]) -> dict[str, Key]:
    """The keys by their ids.

    Raises:
        ValueError: two have one id.
    """
    every = tuple(found)
    known = {key.kid: key for key in every}
    if len(known) != len(every):
        raise ValueError("a key set in which two keys have one id")
    return known


def _field(view: View, name: str) -> SecretValue | None:
    return view.bundle.get(name) or None


def _accepted(view: View) -> dict[str, Key]:
    """What `jwks` says, or else the one public key."""
    jwks, pem = _field(view, "jwks"), _field(view, "public_key")
    if jwks is None:
        return _one(view, keys.read_public(pem.reveal())) if pem else {}
    with suppress(ValueError):
        found = [keys.from_jwk(one) for one in listed(jwks.reveal().encode())]
        usable = [key for key in found if key is not None]
        if len(usable) == len(found):
            return by_kid(usable)
    raise Corrupt(f"jwks of {view.secret} is no set of usable keys with an id each", _SHOWN)


def _one(view: View, material: object) -> dict[str, Key]:
    """A set of the public key alone."""
    found = keys.public("", material)
    if found is None or found.shown is None:
        raise Corrupt(f"{view.secret} has a key that is none for RS256, ES256 or EdDSA", "PEM without a passphrase")
    kid = _kid(view, thumbprint(found.shown))
    return {kid: replace(found, kid=kid)}


def _kid(view: View, otherwise: str) -> str:
    """The id that the secret names, or the one that can be known without it."""
    given = _field(view, "kid")
    kid = keys.key_id(given.reveal()) if given else keys.key_id(otherwise)
    if kid is None:
        raise Corrupt(f"kid of {view.secret} is missing, or is no id of a key", "up to 200 letters, digits and signs")
    return kid


def _asymmetric(view: View, pem: SecretValue) -> tuple[dict[str, Key], SigningKey]:
    material = keys.read_private(pem.reveal())
    (mine,) = _one(view, material and material.public_key()).values()
    given = _field(view, "public_key")
    if given and keys.public(mine.kid, keys.read_public(given.reveal())) != mine:
        raise Corrupt(f"public_key of {view.secret} does not belong to its private_key", "bring the two of one pair")
    assert material is not None
    return _accepting(view, mine, "private_key"), SigningKey(mine.kid, mine.algorithm, material)


def _symmetric(view: View, secret: SecretValue) -> tuple[dict[str, Key], SigningKey]:
    mine = keys.shared(_kid(view, ""), secret.reveal().encode())
    if mine is None:
        raise Corrupt(f"secret_key of {view.secret} has fewer than {keys.LEAST_SHARED_BYTES} bytes", "HS256 needs them")
    return _accepting(view, mine, "secret_key"), SigningKey(mine.kid, mine.algorithm, secret.reveal().encode())


def _accepting(view: View, mine: Key, name: str) -> dict[str, Key]:
    """The accepted keys, of which the one that signs is one: else its tokens would be refused everywhere."""
    accepted = _accepted(view) if _field(view, "jwks") else {mine.kid: mine}
    if accepted.get(mine.kid) != mine:
        raise Corrupt(f"jwks of {view.secret} does not accept its {name}", _SHOWN)
    return accepted
