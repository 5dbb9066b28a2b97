"""Signing keys and application keys as an application finds them, one publication after another."""

import json
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from keyturn.client import Secrets
from keyturn.consumers.application import Application
from keyturn.core.consumer import Delivery
from keyturn.core.secret import Bundle
from keyturn.system.jwk import base64url, members, thumbprint

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
APP_KEYS = tuple(f"{name} application key of 50 characters, and a few more" for name in ("first", "second", "third"))


class KeyPlace:
    """An application that uses one secret, and reports if it is asked to.

    Args:
        home: an empty directory.
        secret: its name.
        fields: its first version, `v1`.
        reports: whether the application writes its status file.
    """

    def __init__(self, home: Path, secret: str, fields: Mapping[str, str], *, reports: bool = False) -> None:
        run = home / "run"
        self.status_dir = run / "status" if reports else None
        self.application = Application(
            name="clo-api",
            service="clo",
            environment="test",
            bundle_dir=run / "bundle",
            status_dir=self.status_dir,
            expect=1,
        )
        self._secret = secret
        self._fences = count(1)
        self.bundles: dict[str, Bundle] = {}
        self.deliver(fields)
        self.file = home / "keyturn.client.json"
        content = {
            "schema": "keyturn/client/1",
            "source": {"kind": "bundle-dir", "path": str(run / "bundle")},
            "status_dir": str(self.status_dir) if self.status_dir else None,
            "secrets": [secret],
        }
        self.file.write_text(json.dumps(content))

    def deliver(self, fields: Mapping[str, str]) -> str:
        """The next version; its name."""
        fence = next(self._fences)
        version = f"v{fence}"
        self.bundles[version] = Bundle(fields)
        self.application.deliver(Delivery(self._secret, version, self.bundles[version], fence))
        return version

    def open(self) -> Secrets:
        """The secrets as an application opens them."""
        return Secrets.open(self.file)


class Pair:
    """A key pair, and what a set says of it."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.private = _new(algorithm)
        self.shown = members(self.private.public_key(), algorithm) or {}
        self.kid = thumbprint(self.shown)

    @property
    def pem(self) -> dict[str, str]:
        """The two fields that the guide has."""
        public = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        private = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {"private_key": private.decode(), "public_key": public.decode()}

    @property
    def jwk(self) -> dict[str, str]:
        """The public key in a set."""
        return {**self.shown, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def signs(self, *others: "Pair") -> dict[str, str]:
        """A bundle in which this one signs, and the others are accepted beside it."""
        return {**self.pem, "kid": self.kid, "jwks": key_set(self, *others)}


class Shared:
    """A shared key, and what a set says of it."""

    algorithm = "HS256"

    def __init__(self, text: str, kid: str) -> None:
        self.text, self.kid = text, kid

    @property
    def jwk(self) -> dict[str, str]:
        """The key in a set, which is a secret."""
        return {"kty": "oct", "k": base64url(self.text.encode()), "kid": self.kid, "alg": "HS256", "use": "sig"}

    def signs(self, *others: "Shared") -> dict[str, str]:
        """A bundle in which this one signs, and the others are accepted beside it."""
        return {"secret_key": self.text, "kid": self.kid, "jwks": key_set(self, *others)}


def key_set(*keys: Pair | Shared) -> str:
    """The document of all these."""
    return json.dumps({"keys": [key.jwk for key in keys]})


def app_key(current: str, fallbacks: Sequence[str] = ()) -> dict[str, str]:
    """A bundle of the kind `app-key`."""
    return {"value": current, "fallbacks": json.dumps(list(fallbacks)) if fallbacks else ""}


def _new(algorithm: str) -> PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(65_537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()
