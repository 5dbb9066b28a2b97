"""[secrets.NAME] kind = "tls": a certificate with its key, from an ACME authority or an internal one."""

from collections.abc import Mapping
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
    """An ACME authority."""
    directory: HttpsUrl
    """Its directory."""
    contact: Line | None = None
    """Address of the account."""
    challenge: Literal["http-01", "dns-01"] = "http-01"
    """How names are proved."""
    webroot: AbsolutePath | None = None
    """Directory that the web server shows, for http-01."""
    hook: Several[Line] = ()
    """Command (argv) that sets a DNS record, for dns-01."""
    account: Name | None = None
    """A secret of Keyturn's own with the account key."""
    ca_file: AbsolutePath | None = None
    """Authorities that may vouch for the directory."""


class Internal(Table):
    """An authority of one's own; `authority` names the secret with its certificate and key."""

    kind: Literal["internal"]
    """An authority of one's own."""
    authority: Name
    """A secret of Keyturn's own with its certificate and key."""
    lifetime: PositiveDuration = 90 * 86400.0
    """Of a new certificate."""


class Target(Table):
    """Names in the certificate, who signs it, and every endpoint that must be seen to serve it."""

    names: AtLeastOne[Line]
    """DNS names in the certificate."""
    issuer: Annotated[Acme | Internal, Field(discriminator="kind")]
    """Who signs."""
    endpoints: Several[Host] = ()
    """All that serve it, and must be seen to."""
    handshakes: Count = 20
    """In a row, per endpoint, that must show the new one."""
    key: Literal["ec-p256", "rsa-3072", "rsa-4096"] = "ec-p256"
    """Kind of key."""


class Options(SecretTable):
    """A certificate. `chain` leads up to a root, `ca_bundle` holds what readers may trust."""

    kind: Literal["tls"]
    """A certificate with its key."""
    target: Target
    """Names, issuer and endpoints."""

    @property
    def bundle(self) -> tuple[str, ...]:
        """Certificate, key and chain, PEM; and the trust bundle."""
        return ("certificate", "private_key", "chain", "ca_bundle")

    @property
    def follows(self) -> Mapping[str, str]:
        """A certificate may come with its chain in one file, and readers may trust the system's authorities."""
        return {"chain": "", "ca_bundle": ""}

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
