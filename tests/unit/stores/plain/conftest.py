"""The plain stores that the tests of this folder begin with."""

from pathlib import Path

import pytest

from tests.unit.stores.plain.plain import Plain


@pytest.fixture(params=["files", "env-file"])
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> Plain:
    """An empty store of each form."""
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    return Plain(request.param, root)
