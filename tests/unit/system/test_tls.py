"""Where the authorities of this host are."""

from pathlib import Path

import pytest

from keyturn.system.tls import host_authorities


def test_chosen_file_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE goes before everything else."""
    (tmp_path / "ca.pem").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert host_authorities() == str(tmp_path / "ca.pem")


def test_chosen_file_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chosen file that is not there is not replaced by another."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    assert host_authorities() is None


def test_file_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a choice the answer is a file that is there, or none."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    found = host_authorities()
    assert found is None or Path(found).is_file()
