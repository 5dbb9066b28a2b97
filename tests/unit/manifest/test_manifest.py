"""What a good manifest becomes."""

import dataclasses
from pathlib import Path

import pytest
from pydantic import ValidationError

from keyturn.core.errors import UsageError
from keyturn.manifest import Manifest, load
from keyturn.manifest.kinds import application, local, postgres
from keyturn.manifest.settings import SqliteJournal
from keyturn.manifest.template import minimal
from tests.unit.manifest.conftest import HERE, SMALL, Write

# The guide's names: in Key Vault, as Docker secrets (underscores) and as variables (upper case).
NAMES = (
    *("postgres-user", "postgres-password", "database-url", "redis-password", "redis-url", "secret-key"),
    *("jwt-private-key", "jwt-public-key", "ssl-certificate", "ssl-private-key", "ssl-ca-bundle"),
    *("azure-storage-key", "azure-key-vault-client-secret", "smtp-password", "grafana-admin-password"),
    *("prometheus-admin-password", "azure-client-secret", "azure-client-id", "azure-tenant-id"),
)
IN_KEY_VAULT = (
    *("postgres-password", "database-url", "redis-password", "redis-url", "secret-key", "jwt-private-key"),
    *("jwt-public-key", "ssl-certificate", "ssl-private-key", "ssl-ca-bundle", "azure-storage-key", "smtp-password"),
)


@pytest.fixture
def guide(write: Write) -> Path:
    """The full manifest of the guide's secrets."""
    return write((HERE / "guide.toml").read_text(encoding="utf-8"))


def test_every_name_of_the_guide_is_published(guide: Path) -> None:
    """Each entry, environment variable and store entry that the guide uses is found."""
    views = {name: view for secret in load(guide).secrets.values() for name, view in secret.publish.items()}
    assert set(NAMES) <= views.keys()
    assert {name.upper().replace("-", "_") for name in NAMES} <= {view.env for view in views.values()}
    assert set(IN_KEY_VAULT) == {name for name, view in views.items() if view.store_as == "secret"}


def test_a_postgres_secret_is_read_as_the_design_writes_it(guide: Path) -> None:
    """Targets, consumers and durations come as typed, frozen values."""
    manifest = load(guide)
    secret = manifest.secret("database")
    assert isinstance(secret, postgres.Options)
    assert secret.target.endpoints == (("db.internal", 5432),)
    assert secret.target.sslmode == "verify-full"
    assert secret.target.sslrootcert == Path("/etc/keyturn/db-ca.pem")
    assert (secret.rotate.calendar, secret.rotate.overlap, secret.rotate.every) == ("0 2 1 * *", 900.0, None)
    assert secret.admins == (("admin", "postgres-admin"),)
    consumer = manifest.consumers["clo-api"]
    assert isinstance(consumer, application.Options)
    assert consumer.bundle_dir == Path("/run/keyturn/clo-api/bundle")
    assert (consumer.max_stale, consumer.max_stale_on_outage, consumer.expect, consumer.proof) == (
        30.0,
        300.0,
        3,
        "holds",
    )
    assert manifest.keyturn.journal == SqliteJournal()
    assert manifest.keyturn.reconcile == 900.0


def test_hosts_with_ipv6_addresses_lose_their_brackets(write: Write) -> None:
    """`[::1]:5432` is the address ::1 and the port 5432."""
    text = (HERE / "guide.toml").read_text(encoding="utf-8").replace('"db.internal:5432"', '"[::1]:5432"')
    secret = load(write(text)).secret("database")
    assert isinstance(secret, postgres.Options)
    assert secret.target.endpoints == (("::1", 5432),)


def test_a_profile_replaces_whole_tables_and_nothing_else(guide: Path) -> None:
    """Stores, targets and URLs are the profile's; what it does not name stays."""
    base, dev = load(guide), load(guide, "dev")
    store, secret = dev.stores["main"], dev.secret("database")
    assert isinstance(store, local.Options)
    assert isinstance(secret, postgres.Options)
    assert secret.target.hosts == ("127.0.0.1:5432",)
    assert secret.target.sslrootcert is None
    assert secret.publish == base.secret("database").publish
    assert (dev.secret("cache").publish["redis-url"].template or "").startswith("redis://")
    assert "redis-password" in dev.secret("cache").publish
    assert dev.secret("jwt") == base.secret("jwt")
    assert load(guide, "files").secrets == base.secrets
    assert (base.profile, dev.profile, dev.profiles) == (None, "dev", ("dev", "files"))


def test_an_unknown_profile_is_a_usage_error(guide: Path) -> None:
    """The error names the profile that was meant."""
    with pytest.raises(UsageError, match="no profile 'dve'") as caught:
        load(guide, "dve")
    assert caught.value.remedy == "did you mean 'dev'?"


def test_nothing_of_a_manifest_can_be_changed(guide: Path) -> None:
    """Objects refuse attributes, mappings refuse entries."""
    manifest = load(guide)
    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest.service = "other"  # type: ignore[misc]  # the test is that this fails
    with pytest.raises(ValidationError, match="frozen"):
        manifest.secret("database").owner = "other"
    with pytest.raises(TypeError):
        manifest.secrets["x"] = manifest.secret("database")  # type: ignore[index]  # the test is that this fails
    with pytest.raises(TypeError):
        manifest.secret("database").publish["x"] = None  # type: ignore[index]  # the test is that this fails
    with pytest.raises(TypeError):
        manifest.reserved["x"] = {}  # type: ignore[index]  # the test is that this fails


def test_what_is_not_built_is_named_once_each(guide: Path) -> None:
    """Kinds without an adapter and keys of a later version are listed with the table that declares them."""
    listed = load(guide).unavailable()
    assert "kind 'azure-key-vault' (stores.main)" not in listed
    assert "rotating kind 'redis' (secrets.cache)" in listed
    assert "kind 'systemd' (consumers.nginx)" not in listed
    assert "'calendar' (secrets.database.rotate)" in listed
    assert "'freeze' (secrets.jwt.rotate)" in listed
    assert not [line for line in listed if "secrets.postgres-admin" in line]
    assert len(set(listed)) == len(listed)


def test_what_is_not_built_is_told_apart_by_secret(guide: Path) -> None:
    """One secret is concerned by its own table, its store and its consumers."""
    manifest = load(guide, "dev")
    assert manifest.unavailable_for("database") == (
        "'calendar' (secrets.database.rotate)",
        "store_as = 'secret' of database-url in a local store (secrets.database)",
        "store_as = 'secret' of postgres-password in a local store (secrets.database)",
    )
    assert load(guide).unavailable_for("database") == ("'calendar' (secrets.database.rotate)",)
    assert manifest.unavailable_for("postgres-admin") == ()
    assert "rotating kind 'tls' (secrets.certificate)" in manifest.unavailable_for("certificate")
    assert not [line for line in load(guide).unavailable_for("database") if "stores.main" in line]


def test_reserved_tables_are_kept_and_listed(write: Write) -> None:
    """A table of a later version is read in outline and not available; an empty one is no matter."""
    manifest = load(write(SMALL + '[alerts.mail]\nto = "a@example.com"\n[retention]\n'))
    assert manifest.reserved["alerts"]["mail"]["to"] == "a@example.com"
    assert manifest.unavailable() == ("this table (alerts)",)


def test_keys_of_a_later_version_are_listed_wherever_they_stand(write: Write) -> None:
    """What a consumer or a policy declares and nothing follows yet is named."""
    text = SMALL.replace("used_by", 'compromise = "containment"\nused_by')
    consumer = '[consumers.api]\nkind = "application"\nbundle_dir = "/a"\nexpect = 1\nlifecycle = "planned"\n'
    assert load(write(f'{text}{consumer}urls = ["http://127.0.0.1:1"]\n')).unavailable() == (
        "'containment' (secrets.admin.compromise)",
        "'urls' (consumers.api)",
        "'planned' (consumers.api.lifecycle)",
    )


def test_a_journal_for_several_workers_is_read_and_not_available(write: Write) -> None:
    """A PostgreSQL journal names a secret of Keyturn's own instead of holding one."""
    journal = (
        '[keyturn]\njournal = { kind = "postgres", hosts = ["j.internal:5432"], dbname = "k", credential = "admin" }\n'
    )
    assert load(write(SMALL + journal)).unavailable() == ("kind 'postgres' (keyturn.journal)",)


def test_the_store_of_a_secret_is_the_one_it_names_or_the_only_one(write: Write) -> None:
    """With one store it need not be named; foreign names are taken as they are."""
    one = load(write(SMALL.replace("used_by", 'store_name = "Old_Name"\nused_by')))
    assert (one.store_of("admin"), one.store_name_of("admin")) == ("main", "Old_Name")
    other = '[stores.other]\nkind = "local"\nvault_id = "v2"\npath = "/srv/other.db"\n'
    two = load(write(SMALL.replace("used_by", 'store = "other"\nused_by') + other))
    assert (two.store_of("admin"), two.store_name_of("admin")) == ("other", "admin")


def test_an_unknown_secret_is_a_usage_error(guide: Path) -> None:
    """Asking for a secret that is not declared ends in exit status 2."""
    with pytest.raises(UsageError, match="no secret 'nothing'"):
        load(guide).secret("nothing")


def test_consumers_know_their_secrets(guide: Path) -> None:
    """What a consumer uses comes in the order of the manifest."""
    assert load(guide).used_by("nginx") == ("certificate",)
    assert load(guide).used_by("monitoring") == ("grafana", "prometheus")


@pytest.mark.parametrize("vault_id", ["0193a5c0-0000-7000-8000-000000000000", 'a"\\b'])
def test_the_first_manifest_is_a_manifest(vault_id: str, write: Write) -> None:
    """What `init` writes is read back as it was meant, and has nothing that is not available."""
    manifest = load(write(minimal("clo", vault_id, "staging", "/srv/keyturn")))
    store = manifest.stores["main"]
    assert isinstance(store, local.Options)
    assert (manifest.service, manifest.environment, store.vault_id) == ("clo", "staging", vault_id)
    assert manifest.keyturn.state == Path("/srv/keyturn")
    assert manifest.unavailable() == ()


def test_the_comments_of_the_first_manifest_are_one_too(write: Write) -> None:
    """With the hashes taken away, the examples in it are read as well."""
    lines = minimal("clo", "v1").splitlines()
    examples = [line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in lines]
    manifest: Manifest = load(write("\n".join(examples)))
    assert tuple(manifest.secrets) == ("postgres-admin", "database")
    assert manifest.unavailable() == ()


def test_the_first_manifest_refuses_a_name_that_is_none() -> None:
    """A service that could not be declared is not written."""
    with pytest.raises(UsageError):
        minimal('x"\n[stores.evil]', "v1")
