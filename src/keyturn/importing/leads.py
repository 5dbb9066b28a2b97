"""Where the name of a variable or file leads: to a secret, as what template. Nothing is guessed.

Names are tried from the surest to the least: what a view of the manifest says in `env`, the name of a view, a secret
with a field, a secret of one field, and at last the names that a kind has in the guide, where one secret is of it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from keyturn.core.compose import holes
from keyturn.core.errors import UsageError
from keyturn.manifest.model import Manifest
from keyturn.manifest.secret import SecretTable

IGNORE = "ignore"
_ENDINGS = re.compile(r"\.(pem|crt|cer|key|txt)\Z", re.IGNORECASE)
_PREFIXES = ("PRODUCTION",)
_OTHER_KINDS = frozenset({"manual", "command"})
_USER = "{username}"
_PASSWORD = "{password}"  # noqa: S105 - a template
_LOG_IN = f"{_USER}:{_PASSWORD}"

KNOWN: Mapping[str, Mapping[str, str]] = {
    "postgres": {
        **dict.fromkeys(("DATABASE_URL", "POSTGRES_URL"), f"postgresql://{_LOG_IN}@{{host}}:{{port}}/{{dbname}}"),
        **dict.fromkeys(("POSTGRES_USER", "PGUSER", "DB_USER"), _USER),
        **dict.fromkeys(("POSTGRES_PASSWORD", "PGPASSWORD", "DB_PASSWORD"), _PASSWORD),
        **dict.fromkeys(("POSTGRES_HOST", "PGHOST", "DB_HOST"), "{host}"),
        **dict.fromkeys(("POSTGRES_PORT", "PGPORT", "DB_PORT"), "{port}"),
        **dict.fromkeys(("POSTGRES_DB", "PGDATABASE", "DB_NAME"), "{dbname}"),
    },
    "redis": {
        "REDIS_URL": f"redis://{_LOG_IN}@{{host}}:{{port}}/{{db}}",
        **dict.fromkeys(("REDIS_USER", "REDIS_USERNAME"), _USER),
        "REDIS_PASSWORD": _PASSWORD,
        "REDIS_HOST": "{host}",
        "REDIS_PORT": "{port}",
        "REDIS_DB": "{db}",
    },
    "app-key": {"SECRET_KEY": "{value}"},
    "jwt": {"JWT_PRIVATE_KEY": "{private_key}", "JWT_PUBLIC_KEY": "{public_key}"},
    "tls": {
        **dict.fromkeys(("SSL_CERTIFICATE", "SSL_CERT", "TLS_CERTIFICATE", "TLS_CERT"), "{certificate}{chain}"),
        **dict.fromkeys(("SSL_PRIVATE_KEY", "SSL_KEY", "TLS_PRIVATE_KEY", "TLS_KEY"), "{private_key}"),
        **dict.fromkeys(("SSL_CHAIN", "TLS_CHAIN"), "{chain}"),
        **dict.fromkeys(("SSL_CA_BUNDLE", "TLS_CA_BUNDLE", "CA_BUNDLE"), "{ca_bundle}"),
    },
    "azure-keys": {"AZURE_STORAGE_KEY": "{key}"},
    "entra": {
        **dict.fromkeys(("AZURE_CLIENT_SECRET", "AZURE_KEY_VAULT_CLIENT_SECRET"), "{client_secret}"),
        "AZURE_CLIENT_ID": "{client_id}",
        "AZURE_TENANT_ID": "{tenant_id}",
    },
    "smtp": {
        **dict.fromkeys(("SMTP_USER", "SMTP_USERNAME"), _USER),
        "SMTP_PASSWORD": _PASSWORD,
        "SMTP_HOST": "{host}",
        "SMTP_PORT": "{port}",
    },
    "grafana": {
        **dict.fromkeys(("GRAFANA_ADMIN_USER", "GF_SECURITY_ADMIN_USER"), _USER),
        **dict.fromkeys(("GRAFANA_ADMIN_PASSWORD", "GF_SECURITY_ADMIN_PASSWORD"), _PASSWORD),
    },
    "prometheus": {"PROMETHEUS_ADMIN_USER": _USER, "PROMETHEUS_ADMIN_PASSWORD": _PASSWORD},
}
"""The names that the guide and the images of these programs use, by the kind of secret."""


@dataclass(frozen=True, slots=True)
class Lead:
    """A value is what `template` of `secret` gives."""

    secret: str
    template: str


@dataclass(frozen=True, slots=True)
class Leads:
    """Every name that leads somewhere, the surest tier first, and what `--map` says."""

    tiers: tuple[Mapping[str, tuple[Lead, ...]], ...]
    mapped: Mapping[str, Lead | None]
    prefixes: tuple[str, ...]

    def of(self, key: str) -> tuple[Lead, ...] | None:
        """Where `key` leads: nowhere, to one place, or to several of equal right. None where it is to be left alone."""
        if key in self.mapped:
            lead = self.mapped[key]
            return None if lead is None else (lead,)
        for tier in self.tiers:
            for name in self._names(key):
                if name in tier:
                    return tier[name]
        return ()

    def _names(self, key: str) -> Iterator[str]:
        for stem in dict.fromkeys((key, _ENDINGS.sub("", key))):
            name = canonical(stem)
            yield name
            for prefix in self.prefixes:
                if name.startswith(f"{prefix}_"):
                    yield name.removeprefix(f"{prefix}_")


def canonical(name: str) -> str:
    """A variable's name: in upper case, with underscores."""
    return re.sub(r"[-.]", "_", name).upper()


def leads_of(manifest: Manifest, maps: Sequence[str]) -> Leads:
    """All leads of that manifest.

    Args:
        manifest: what is declared.
        maps: what `--map` was given, each `NAME=SECRET.FIELD`, `NAME=SECRET`, `NAME=PUBLISHED` or `NAME=ignore`.

    Raises:
        UsageError: one of them is none of these, or names something that is not declared.
    """
    prefixes = tuple(dict.fromkeys((canonical(manifest.environment), *_PREFIXES)))
    return Leads(tuple(_tiers(manifest)), dict(_mapped(manifest, one) for one in maps), prefixes)


def _tiers(manifest: Manifest) -> Iterator[Mapping[str, tuple[Lead, ...]]]:
    secrets = manifest.secrets
    views = [(secret, name, view) for secret, table in secrets.items() for name, view in table.publish.items()]
    yield _gathered((view.env, Lead(secret, view.text)) for secret, _, view in views if view.env)
    yield _gathered((canonical(name), Lead(secret, view.text)) for secret, name, view in views)
    yield _gathered(
        (canonical(f"{secret}_{field}"), _field(secret, field))
        for secret, table in secrets.items()
        for field in table.bundle
    )
    yield _gathered(
        (canonical(secret), _field(secret, table.bundle[0]))
        for secret, table in secrets.items()
        if len(table.bundle) == 1
    )
    yield _gathered(_known(secrets))


def _field(secret: str, field: str) -> Lead:
    return Lead(secret, f"{{{field}}}")


def _gathered(pairs: "Iterator[tuple[str, Lead]]") -> Mapping[str, tuple[Lead, ...]]:
    found: dict[str, tuple[Lead, ...]] = {}
    for name, lead in pairs:
        found[name] = tuple(dict.fromkeys((*found.get(name, ()), lead)))
    return found


def _known(secrets: Mapping[str, SecretTable]) -> Iterator[tuple[str, Lead]]:
    kinds = [table.kind for table in secrets.values()]
    for secret, table in secrets.items():
        if kinds.count(table.kind) == 1 and table.kind not in _OTHER_KINDS:
            for name, template in KNOWN.get(table.kind, {}).items():
                fitting = template if "username" in table.bundle else template.replace(f"{_USER}:", ":")
                if set(holes(fitting)) <= set(table.parts):
                    yield name, Lead(secret, fitting)


def _mapped(manifest: Manifest, word: str) -> tuple[str, Lead | None]:
    key, equals, target = word.partition("=")
    if not key or not equals or not target:
        raise UsageError("--map takes NAME=SECRET.FIELD, NAME=SECRET, NAME=PUBLISHED or NAME=ignore", "keyturn list")
    if target == IGNORE:
        return key, None
    secret, dot, field = target.partition(".")
    for owner, table in manifest.secrets.items():
        if not dot and target in table.publish:
            return key, Lead(owner, table.publish[target].text)
    if secret not in manifest.secrets:  # what was typed is not repeated: it may be a value
        raise UsageError(f"--map {key} leads to no secret that the manifest has", "keyturn list")
    table = manifest.secrets[secret]
    if dot:
        if field not in table.bundle:
            raise UsageError(f"--map {key}: {secret} has no such field", f"it has {', '.join(table.bundle)}")
        return key, _field(secret, field)
    if len(table.bundle) > 1:
        raise UsageError(f"{secret} has several fields", f"--map {key}={secret}.{table.bundle[0]}, for instance")
    return key, _field(secret, table.bundle[0])
