"""The archives that are published, made from this checkout."""

import zipfile
from pathlib import Path

import pytest

from scripts import dist
from scripts.run_tests import ROOT


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], dict[str, Path]]:
    """Two builds of the same checkout."""
    first, second = (dist.build(ROOT, tmp_path_factory.mktemp("build")) for _ in range(2))
    return first, second


def test_two_builds_are_the_same_bytes(archives: tuple[dict[str, Path], dict[str, Path]]) -> None:
    """Wheel and sdist can be made again by anybody and compared by hash."""
    first, second = ({name: dist.digest(path) for name, path in build.items()} for build in archives)
    assert sorted(name.rpartition(".")[2] for name in first) == ["gz", "whl"]
    assert first == second


def test_archives_hold_the_product_only(archives: tuple[dict[str, Path], dict[str, Path]]) -> None:
    """No test, script or example is shipped, and the typed package is."""
    for path in archives[0].values():
        assert dist.strangers(path) == []
    wheel = next(path for path in archives[0].values() if path.suffix == ".whl")
    assert "keyturn/py.typed" in dist.contents(wheel)
    assert not [name for name in dist.contents(wheel) if "crash" in name or "/points" in name]


def test_a_stranger_in_an_archive_is_found(tmp_path: Path) -> None:
    """A wheel with tests in it is named."""
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as wheel:
        wheel.writestr("tests/test_x.py", "")
        wheel.writestr("keyturn/x.py", "")
    assert dist.strangers(tmp_path / "x.whl") == ["tests/test_x.py"]
