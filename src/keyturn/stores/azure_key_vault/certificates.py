"""Derived copies in the form of certificate objects: what the platform's own services take for TLS."""

from functools import cached_property

from azure.keyvault.certificates import (
    CertificateClient,
    CertificateContentType,
    CertificatePolicy,
    CertificateProperties,
    WellKnownIssuerNames,
)

from keyturn.core.errors import Disabled, NotFound
from keyturn.core.secret import SecretValue
from keyturn.stores.azure_key_vault.entries import Entry
from keyturn.stores.azure_key_vault.errors import Refusal
from keyturn.stores.azure_key_vault.pem import certificate
from keyturn.stores.azure_key_vault.reach import ONCE, QUIET, Line, Reach
from keyturn.stores.azure_key_vault.rights import Method


class Certificates:
    """Implements `copies.Shelf` over the certificates of a vault. Nothing that it asks gives a private key."""

    def __init__(self, reach: Reach) -> None:
        self._line = Line(reach, "certificate")

    @cached_property
    def _client(self) -> CertificateClient:
        return self._line.client(CertificateClient)

    def newest(self, entry: str) -> Entry | None:
        """The newest version. Raises Disabled."""
        try:
            found = self._line.ask(
                lambda: _entry(self._client.get_certificate(entry, **QUIET).properties), "read", entry
            )
        except NotFound:
            return None
        if found.enabled:
            return found
        raise Disabled(f"the newest version of the certificate {entry!r} is disabled")

    def versions(self, entry: str) -> tuple[Entry, ...]:
        """All versions, in no order; none where there is no such certificate."""
        try:
            return self._line.listed(
                lambda: self._client.list_properties_of_certificate_versions(entry, **QUIET), _entry, entry
            )
        except NotFound:
            return ()

    def latest(self) -> tuple[Entry, ...]:
        """The newest version of every certificate, without version id; 25 a request."""
        return self._line.listed(lambda: self._client.list_properties_of_certificates(**QUIET), _entry)

    def put(self, entry: str, content: SecretValue, tags: dict[str, str]) -> None:
        """Import it as a new version, exportable. Raises Unsupported before anything is sent."""
        content_of = certificate(content.reveal())
        policy = CertificatePolicy(
            WellKnownIssuerNames.unknown, content_type=CertificateContentType.pem, exportable=True
        )
        self._line.ask(
            lambda: _entry(
                self._client.import_certificate(
                    entry, content_of, policy=policy, enabled=True, tags=tags, preserve_order=True, **ONCE
                ).properties
            ),
            "write",
            entry,
        )

    def disable(self, entry: str, version: str) -> None:
        """Switch that version off, with its key and its secret."""
        self._line.ask(
            lambda: _entry(
                self._client.update_certificate_properties(entry, version, enabled=False, **ONCE).properties
            ),
            "disable a version of",
            entry,
        )

    def said(self, method: Method, entry: str, rest: str) -> Refusal:
        """What is said to a request that cannot be carried out. Raises AdapterError where no answer came."""
        return self._line.said(self._client, method, entry, rest)


def _entry(properties: CertificateProperties | None) -> Entry:
    """Raises TypeError where an answer is none of Key Vault's."""
    if properties is None or not properties.name or properties.created_on is None:
        raise TypeError("no id or no time")
    tags = {str(key): str(text) for key, text in (properties.tags or {}).items()}
    enabled = properties.enabled is not False
    return Entry(properties.name, properties.version or "", enabled, properties.created_on, tags)
