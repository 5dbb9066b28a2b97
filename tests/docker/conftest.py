"""One engine for all tests of containers."""

from collections.abc import Iterator

import pytest

from keyturn.testing.docker_engine import DockerEngine


@pytest.fixture(scope="session")
def one_engine() -> Iterator[DockerEngine]:
    """It lives as long as the tests do."""
    with DockerEngine() as engine:
        yield engine


@pytest.fixture
def engine(one_engine: DockerEngine) -> Iterator[DockerEngine]:
    """The engine, without a container."""
    clear(one_engine)
    yield one_engine
    clear(one_engine)


def clear(engine: DockerEngine) -> None:
    """Remove all containers."""
    if ids := engine.run("container", "ls", "--all", "--quiet").split():
        engine.run("container", "rm", "--force", *ids)
