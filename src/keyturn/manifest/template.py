"""The manifest that `keyturn init` writes: the smallest one that works, and how to go on from it."""

from keyturn.core.secret import check_name
from keyturn.manifest.guide_template import guide_tables

_HEAD = """\
# keyturn.toml: the inventory of a service's secrets. It never holds a value{keep}.
# Every key is described in docs/manifest.md; `keyturn schema` prints a JSON Schema for editors.

[service]
name = "{service}"
environment = "{environment}"

[keyturn]
state = "{state}"   # journal, escrow and locks: a local disk, root or the Keyturn user only

{checkpoints}[stores.main]
kind = "local"
vault_id = "{vault_id}"   # pins the vault that `keyturn init` made: another one is refused

"""

_FIRST = """\
# A secret that Keyturn itself uses; give it its value with: keyturn set postgres-admin
#
# [secrets.postgres-admin]
# kind = "manual"
# fields = ["username", "password"]
# owner = "platform@example.com"
# purpose = "Keyturn changes log-in roles"
# used_by = "keyturn"

# A PostgreSQL credential, rotated every 30 days: two roles take turns, so that nothing fails.
#
# [secrets.database]
# kind = "postgres"
# owner = "platform@example.com"
# purpose = "the application reads and writes its data"
# rotate = { every = "30d", overlap = "15m" }
# consumers = ["api"]
# publish.database-url = { template = "postgresql://{username}:{password}@{host}:{port}/{dbname}" }
#
# [secrets.database.target]
# hosts = ["db.internal:5432"]
# dbname = "app"
# owner_role = "app"
# roles = ["app_a", "app_b"]
# admin = "postgres-admin"
# sslrootcert = "/etc/ssl/certs/ca-certificates.crt"

# Who uses it. Keyturn retires nothing before all of them are shown to have moved.
#
# [consumers.api]
# kind = "application"
# bundle_dir = "/run/keyturn/api/bundle"   # written by Keyturn, read by the application
# status_dir = "/run/keyturn/api/status"   # written by the application, read by Keyturn
# expect = 4                               # processes
"""


_CHECKPOINTS = """\
[keyturn.checkpoints]
key = "{pin}"   # pins the key that signs checkpoints of the journal

# Where checkpoints go: a place that the owner of this host cannot change (docs/audit.md).
#
# [keyturn.checkpoints.targets.audit-host]
# kind = "file"
# path = "/mnt/audit-host/{service}-{environment}.checkpoints"

"""


def minimal(
    service: str, vault_id: str, environment: str = "production", state: str = "/var/lib/keyturn", pin: str = ""
) -> str:
    """The text of a first manifest: one local vault, and comments that lead to the first secret.

    Args:
        service: name of the service.
        vault_id: id of the vault that was made for it.
        environment: such as `production`.
        state: Keyturn's own directory, an absolute path.
        pin: the public key of checkpoints, `ed25519:` and 64 hex digits; without it they are not mentioned.

    Raises:
        UsageError: a service or environment that is not a name.
    """
    return head(service, vault_id, environment, state, pin) + _FIRST


def from_guide(  # noqa: PLR0913 - what `minimal` takes, and two places
    service: str, vault_id: str, environment: str, state: str, pin: str, *, run: str, here: str
) -> str:
    """The text of a manifest with every name of the guide: as `minimal`, with the places of consumers and of itself.

    Raises:
        UsageError: a service or environment that is not a name.
    """
    return head(service, vault_id, environment, state, pin) + guide_tables(run=escaped(run), here=escaped(here))


def head(service: str, vault_id: str, environment: str, state: str, pin: str, *, keep: str = ": commit it") -> str:  # noqa: PLR0913 - one for each place in it
    """The tables that every first manifest begins with. Raises UsageError: a service or environment that is no name."""
    names = {"service": check_name(service), "environment": check_name(environment)}
    return _HEAD.format(
        **names,
        keep=keep,
        checkpoints=_CHECKPOINTS.format(**names, pin=escaped(pin)) if pin else "",
        vault_id=escaped(vault_id),
        state=escaped(state),
    )


def escaped(text: str) -> str:
    """`text` between the quotes of a basic string."""
    return "".join(_character(character) for character in text)


def _character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08X}"
