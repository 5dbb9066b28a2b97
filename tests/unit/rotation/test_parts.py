import pytest

from keyturn.core.clock import CLOCK_ERROR
from keyturn.rotation.parts import minimum_overlap


@pytest.mark.parametrize(
    ("declared", "staleness", "longest_run", "overlap"),
    [
        (5.0, (), (), 5 + 2),
        (5.0, (30.0, 10.0), (), 30 + 2),
        (60.0, (30.0,), (), 60 + 2),
        (5.0, (30.0,), (3600.0,), 3600 - CLOCK_ERROR),
    ],
)
def test_the_overlap_is_long_enough_for_the_slowest(
    declared: float, staleness: tuple[float, ...], longest_run: tuple[float, ...], overlap: float
) -> None:
    """The longest of what was declared and how stale a consumer may be, time to connect and clock error on top."""
    assert minimum_overlap(declared, staleness, longest_run, 2.0) == overlap + CLOCK_ERROR
