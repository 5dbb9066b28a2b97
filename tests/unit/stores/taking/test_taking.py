"""What is read of the files that a team has before it has Keyturn."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.errors import AdapterError, Conflict, Corrupt, Denied, NotFound, TooLarge
from keyturn.core.secret import MAX_FIELD_BYTES, SecretValue
from keyturn.stores.taking import Entry, Found, Refusal, follow_files, pem, read_directory, read_env, read_secret_file
from tests.values import reads

CANARY = "canary-0c9d1e"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
LOCKED = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n"
LOCKED += "-----END RSA PRIVATE KEY-----\n"


def _env(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def _one(found: Found) -> Entry:
    (entry,) = found.entries
    assert not found.refused
    return entry


def test_an_env_file_gives_each_variable_with_its_line(tmp_path: Path) -> None:
    """Source, line and key are told, values are held, and what programs read differently is noted."""
    path = _env(tmp_path / ".env", f"# c\nexport A='{CANARY}' # d\n\nB=b c\n")
    first, second = read_env(path).entries
    assert [(one.source, one.line, one.key) for one in (first, second)] == [(path, 2, "A"), (path, 4, "B")]
    assert reads(first.value, CANARY)
    assert (first.note, second.note) == ("", "a shell reads it differently")
    assert CANARY not in f"{first!r}{first}"


def test_lines_without_a_sure_value_are_refused_by_name(tmp_path: Path) -> None:
    """Each with its line and a remedy; of a key that stands there twice neither value is taken."""
    path = _env(tmp_path / ".env", f"A=${CANARY}\nB=1\n{CANARY} x\nB=2\nC='{CANARY}\n")
    found = read_env(path)
    assert not found.entries
    assert [(one.line, one.key) for one in found.refused] == [(1, "A"), (2, "B"), (3, ""), (4, "B"), (5, "C")]
    assert "lines 2 and 4" in found.refused[1].reason
    assert all(one.remedy for one in found.refused)
    assert CANARY not in repr(found)


def test_values_that_no_bundle_could_hold_are_refused(tmp_path: Path) -> None:
    """A line break outside of PEM text, and too many bytes."""
    path = _env(tmp_path / ".env", f"A='{CANARY}\nb'\nB='{CANARY}{'x' * MAX_FIELD_BYTES}'\nC='{KEY}'\n")
    found = read_env(path)
    assert [one.key for one in found.refused] == ["A", "B"]
    assert found.entries[0].pem is not None
    assert CANARY not in repr(found)


READS: dict[str, Callable[[Path], object]] = {"env": read_env, "directory": read_directory}


@pytest.mark.parametrize("what", READS)
def test_a_source_that_cannot_be_read_is_an_error(what: str, tmp_path: Path) -> None:
    """One that is not there, and one that is a link."""
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir()
    for name, error in (("none", NotFound), ("link", Denied)):
        with pytest.raises(error):
            READS[what](tmp_path / name)


def test_an_env_file_that_is_no_text_or_too_long_is_an_error(tmp_path: Path) -> None:
    """Named by its path."""
    (tmp_path / "binary").write_bytes(b"A=\xff")
    (tmp_path / "long").write_bytes(b"#" * (8 * 1024 * 1024 + 1))
    for name, error in (("binary", Corrupt), ("long", TooLarge)):
        with pytest.raises(error, match=name):
            read_env(tmp_path / name)


CONTENTS = {
    b"x": ("x", ""),
    b"x\n": ("x", "one line break"),
    b" x \t": None,
    b" x ": (" x ", ""),
    b"x\n\n": None,
    b"x\r\n": None,
    b"": ("", ""),
    b"\n": ("", "one line break"),
    KEY.encode(): (KEY, ""),
    b"\xff": None,
    b"a\0b": None,
    b"\xef\xbb\xbfx\n": None,
    b"\xef\xbb\xbf" + KEY.encode(): None,
    b"x" * MAX_FIELD_BYTES + b"\n": ("x" * MAX_FIELD_BYTES, "one line break"),
    b"x" * (MAX_FIELD_BYTES + 1): None,
    b"x" * (MAX_FIELD_BYTES + 2): None,
}


@pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
def test_exactly_one_line_break_is_stripped_and_told(content: bytes, tmp_path: Path) -> None:
    """One at the end of a value, none of PEM text; what is left must be a value, or it is refused by name."""
    path = tmp_path / "database_url"
    path.write_bytes(content)
    item, expected = read_secret_file(path), CONTENTS[content]
    assert (item.source, item.line, item.key) == (path, None, "database_url")
    if expected is None:
        assert isinstance(item, Refusal)
        return
    assert isinstance(item, Entry)
    assert reads(item.value, expected[0])
    assert item.stripped == expected[1]


@given(st.binary(max_size=40))
def test_what_a_file_holds_comes_back_but_for_one_line_break(content: bytes) -> None:
    """Whatever the bytes are: the value with what was stripped is the file, or it is refused."""
    path = Path(f"/dev/shm/keyturn-test-{os.getpid()}")  # noqa: S108 - in memory, and removed below
    try:
        path.write_bytes(content)
        item = read_secret_file(path)
        if isinstance(item, Entry):
            assert reads(item.value, content.decode().removesuffix("\n") if item.stripped else content.decode())
    finally:
        path.unlink()


def test_a_directory_gives_one_entry_for_each_file(tmp_path: Path) -> None:
    """In the order of their names; what is no plain file is refused by name."""
    for name in ("database_url", "ssl-cert.pem", ".hidden"):
        (tmp_path / name).write_text(CERTIFICATE if name.endswith("pem") else "x\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("database_url")
    os.mkfifo(tmp_path / "pipe")
    found = read_directory(tmp_path)
    assert [(one.key, one.stripped) for one in found.entries] == [
        ("database_url", "one line break"),
        ("ssl-cert.pem", ""),
    ]
    assert [one.key for one in found.refused] == [".hidden", "link", "pipe", "sub"]
    assert all(one.reason for one in found.refused)


def _volume(path: Path, values: dict[str, str]) -> None:
    """As the kubelet lays it out."""
    generation = path / "..2026_11_24_02_00_00.123456789"
    generation.mkdir()
    for name, value in values.items():
        (generation / name).write_text(value)
        (path / name).symlink_to(f"..data/{name}")
    (path / "..data").symlink_to(generation.name)


def test_a_kubernetes_volume_is_read_through_its_own_link(tmp_path: Path) -> None:
    """Each key is one entry under the path that programs read; `..data` and its directories are none."""
    _volume(tmp_path, {"database-url": "x\n", "token": "y"})
    (tmp_path / "plain").write_text("z")
    (tmp_path / "other").symlink_to("/etc/passwd")
    (tmp_path / "gone").symlink_to("..data/gone")
    found = read_directory(tmp_path)
    assert [(one.key, one.source, one.stripped) for one in found.entries] == [
        ("database-url", tmp_path / "database-url", "one line break"),
        ("plain", tmp_path / "plain", ""),
        ("token", tmp_path / "token", ""),
    ]
    assert [one.key for one in found.refused] == ["gone", "other"]


@pytest.mark.parametrize("target", ["/etc", "../x", "..", ".", "..a/../../etc"])
def test_a_volume_whose_link_leads_out_is_refused(target: str, tmp_path: Path) -> None:
    """`..data` names a directory beside it, and nothing else."""
    (tmp_path / "..data").symlink_to(target)
    with pytest.raises(Conflict, match="leads out"):
        read_directory(tmp_path)


def _key(how: KeySerializationEncryption, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, form, how).decode()


PUBLIC = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
PEMS = {
    "certificate": CERTIFICATE,
    "chain": CERTIFICATE + "\n" + CERTIFICATE,
    "private-key": _key(NoEncryption()),
    "private-key of EC": _key(NoEncryption(), PrivateFormat.TraditionalOpenSSL),
    "private-key of OpenSSH": _key(NoEncryption(), PrivateFormat.OpenSSH),
    "private-key with CRLF": KEY.replace("\n", "\r\n"),
    "private-key without an end of line": KEY.rstrip(),
    "encrypted-private-key": _key(BestAvailableEncryption(b"x")),
    "encrypted-private-key of old": LOCKED,
    "public-key": generate_private_key(SECP256R1()).public_key().public_bytes(*PUBLIC).decode(),
    "key-and-certificates": KEY + CERTIFICATE,
    "other": "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    "other with two keys": KEY + KEY,
}


@pytest.mark.parametrize("name", PEMS)
def test_pem_text_is_recognised_by_its_content(name: str) -> None:
    """Certificate, chain, keys in all their forms, and both together."""
    found = pem(SecretValue(PEMS[name]))
    assert found is not None
    assert found.kind == name.partition(" ")[0]


@pytest.mark.parametrize(
    "text", ["", "x", CERTIFICATE + "x", "x\n" + CERTIFICATE, CERTIFICATE[:-10], CERTIFICATE.replace("AAAA", "A%")]
)
def test_what_is_not_whole_is_no_pem_text(text: str) -> None:
    """Text around it, an end that is missing, bytes that are no base64."""
    assert pem(SecretValue(text)) is None


def _follow(tmp_path: Path, text: str) -> Found:
    return follow_files(read_env(_env(tmp_path / ".env", text)), tmp_path / "root")


def test_variables_that_name_a_file_are_replaced_by_what_it_holds(tmp_path: Path) -> None:
    """Absolute paths begin at the root that was given, and the source is the file."""
    file = tmp_path / "root" / "run" / "secrets" / "database_url"
    file.parent.mkdir(parents=True)
    file.write_text(f"{CANARY}\n")
    for path in ("/run/secrets/database_url", "run/./secrets/database_url"):
        entry = _one(_follow(tmp_path, f"DATABASE_URL_FILE={path}\n"))
        assert (entry.key, entry.source, entry.line, entry.stripped) == ("DATABASE_URL", file, None, "one line break")
        assert reads(entry.value, CANARY)
    assert [one.key for one in _follow(tmp_path, "A=1\n_FILE=2\n").entries] == ["A", "_FILE"]


BAD_PATHS = {
    "not there": "none",
    "a link": "link",
    "below a link": "way/secret",
    "out": "../secret",
    "nothing": "",
    "root": "/",
    "the value itself": CANARY,
    "no name": "x" * 300,
    "a directory": "sub",
    "binary": "binary",
    "below a file": "binary/x",
    "long": "long",
}


@pytest.mark.parametrize("name", BAD_PATHS)
def test_a_path_that_leads_nowhere_is_refused_and_not_shown(name: str, tmp_path: Path) -> None:
    """The refusal names the variable and its line; a value in the place of a path is in no message."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "secret").write_text("x")
    (root / "link").symlink_to("sub/secret")
    (root / "way").symlink_to("sub")
    (root / "binary").write_bytes(b"\xff")
    (root / "long").write_bytes(b"x" * (MAX_FIELD_BYTES + 2))
    found = _follow(tmp_path, f"A_FILE={BAD_PATHS[name]}\n")
    (refusal,) = found.refused
    assert not found.entries
    assert (refusal.source, refusal.line, refusal.key) == (tmp_path / ".env", 1, "A_FILE")
    assert not re.search(f"{CANARY}|root", f"{refusal.reason}{refusal.remedy}".replace("below the root", ""))


def test_a_variable_that_is_set_both_ways_is_refused(tmp_path: Path) -> None:
    """Nobody can tell which one the program takes, also where the plain one has no sure value."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "x").write_text("y")
    for plain in ("A=$x", "A = 1"):
        both = _follow(tmp_path, f"{plain}\nA_FILE=x\n")
        assert (both.entries, [one.key for one in both.refused]) == ((), ["A", "A_FILE"])
    found = _follow(tmp_path, "A=1\nA_FILE=x\n")
    assert "both set" in found.refused[0].reason
    assert [one.key for one in found.entries] == ["A"]


def test_what_was_refused_before_stays_refused(tmp_path: Path) -> None:
    """Following files forgets nothing, and a root that is not there is an error."""
    (tmp_path / "root").mkdir()
    assert [one.key for one in _follow(tmp_path, "B=$x\nA_FILE=y\n").refused] == ["B", "A_FILE"]
    with pytest.raises(AdapterError):
        follow_files(Found(), tmp_path / "none")
