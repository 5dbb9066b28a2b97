"""The names of the guide: what a team that followed it reads, and where the guide keeps it.

One list, for the manifest of `keyturn init --from-guide` and for the tests that hold it.
"""

from dataclasses import dataclass

SECRETS, CONFIG = "secrets", "config"
"""The guide's two directories: PEM files lie in the one, `.env.production` in the other."""

ENV_FILE = ".env.production"


@dataclass(frozen=True, slots=True)
class GuideName:
    """One name: the published name, its variable, and its file in `secrets` where the guide has one."""

    published: str
    variable: str
    file: str = ""


NAMES: tuple[GuideName, ...] = (
    GuideName("database-url", "PRODUCTION_DATABASE_URL"),
    GuideName("postgres-user", "PRODUCTION_POSTGRES_USER"),
    GuideName("postgres-password", "PRODUCTION_POSTGRES_PASSWORD"),
    GuideName("redis-url", "PRODUCTION_REDIS_URL"),
    GuideName("redis-password", "PRODUCTION_REDIS_PASSWORD"),
    GuideName("secret-key", "PRODUCTION_SECRET_KEY"),
    GuideName("jwt-private-key", "JWT_PRIVATE_KEY", "jwt-private-key.pem"),
    GuideName("jwt-public-key", "JWT_PUBLIC_KEY", "jwt-public-key.pem"),
    GuideName("ssl-certificate", "SSL_CERTIFICATE", "ssl-cert.pem"),
    GuideName("ssl-private-key", "SSL_PRIVATE_KEY", "ssl-key.pem"),
    GuideName("ssl-ca-bundle", "SSL_CA_BUNDLE"),
    GuideName("azure-storage-key", "AZURE_STORAGE_KEY"),
    GuideName("azure-key-vault-client-secret", "AZURE_KEY_VAULT_CLIENT_SECRET"),
    GuideName("azure-client-secret", "AZURE_CLIENT_SECRET"),
    GuideName("smtp-password", "SMTP_PASSWORD"),
    GuideName("grafana-admin-password", "GRAFANA_ADMIN_PASSWORD"),
    GuideName("prometheus-admin-password", "PROMETHEUS_ADMIN_PASSWORD"),
)
"""In the guide's order."""
