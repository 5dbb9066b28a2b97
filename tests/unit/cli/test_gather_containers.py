"""What `doctor` is told of Compose services and proxies, from the files that a manifest names."""

from pathlib import Path

import pytest

from keyturn.checks import containers, proxies
from keyturn.cli.gather_containers import container_looks, proxy_looks
from keyturn.manifest import load
from keyturn.wiring import assemble

MANIFEST = """
[service]
name = "clo"
environment = "test"

[keyturn]
state = "{home}/state"

[stores.main]
kind = "local"
vault_id = "0193a5c0-0000-7000-8000-000000000000"

[secrets.database]
kind = "manual"
owner = "platform@example.com"
purpose = "deals"
publish.database-url = {{ template = "postgresql://u:{{value}}@db/clo", env = "PGURL" }}
publish.cache-key = {{ field = "value" }}
consumers = ["api"]

[consumers.api]
kind = "compose"
file = "{home}/compose.yaml"
service = "api"
engine = ["/bin/true"]
bundle_dir = "{home}/run/bundle"
proof = "claimed"
nginx = "{home}/nginx.conf"
{more}
"""
COMPOSE = """
name: clo
services:
  api:
    image: x
    environment: {PGURL: hunter2, CACHE_KEY: hunter2, CACHE_KEY_FILE: /run/x, OTHER: fine}
    volumes:
      - ./run/bundle/database-url:/run/secrets/database_url
      - ./run:/run/keyturn
      - ./elsewhere:/elsewhere
    secrets: [jwt, tls]
secrets:
  jwt: {external: true}
  tls: {file: ./run/bundle}
"""
NGINX = "http { upstream api { server a:1; server b:1; } }"


def written(home: Path, compose: str = COMPOSE, more: str = "") -> Path:
    """The manifest, with the files that it names."""
    (home / "compose.yaml").write_text(compose)
    (home / "nginx.conf").write_text(NGINX)
    (home / "keyturn.toml").write_text(MANIFEST.format(home=home, more=more))
    return home / "keyturn.toml"


def test_a_service_is_looked_at_as_it_stands_in_its_file(tmp_path: Path) -> None:
    """Published names in its environment, external secrets, and mounts of what is switched; no value of any."""
    (look,) = container_looks(assemble(load(written(tmp_path))))
    assert look.environment == ("CACHE_KEY", "PGURL")
    assert look.external == ("jwt",)
    assert look.fixed == ("./run/bundle/database-url", "the secret tls")
    assert (look.replicas, look.watched, look.restarts) == (1, False, True)
    assert "hunter2" not in repr(look)
    assert {one.reason for one in containers.findings(look)} == {
        "secret-in-environment",
        "secret-external",
        "mount-fixed",
        "replica-alone",
        "replica-unwatched",
    }


def test_a_service_as_it_should_be_leaves_nothing_to_say(tmp_path: Path) -> None:
    """Two replicas with a health check, and the directory around the bundle."""
    good = "name: clo\nservices:\n  api:\n    image: x\n    deploy: {replicas: 2}\n    healthcheck: {test: x}\n"
    (look,) = container_looks(assemble(load(written(tmp_path, good + "    volumes: [./run:/run/keyturn]\n"))))
    assert containers.findings(look) == ()


@pytest.mark.parametrize("compose", ["services: {}", "services: ["])
def test_a_file_that_cannot_be_looked_at_is_unknown(tmp_path: Path, compose: str) -> None:
    """A wrong service and a wrong file are findings of their own."""
    (look,) = container_looks(assemble(load(written(tmp_path, compose))))
    assert [one.reason for one in containers.findings(look)] == ["compose-unreadable"]


@pytest.mark.parametrize(("more", "found"), [("", 0), ('pause = "10s"', 1), ('action = "none"\ngrace = "1m"', 0)])
def test_the_pause_is_held_against_the_proxy(tmp_path: Path, more: str, found: int) -> None:
    """Eleven seconds are longer than nginx's ten; who is not restarted needs no pause."""
    looks = tuple(proxy_looks(load(written(tmp_path, more=more))))
    assert sum(len(proxies.findings(look)) for look in looks) == found


def test_a_proxy_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    """Not reading it is not finding it patient."""
    manifest = written(tmp_path)
    (tmp_path / "nginx.conf").unlink()
    (look,) = proxy_looks(load(manifest))
    assert [one.reason for one in proxies.findings(look)] == ["proxy-unreadable"]
