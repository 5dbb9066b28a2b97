"""Asking after a lock without taking it."""

from pathlib import Path

from keyturn.system.locks import FileLock, is_held


def test_a_lock_is_seen_while_it_is_held_and_not_after(tmp_path: Path) -> None:
    """The question makes no file, takes no lock, and is right before, during and after."""
    path = tmp_path / "x.lock"
    assert not is_held(path)
    assert not path.exists()
    with FileLock(path):
        assert is_held(path)
        assert is_held(path)
    assert not is_held(path)
    with FileLock(path):
        pass
