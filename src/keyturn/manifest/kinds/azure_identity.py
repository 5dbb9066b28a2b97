"""How Keyturn signs in at Azure: always one way, declared, never the first that happens to work."""

from typing import Annotated, Literal

from pydantic import Field

from keyturn.manifest.shapes import AbsolutePath, Guid, Name, Table


class Managed(Table):
    """A managed identity of the machine; `client_id` for a user-assigned one."""

    kind: Literal["managed"]
    """A managed identity of the machine."""
    client_id: Guid | None = None
    """For a user-assigned one."""


class Workload(Table):
    """A federated token, as Kubernetes and CI systems hand out."""

    kind: Literal["workload"]
    """A federated token."""
    tenant_id: Guid
    """Directory."""
    client_id: Guid
    """Application."""
    token_file: AbsolutePath
    """File with the token."""


class ClientSecret(Table):
    """An app registration; `credential` names a secret that Keyturn uses itself."""

    kind: Literal["client-secret"]
    """An app registration with a client secret."""
    tenant_id: Guid
    """Directory."""
    client_id: Guid
    """Application."""
    credential: Name
    """A secret of Keyturn's own."""


class ClientCertificate(Table):
    """An app registration with a certificate and its key in one file."""

    kind: Literal["client-certificate"]
    """An app registration with a certificate."""
    tenant_id: Guid
    """Directory."""
    client_id: Guid
    """Application."""
    certificate_file: AbsolutePath
    """PEM file with certificate and key."""


class Cli(Table):
    """Whoever is signed in with `az login`: for a person at a terminal."""

    kind: Literal["cli"]
    """Whoever is signed in with `az login`."""
    tenant_id: Guid | None = None
    """Directory."""


Identity = Annotated[
    Managed | Workload | ClientSecret | ClientCertificate | Cli,
    Field(discriminator="kind"),
]
"""One of the five."""


def identity_secret(identity: Identity) -> tuple[tuple[str, str], ...]:
    """The secret that this identity rests on, and the key that holds it."""
    return (("identity", identity.credential),) if isinstance(identity, ClientSecret) else ()
