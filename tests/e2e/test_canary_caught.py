"""The positive control: a build that leaks goes through the same life, and is caught in every channel."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.canary import Known
from tests.e2e.leaky import by_hand, leaky
from tests.e2e.speak import HEAD
from tests.e2e.stage import PACKAGE, Stage, channels, hosts, show, staged
from tests.e2e.story import live
from tests.e2e.tracing import PYTHON

WAYS = 18
"""In at least so many ways of writing a value one that shows itself must be caught."""


@pytest.fixture(scope="module")
def leaked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An installation that went through everything, with the build that leaks."""
    folder = tmp_path_factory.mktemp("leaky")
    (folder / "it").mkdir(mode=0o700)
    with hosts() as servers, staged(folder / "it", servers, "loud", leaky(folder / "build")) as stage:
        live(stage, by_hand)
        yield stage


def test_a_build_that_leaks_is_caught_in_every_channel(leaked: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The same life, looked at in the same way: in each channel something is found."""
    hits = leaked.channels.hits(Known(leaked.values))
    show(capsys, "a build that leaks", leaked, hits)
    assert [channel for channel, found in hits.items() if not found] == []
    assert len(hits) == channels()


def ways(stage: Stage, source: Path) -> tuple[list[str], int]:
    """The ways of `speak` in which something of a value was written, and how many ways there were."""
    stage.source = source
    client = stage.folder / "nightly.client.json"  # the application's own bundle directory was broken on purpose
    words = ("-m", "tests.e2e.speak", str(stage.installation.manifest_path), str(client))
    assert stage.run([PYTHON, *words], words[:2], channel="speak") == 0, stage.said("speak")
    output = b"".join(content for _, content in stage.channels.taken("speak"))
    parts = output.decode().split(HEAD)[1:]
    known = Known(stage.values)
    return [name for name, _, said in (part.partition("\n") for part in parts) if known.names(said.encode())], len(
        parts
    )


def test_a_value_that_shows_itself_is_caught_in_every_way_of_writing(leaked: Stage) -> None:
    """A script that writes values in all ways of Python writes none with the package as it is, else in most ways."""
    shown, all_ways = ways(leaked, leaked.source)
    assert len(shown) >= WAYS
    hidden, as_many = ways(leaked, PACKAGE.parent)
    assert (hidden, as_many) == ([], all_ways)
