"""The compose file of a manifest: valid, complete, and in all else as somebody wrote it."""

import difflib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from keyturn.cli.composing import CLIENT_TARGET, HEAD, Wanted, brought, findings, shaped, wanted
from keyturn.core.errors import UsageError
from keyturn.manifest import Manifest, load
from keyturn.manifest.template import from_guide

SPEC = json.loads((Path(__file__).parents[2] / "vectors" / "compose-spec.json").read_text())
"""The JSON Schema of github.com/compose-spec/compose-spec (Apache-2.0, The Compose Specification Authors)."""

GUIDE = """# docker-compose.production.yml (secrets section)
version: '3.8'

services:
  clo-api:
    image: clo-system/api:latest
    environment:
      # Reference Docker secrets instead of environment variables
      - DATABASE_URL_FILE=/run/secrets/database_url
      - REDIS_URL_FILE=/run/secrets/redis_url
      - SECRET_KEY_FILE=/run/secrets/secret_key
    secrets:
      - database_url
      - redis_url
      - secret_key
      - jwt_private_key
      - jwt_public_key
      - ssl_certificate
      - ssl_private_key
    deploy:
      replicas: 3
      restart_policy:
        condition: on-failure

secrets:
  database_url:
    external: true
  redis_url:
    external: true
  secret_key:
    external: true
  jwt_private_key:
    file: /opt/clo-system/secrets/jwt-private-key.pem
  jwt_public_key:
    file: /opt/clo-system/secrets/jwt-public-key.pem
  ssl_certificate:
    file: /opt/clo-system/secrets/ssl-cert.pem
  ssl_private_key:
    file: /opt/clo-system/secrets/ssl-key.pem
"""

MAPPING = """x-common: &common   # shared
  restart: always
services:
  other: {image: postgres}   # foreign, and as it is
  clo-api:
    <<: *common
    environment:
        LOG_LEVEL: "info"      # four blanks
        REDIS_URL_FILE: /run/secrets/redis_url
    healthcheck: {test: [CMD, curl, -f, http://localhost/healthz], interval: 5s}
    volumes: ["./static:/static:ro"]
    deploy: {replicas: 2, update_config: {order: stop-first}}
    ports:
    - "8080:80"
    image: clo
networks:
  inner:
"""
SHORT = (
    "services:\r\n  clo-api:\r\n    image: clo\r\n    volumes:\r\n      - /run/keyturn/clo-api:/run/keyturn/clo-api\r\n"
)
BARE = "services:\n  clo-api:\n    image: clo\n    environment:\n    deploy:"
FILES = {"guide": GUIDE, "mapping": MAPPING, "short": SHORT, "bare": BARE, "new": HEAD}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Every name of the guide."""
    path = tmp_path_factory.mktemp("guide") / "keyturn.toml"
    vault = "00000000-0000-4000-8000-000000000000"
    path.write_text(from_guide("clo", vault, "production", "/var/lib/keyturn", "", run="/run/keyturn", here="/opt"))
    return load(path, None)


def services(manifest: Manifest, *names: str) -> tuple[Wanted, ...]:
    """Those consumers as services."""
    found = (wanted(manifest, name, Path("/opt/compose.yml")) for name in names or manifest.consumers)
    return tuple(one for one in found if one is not None)


def read(text: str) -> Any:
    """What another reader makes of it, if it is a compose file."""
    found = YAML(typ="safe", pure=True).load(text)
    jsonschema.Draft7Validator(SPEC).validate(found)
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_valid_and_a_second_time_changes_no_byte(manifest: Manifest, name: str) -> None:
    """Held against the schema of the specification."""
    draft = brought(FILES[name], services(manifest, *(() if name == "new" else ("clo-api",))))
    read(draft.page.text)
    assert draft.changed
    again = brought(draft.page.text, services(manifest, *(() if name == "new" else ("clo-api",))))
    assert (again.page.text, again.changed) == (draft.page.text, {})


@pytest.mark.parametrize("name", ["guide", "mapping", "short", "bare"])
def test_a_service_gets_all_that_keyturn_needs(manifest: Manifest, name: str) -> None:
    """The directory as a whole, read-only; the status directory; the client file; replicas and their update."""
    found = read(brought(FILES[name], services(manifest, "clo-api")).page.text)
    api = found["services"]["clo-api"]
    variables = api["environment"]
    if isinstance(variables, list):
        variables = dict(line.split("=", 1) for line in variables)
    assert variables["KEYTURN_CLIENT"] == CLIENT_TARGET
    home, bind = "/run/keyturn/clo-api", {"create_host_path": False}
    assert [one for one in api["volumes"] if home in str(one)] == [
        {"type": "bind", "source": home, "target": home, "read_only": True, "bind": bind},
        {"type": "bind", "source": f"{home}/status", "target": f"{home}/status", "bind": bind},
    ]
    assert api["configs"] == [{"source": "keyturn-clo-api", "target": CLIENT_TARGET}]
    assert found["configs"]["keyturn-clo-api"] == {"file": "./clo-api.keyturn.client.json"}
    assert api["deploy"]["replicas"] == 3
    assert api["deploy"]["update_config"] == {"parallelism": 1, "order": "start-first", "failure_action": "rollback"}


def test_the_guides_file_loses_no_line_but_those_of_docker_secrets(manifest: Manifest) -> None:
    """What no name of this consumer is stays, with every comment."""
    draft = brought(GUIDE, services(manifest, "clo-api"))
    lines = difflib.ndiff(GUIDE.splitlines(), draft.page.text.splitlines())
    lost = [line[2:].strip() for line in lines if line.startswith("- ")]
    assert len(lost) == 18
    assert all(
        "run/secrets/" in line or line.startswith(("- ", "file:", "external:")) or line.endswith(":") for line in lost
    )
    found = read(draft.page.text)
    api = found["services"]["clo-api"]
    assert api["secrets"] == ["ssl_certificate", "ssl_private_key"] == list(found["secrets"])
    assert "DATABASE_URL_FILE=/run/keyturn/clo-api/bundle/database-url" in api["environment"]
    assert api["deploy"]["restart_policy"] == {"condition": "on-failure"}


def test_a_secret_that_another_service_uses_stays(manifest: Manifest) -> None:
    """It is taken out of the service that has the directory, and of nothing else."""
    text = GUIDE.replace("    image: clo", "    image: clo").replace(
        "\nsecrets:\n", "\n  job:\n    image: x\n    secrets: [{source: redis_url, target: r}]\nsecrets:\n", 1
    )
    found = read(brought(text, services(manifest, "clo-api")).page.text)
    assert list(found["secrets"]) == ["redis_url", "ssl_certificate", "ssl_private_key"]
    assert found["services"]["job"]["secrets"] == [{"source": "redis_url", "target": "r"}]


def test_what_is_foreign_stays_as_it_is_written(manifest: Manifest) -> None:
    """Extensions, anchors, brackets, indentation; lines that must change are the only ones that do."""
    text = brought(MAPPING, services(manifest, "clo-api")).page.text
    lines = difflib.ndiff(MAPPING.splitlines(), text.splitlines())
    assert [line[2:].strip() for line in lines if line.startswith("- ")] == [
        "REDIS_URL_FILE: /run/secrets/redis_url",
        'volumes: ["./static:/static:ro"]',
        "deploy: {replicas: 2, update_config: {order: stop-first}}",
    ]
    found = read(text)["services"]["clo-api"]
    assert found["volumes"][0] == "./static:/static:ro"
    assert found["environment"]["REDIS_URL_FILE"] == "/run/keyturn/clo-api/bundle/redis-url"


def test_a_program_that_reads_files_gets_a_variable_for_each(manifest: Manifest) -> None:
    """And no client file; how many there are it does not say."""
    found = read(brought(HEAD, services(manifest, "web")).page.text)
    web = found["services"]["web"]
    assert web["environment"] == {
        "SSL_CERTIFICATE_FILE": "/run/keyturn/web/bundle/ssl_certificate",
        "SSL_PRIVATE_KEY_FILE": "/run/keyturn/web/bundle/ssl_private_key",
        "SSL_CA_BUNDLE_FILE": "/run/keyturn/web/bundle/ssl_ca_bundle",
    }
    assert "configs" not in found
    assert "replicas" not in web["deploy"]
    assert web["image"] == "${WEB_IMAGE:?which image}"


COUNTED = """
[consumers.counted]
kind = "compose"
file = "/opt/compose.yml"
service = "api-v2"
bundle_dir = "/run/keyturn/counted/bundle"
proof = "claimed"
expect = 4

[consumers.reporting]
kind = "compose"
file = "/opt/compose.yml"
service = "api-v3"
bundle_dir = "/run/keyturn/reporting/bundle"
status_dir = "/run/keyturn/reporting/status"
expect = 4
"""


def test_a_consumer_that_names_its_service_lives_in_that_file_alone(manifest: Manifest, tmp_path: Path) -> None:
    """Without reports it is restarted and reads files, and expects containers; with them it opens a client file."""
    path = tmp_path / "keyturn.toml"
    consumers = 'consumers = ["counted", "reporting", "clo-api"]'
    path.write_text(manifest.path.read_text().replace('consumers = ["clo-api"]', consumers) + COUNTED)
    declared = load(path, None)
    assert wanted(declared, "counted", tmp_path / "other.yml") is None
    found = read(brought(HEAD, services(declared, "counted", "reporting")).page.text)["services"]
    assert found["api-v2"]["deploy"]["replicas"] == 4
    bundle = "/run/keyturn/counted/bundle"
    assert found["api-v2"]["environment"]["PRODUCTION_REDIS_URL_FILE"] == f"{bundle}/redis-url"
    assert "KEYTURN_CLIENT" not in found["api-v2"]["environment"]
    assert found["api-v3"]["environment"] == {"KEYTURN_CLIENT": CLIENT_TARGET}
    assert found["api-v3"]["deploy"]["replicas"] == 4


def test_a_container_with_several_processes_is_one_replica(manifest: Manifest) -> None:
    """What is expected are processes; a number that cannot be is refused."""
    one = wanted(manifest, "clo-api", Path("/opt/compose.yml"), 3)
    assert one is not None
    assert one.replicas == 1
    with pytest.raises(UsageError, match="clo-api expects 3 processes"):
        wanted(manifest, "clo-api", Path("/opt/compose.yml"), 2)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("/run/keyturn/other", "bundle_dir of web"),
        ("/run/other", "what else the host has there"),
        ("/var/lib/other", "the state directory"),
    ],
)
def test_a_directory_that_is_not_its_own_is_not_mounted(
    manifest: Manifest, tmp_path: Path, place: str, why: str
) -> None:
    """The container would see the bundles of others, Keyturn's keys, or the engine's socket."""
    path = tmp_path / "keyturn.toml"
    path.write_text(manifest.path.read_text().replace("/run/keyturn/clo-api/bundle", place))
    with pytest.raises(UsageError, match=f"would be mounted with {why}"):
        wanted(load(path, None), "clo-api", Path("/opt/compose.yml"))


def test_a_directory_of_any_name_is_mounted_once(manifest: Manifest, tmp_path: Path) -> None:
    """A dollar sign is none of Compose's, and blanks and quotes are of no meaning."""
    path = tmp_path / "keyturn.toml"
    odd = "/run/key turn/$HOME's #1: x"
    path.write_text(manifest.path.read_text().replace("/run/keyturn/clo-api", odd).replace("/run/keyturn", "/run/k"))
    one = services(load(path, None), "clo-api")
    text = brought(GUIDE, one).page.text
    assert read(text)["services"]["clo-api"]["volumes"][0]["source"] == odd.replace("$", "$$")
    assert brought(text, one).page.text == text


@pytest.mark.parametrize(
    "line",
    [
        "      - DATABASE_URL=postgresql://canary",
        "      - PRODUCTION_DATABASE_URL=${CANARY}",
        "      - SSL_PRIVATE_KEY",
        "      - 'GRAFANA_ADMIN_PASSWORD=canary'",
    ],
)
def test_a_value_of_a_declared_name_is_a_finding_with_its_line(manifest: Manifest, line: str) -> None:
    """Of any service, written there or taken from outside; never with the value."""
    text = GUIDE.replace("      - DATABASE_URL_FILE=/run/secrets/database_url", line)
    found = findings(shaped(text), manifest, services(manifest, "clo-api"))
    assert [(one.reason, one.subject, one.message[:8]) for one in found] == [
        ("compose-plain-value", "clo-api", "line 9: ")
    ]
    assert "canary" not in str(found).lower()


def test_names_that_hold_nothing_or_files_are_none(manifest: Manifest) -> None:
    """Nor are foreign names."""
    text = GUIDE.replace("      - REDIS_URL_FILE=/run/secrets/redis_url", "      - REDIS_URL=\n      - MINE=x")
    assert findings(shaped(text), manifest, services(manifest, "clo-api")) == ()


@pytest.mark.parametrize(
    ("volume", "reasons"),
    [
        ("/run/keyturn/clo-api/bundle/database-url:/x:ro", ["compose-pinned-file"]),
        ("/run/keyturn/clo-api/bundle:/x", ["compose-pinned-file"]),
        ("{type: bind, source: /run/keyturn/clo-api/bundle, target: /x}", ["compose-pinned-file"]),
        ("/run/keyturn/clo-api:/x", []),
        ("/run/keyturn/clo-api/status:/x", []),
        ("/run/keyturn/clo-api-other/bundle:/x", []),
        ("data:/x", []),
    ],
)
def test_a_mount_below_the_directory_is_a_finding(manifest: Manifest, volume: str, reasons: list[str]) -> None:
    """It shows one version for ever: the directory itself, and what the application writes, may be mounted."""
    text = GUIDE.replace("    secrets:\n", f"    volumes:\n      - {volume}\n    secrets:\n", 1)
    found = findings(shaped(text), manifest, services(manifest, "clo-api"))
    assert [one.reason for one in found] == reasons


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("services: []\n", 1),
        ("services:\n  clo-api: text\n", 2),
        ("services:\n  clo-api:\n    image: x\n    volumes: {a: b}\n", 4),
        ("services:\n  clo-api:\n    image: x\n    scale: 2\n", 4),
        ("x: &e {A: b}\nservices:\n  clo-api:\n    environment: *e\n", 1),
        ("services:\n  clo-api: &a\n    image: x\n  two:\n    <<: *a\n", 2),
    ],
)
def test_what_cannot_be_changed_alone_is_refused_with_its_line(manifest: Manifest, text: str, line: int) -> None:
    """A file that is none, and places that other services share."""
    with pytest.raises(ValueError, match=rf"\Aline {line}: "):
        brought(text, services(manifest, "clo-api"))
