"""A Compose file, as far as it is read."""

from pathlib import Path

import pytest

from keyturn.core.errors import Corrupt, NotFound
from keyturn.system.compose_file import Mount, read_compose

WHOLE = """
x-common: &common
  environment:
    - DATABASE_URL=postgresql://clo:hunter2@db/clo
    - EMPTY=
    - FROM_THE_SHELL
  healthcheck: {test: [CMD, "true"]}
services:
  api:
    <<: *common
    deploy: {replicas: 4}
    secrets:
      - jwt-key
      - source: tls
        target: cert
    volumes:
      - ./secrets/x:/run/secrets/x:ro
      - data:/var/lib/data
      - {type: bind, source: /run/keyturn/api, target: /run/keyturn/api}
  worker:
    scale: 2
    environment: {REDIS_URL: "redis://:hunter2@cache", EMPTY: ""}
    healthcheck: {disable: true}
  cron:
    deploy: {replicas: "${CRONS:-1}"}
secrets:
  jwt-key: {external: true}
  tls: {file: ./tls.pem}
"""


def written(home: Path, text: str) -> Path:
    """That text as a file of a project in `My.Service`."""
    (home / "My.Service").mkdir()
    path = home / "My.Service" / "compose.yaml"
    path.write_text(text)
    return path


def test_what_a_file_says(tmp_path: Path) -> None:
    """Replicas, health, mounts and secrets of each service, anchors and merges followed."""
    said = read_compose(written(tmp_path, WHOLE))
    api, worker, cron = (said.services[name] for name in ("api", "worker", "cron"))
    assert (api.replicas, worker.replicas, cron.replicas) == (4, 2, None)
    assert (api.healthcheck, worker.healthcheck, cron.healthcheck) == (True, False, None)
    assert api.secrets == ("jwt-key", "tls")
    assert api.mounts == (
        Mount("./secrets/x", "/run/secrets/x", bind=True),
        Mount("data", "/var/lib/data", bind=False),
        Mount("/run/keyturn/api", "/run/keyturn/api", bind=True),
    )
    assert (said.external, said.files) == (("jwt-key",), {"tls": "./tls.pem"})


def test_of_variables_only_the_names_are_kept(tmp_path: Path) -> None:
    """Those that hold something, in either form; no value is anywhere in what was read."""
    said = read_compose(written(tmp_path, WHOLE))
    assert said.services["api"].environment == ("DATABASE_URL", "FROM_THE_SHELL")
    assert said.services["worker"].environment == ("REDIS_URL",)
    assert "hunter2" not in repr(said)


@pytest.mark.parametrize(
    ("line", "project"), [("", "myservice"), ("name: clo", "clo"), ("name: ${X}", None), ("name: 'a$$b'", None)]
)
def test_the_project_is_named_as_compose_does(tmp_path: Path, line: str, project: str | None) -> None:
    """By the file, else by its directory; what a variable decides cannot be told."""
    assert read_compose(written(tmp_path, f"{line}\nservices: {{}}\n")).project == project


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("services: [", "line"),
        ("services:\n  api: hunter2\n", "services.api is no table"),
        ("hunter2", "the file is no table"),
        ("a: 1\na: hunter2\n", "line"),
        ("services: {}\nsecrets: hunter2\n", "secrets is no table"),
    ],
)
def test_what_is_no_compose_file_is_refused_without_its_words(tmp_path: Path, text: str, words: str) -> None:
    """The place is named, and nothing that stands there."""
    with pytest.raises(Corrupt, match=words) as refused:
        read_compose(written(tmp_path, text))
    assert "hunter2" not in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(NotFound, match="nowhere"):
        read_compose(tmp_path / "nowhere.yaml")
