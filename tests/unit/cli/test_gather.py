"""What `doctor` sees of the places where values lie in the clear."""

from pathlib import Path

from keyturn.cli.gather import lasting


def test_memory_is_told_from_what_keeps_its_content(tmp_path: Path) -> None:
    """By the file system under what is there; of what is not there nothing is said."""
    assert lasting(Path("/dev/shm")) == ""  # noqa: S108 - nothing is written there
    assert lasting(Path("/proc")) == "proc"
    assert lasting(tmp_path / "missing") == ""
