"""A `.env` text that a team commits: sealed to its members, opened by each, and by nobody else."""

import subprocess
from pathlib import Path

import pyrage
import pytest

from keyturn.core.errors import Corrupt, Denied, NotFound, Unsupported
from keyturn.core.secret import SecretValue
from keyturn.stores.sealed_env import read_sealed, seal, write_sealed
from tests.unit.stores.underneath import Counter, underneath
from tests.values import reads

CANARY = "canary-3f7a90"
TEXT = SecretValue(f"# c\nDATABASE_URL='{CANARY}'\n")


def _age(directory: Path, name: str = "age") -> tuple[Path, str]:
    identity = pyrage.x25519.Identity.generate()
    path = directory / f"{name}.key"
    path.write_text(f"# created by age-keygen\n{identity}\n")
    path.chmod(0o600)
    return path, str(identity.to_public())


def _ssh(directory: Path, kind: str) -> tuple[Path, str]:
    path = directory / f"ssh-{kind}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "dev@clo", "-f", path], check=True)
    return path, path.with_suffix(".pub").read_text().strip()


def _recipients(directory: Path, *lines: str) -> Path:
    path = directory / "recipients.txt"
    path.write_text("\n".join(["# the team", "", *lines]) + "\n")
    return path


def test_every_member_opens_it_and_nobody_else(tmp_path: Path) -> None:
    """X25519 and SSH recipients in one file; a key that is not among them is told so."""
    members = [_age(tmp_path), _ssh(tmp_path, "ed25519"), _ssh(tmp_path, "rsa")]
    path = tmp_path / ".env.age"
    write_sealed(path, TEXT, _recipients(tmp_path, *(public for _, public in members)))
    assert path.read_text().startswith("-----BEGIN AGE ENCRYPTED FILE-----")
    for identity, _ in members:
        assert read_sealed(path, identity) == TEXT
    stranger, _ = _age(tmp_path, "stranger")
    with pytest.raises(Denied, match="does not open") as caught:
        read_sealed(path, stranger)
    assert caught.value.remedy


def test_the_text_never_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file holds it, at whatever write one looks."""
    _, public = _age(tmp_path)
    recipients, seen = _recipients(tmp_path, public), []

    class Looking(Counter):
        def step(self, where: str) -> None:
            super().step(where)
            seen.append([name for name in tmp_path.iterdir() if CANARY.encode() in name.read_bytes()])

    with underneath(Looking(0, lambda: None), monkeypatch):
        write_sealed(tmp_path / ".env.age", TEXT, recipients)
    assert len(seen) > 5
    assert not any(seen)


@pytest.mark.parametrize("line", [f"age1{CANARY}", "ssh-ed25519 AAAA", CANARY])
def test_a_line_that_is_no_recipient_is_refused_by_its_number(line: str, tmp_path: Path) -> None:
    """What stands in it is not shown: it may be a private key that came to the wrong place."""
    with pytest.raises(Unsupported, match="line 3: no recipient") as caught:
        seal(TEXT, _recipients(tmp_path, line))
    assert CANARY not in str(caught.value)


def test_without_a_recipient_nothing_is_sealed(tmp_path: Path) -> None:
    """A file of comments names nobody."""
    with pytest.raises(Unsupported, match="names no recipient"):
        seal(TEXT, _recipients(tmp_path))


def test_an_identity_that_is_open_to_others_is_denied(tmp_path: Path) -> None:
    """0600, as every key."""
    identity, public = _age(tmp_path)
    write_sealed(tmp_path / ".env.age", TEXT, _recipients(tmp_path, public))
    identity.chmod(0o640)
    with pytest.raises(Denied, match="0640"):
        read_sealed(tmp_path / ".env.age", identity)


@pytest.mark.parametrize("content", [CANARY, f"AGE-SECRET-KEY-1{CANARY}", ""])
def test_what_is_no_identity_is_denied(content: str, tmp_path: Path) -> None:
    """Nothing of it is shown."""
    _, public = _age(tmp_path)
    write_sealed(tmp_path / ".env.age", TEXT, _recipients(tmp_path, public))
    (tmp_path / "bad").write_text(content)
    (tmp_path / "bad").chmod(0o600)
    with pytest.raises(Denied, match="holds no identity") as caught:
        read_sealed(tmp_path / ".env.age", tmp_path / "bad")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("change", ["cut", "flipped", "other"])
def test_a_file_that_was_changed_is_corrupt(change: str, tmp_path: Path) -> None:
    """Nothing of it is released."""
    identity, public = _age(tmp_path)
    path = tmp_path / ".env.age"
    write_sealed(path, TEXT, _recipients(tmp_path, public))
    rows = path.read_text().splitlines()
    at, bad = len(rows) - 2, "B" if rows[-2][0] == "A" else "A"
    flipped = [*rows[:at], bad + rows[at][1:], *rows[at + 1 :]]
    path.write_text("\n".join({"cut": rows[:3], "flipped": flipped, "other": ["x"]}[change]) + "\n")
    with pytest.raises(Corrupt, match="not what was sealed"):
        read_sealed(path, identity)


def test_what_is_no_text_is_corrupt_and_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    """Another program may have sealed something else, or nothing."""
    identity, public = _age(tmp_path)
    path = tmp_path / ".env.age"
    with pytest.raises(NotFound):
        read_sealed(path, identity)
    path.write_bytes(pyrage.encrypt(b"\xff", [pyrage.x25519.Recipient.from_str(public)]))
    with pytest.raises(Corrupt, match="no text"):
        read_sealed(path, identity)


def test_a_text_of_another_program_is_read_without_armor(tmp_path: Path) -> None:
    """Without being asked for armor, age writes binary files."""
    identity, public = _age(tmp_path)
    path = tmp_path / ".env.age"
    path.write_bytes(pyrage.encrypt(b"A=1\n", [pyrage.x25519.Recipient.from_str(public)]))
    assert reads(read_sealed(path, identity), "A=1\n")
