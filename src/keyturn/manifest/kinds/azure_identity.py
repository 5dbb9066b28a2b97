"""How Keyturn signs in at Azure: always one way, declared, never the first that happens to work."""

from typing import Annotated, Literal

from pydantic import Field

from keyturn.manifest.shapes import AbsolutePath, Guid, Name, Table


class Managed(Table):
    """A managed identity of the machine; `client_id` for a user-assigned one."""

    kind: Literal["managed"]
    client_id: Guid | None = None


class Workload(Table):
    """A federated token, as Kubernetes and CI systems hand out."""

    kind: Literal["workload"]
    tenant_id: Guid
    client_id: Guid
    token_file: AbsolutePath


class ClientSecret(Table):
    """An app registration; `credential` names a secret that Keyturn uses itself."""

    kind: Literal["client-secret"]
    tenant_id: Guid
    client_id: Guid
    credential: Name


class ClientCertificate(Table):
    """An app registration with a certificate and its key in one file."""

    kind: Literal["client-certificate"]
    tenant_id: Guid
    client_id: Guid
    certificate_file: AbsolutePath


class Cli(Table):
    """Whoever is signed in with `az login`: for a person at a terminal."""

    kind: Literal["cli"]
    tenant_id: Guid | None = None


Identity = Annotated[
    Managed | Workload | ClientSecret | ClientCertificate | Cli,
    Field(discriminator="kind"),
]
"""One of the five."""


def identity_secret(identity: Identity) -> tuple[tuple[str, str], ...]:
    """The secret that this identity rests on, and the key that holds it."""
    return (("identity", identity.credential),) if isinstance(identity, ClientSecret) else ()
