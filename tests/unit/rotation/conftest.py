from pathlib import Path

import pytest

from keyturn.testing.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """One secret on doubles that really refuse, with three instances and its first version."""
    made = Bench(tmp_path)
    made.rotate()
    return made
