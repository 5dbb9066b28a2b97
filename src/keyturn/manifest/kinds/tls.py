"""[secrets.NAME] kind = "tls": a certificate with its key, from an ACME authority or an internal one."""

from typing import Annotated, Literal

from pydantic import Field

from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import (
    AbsolutePath,
    AtLeastOne,
    Count,
    Host,
    HttpsUrl,
    Line,
    Name,
    PositiveDuration,
    Several,
    Table,
)


class Acme(Table):
    """An ACME authority (RFC 8555). `hook` is the command of dns-01, `webroot` the directory of http-01."""

    kind: Literal["acme"]
    directory: HttpsUrl
    contact: Line | None = None
    challenge: Literal["http-01", "dns-01"] = "http-01"
    webroot: AbsolutePath | None = None
    hook: Several[Line] = ()
    account: Name | None = None
    ca_file: AbsolutePath | None = None


class Internal(Table):
    """An authority of one's own; `authority` names the secret with its certificate and key."""

    kind: Literal["internal"]
    authority: Name
    lifetime: PositiveDuration = 90 * 86400.0


class Target(Table):
    """Names in the certificate, who signs it, and every endpoint that must be seen to serve it."""

    names: AtLeastOne[Line]
    issuer: Annotated[Acme | Internal, Field(discriminator="kind")]
    endpoints: Several[Host] = ()
    handshakes: Count = 20
    key: Literal["ec-p256", "rsa-3072", "rsa-4096"] = "ec-p256"


class Options(SecretTable):
    """A certificate. `chain` leads up to a root, `ca_bundle` holds what readers may trust."""

    kind: Literal["tls"]
    target: Target

    @property
    def bundle(self) -> tuple[str, ...]:
        """Certificate, key and chain, PEM; and the trust bundle."""
        return ("certificate", "private_key", "chain", "ca_bundle")

    @property
    def rotating(self) -> frozenset[str]:
        """A pair and its chain; the trust bundle has a rotation of its own."""
        return frozenset({"certificate", "private_key", "chain"})

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The account key, or the authority's own."""
        issuer = self.target.issuer
        named = issuer.authority if isinstance(issuer, Internal) else issuer.account
        return (("issuer", named),) if named else ()
