"""`keyturn vault`: who can open the vaults, in both of them, whatever happens on the way."""

import hashlib
import os
import shutil
import signal
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from keyturn.cli.vault_slots import opened, remove, slots
from keyturn.core.errors import Denied, NotFound
from keyturn.core.secret import SecretValue
from keyturn.manifest import load
from keyturn.stores.local import Keyring
from keyturn.wiring import Assembly, assemble
from tests.cli.conftest import Keyturn
from tests.unit.stores.underneath import Counter, die, underneath

WORDS = b"correct horse battery staple"
VALUE = "a-value-of-the-mail"


@pytest.fixture
def kept(begun: Keyturn) -> Keyturn:
    """An installation with one secret in its vault."""
    (begun.folder / "value").write_text(VALUE)
    assert begun("set", "smtp", "username=@value", "password=@value").status == 0
    return begun


def _names(keyturn: Keyturn) -> list[str]:
    return [slot["slot"] for slot in keyturn.document("vault", "slots")["data"]["slots"]]


def _reads(keyturn: Keyturn) -> bool:
    said = keyturn("get", "smtp.password", "--reveal", "--reason", "a test")
    return said.status == 0 and said.out == VALUE


def _reasons(keyturn: Keyturn) -> set[str]:
    said = keyturn("doctor", "--json")
    return {finding["reason"] for finding in said.document["findings"]}


def _assembly(keyturn: Keyturn) -> Assembly:
    return assemble(load(keyturn.manifest or keyturn.folder))


def _use(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setenv("KEYTURN_VAULT_KEY_FILE", str(path))


def _files(keyturn: Keyturn) -> bytes:
    state = keyturn.folder / ".keyturn"
    names = ("vault.db", "vault.anchor", "state-vault.db", "state-vault.anchor")
    return hashlib.sha256(b"".join((state / name).read_bytes() for name in names)).digest()


def test_slots_are_listed_with_the_one_in_use(kept: Keyturn) -> None:
    """Both vaults have a key file slot, which is in use, and a recovery slot."""
    listed = kept.document("vault", "slots")["data"]["slots"]
    assert [(slot["slot"], slot["kind"], slot["used"]) for slot in listed] == [
        ("key-file", "key-file", True),
        ("recovery", "recovery", False),
    ]
    assert all(slot["vaults"] == ["main", "keyturn-self"] for slot in listed)
    assert "(in use)" in kept("vault", "slots").out


def test_a_passphrase_brings_back_what_the_key_file_opened(kept: Keyturn) -> None:
    """It is taken from stdin, opens both vaults to a new key file, and doctor said that nothing ran unattended."""
    data = kept.document("vault", "add-passphrase", "alice", "-", stdin=WORDS)["data"]
    assert data == {"slot": "alice", "kind": "passphrase", "vaults": ["main", "keyturn-self"]}
    key_file = kept.folder / ".keyturn/vault.key"
    key_file.unlink()
    assert "slots-attended" in _reasons(kept)
    recovered = kept.document("vault", "recover", "--passphrase", "-", stdin=WORDS)["data"]
    assert recovered == {"vaults": ["main", "keyturn-self"], "kind": "passphrase", "key_file": str(key_file)}
    assert _reads(kept)
    assert not {"slots-attended", "slots-differ"} & _reasons(kept)
    assert _names(kept) == ["recovery", "alice", "key-file"]


def test_the_recovery_code_does_so_too(kept: Keyturn) -> None:
    """From the file that `init` wrote."""
    (kept.folder / ".keyturn/vault.key").unlink()
    assert kept.document("vault", "recover", "@recovery")["data"]["kind"] == "recovery"
    assert _reads(kept)


def test_a_wrong_passphrase_changes_no_vault(kept: Keyturn) -> None:
    """It exits 3 with one line of what and one of what now; no byte of either vault or anchor changes."""
    kept("vault", "add-passphrase", "alice", "-", stdin=WORDS)
    before = _files(kept)
    said = kept("vault", "recover", "--passphrase", "-", stdin=b"correct horse battery")
    assert said.status == 3
    assert said.err.splitlines()[-2].startswith("error: the passphrase does not open this vault")
    assert said.err.splitlines()[-1].startswith("now: ")
    assert _files(kept) == before


def test_nothing_that_opens_a_vault_is_typed_on_a_command_line(kept: Keyturn) -> None:
    """A passphrase as a word exits 2 and is not repeated; a prompt without a terminal exits 2 as well."""
    for words in (("add-passphrase", "alice"), ("recover", "--passphrase"), ("recover",)):
        said = kept("vault", *words, WORDS.decode())
        assert (said.status, WORDS.decode() in said.out + said.err) == (2, False)
        said = kept("vault", *words)
        assert said.status == 2
        assert "@FILE or -" in said.err
    assert kept("vault", "add-recovery", "paper").status == 2
    assert kept("vault", "add-passphrase", "alice", "-", stdin=b"short").status == 2
    assert kept("vault", "add-passphrase", "Alice", "-", stdin=WORDS).status == 2
    assert _names(kept) == ["key-file", "recovery"]


def test_the_key_file_is_changed_in_three_steps(kept: Keyturn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add one, point at it, remove the former: which is refused as long as it is the one in use."""
    new = kept.folder / "new.key"
    assert kept.document("vault", "add-key-file", "host-2", new)["data"]["kind"] == "key-file"
    refused = kept.document("vault", "remove", "key-file", status=5)
    assert "in use" in refused["error"]["message"]
    _use(monkeypatch, new)
    removed = kept.document("vault", "remove", "key-file")
    assert removed["data"]["exposed"] == ["smtp"]
    assert _reads(kept)
    _use(monkeypatch, kept.folder / ".keyturn/vault.key")
    assert kept("vault", "slots").status == 3


def test_a_removal_names_what_has_to_be_rotated_until_it_was(kept: Keyturn) -> None:
    """The command and doctor name the secret that the slot opened; a new value ends that."""
    kept("vault", "add-passphrase", "bob", "-", stdin=WORDS)
    removed = kept.document("vault", "remove", "bob")
    assert [(one["reason"], one["subject"], one["remedy"]) for one in removed["findings"]] == [
        ("slot-exposed", "smtp", "keyturn set smtp")
    ]
    assert "slot-exposed" in _reasons(kept)
    kept("set", "smtp", "username=@value", "password=@value")
    assert "slot-exposed" not in _reasons(kept)
    assert kept("vault", "recover", "--passphrase", "-", stdin=WORDS).status == 3
    assert _reads(kept)


def test_a_slot_that_is_not_there_is_not_found(kept: Keyturn) -> None:
    """Exit 3, also for one that was removed before."""
    assert kept.document("vault", "remove", "nobody", status=3)["error"]["code"] == "not-found"
    kept("vault", "remove", "recovery")
    assert kept.document("vault", "remove", "recovery", status=3)["error"]["code"] == "not-found"
    assert "slots-no-way-back" in _reasons(kept)


def test_a_second_code_is_written_where_it_is_asked_for(kept: Keyturn) -> None:
    """Into a file of ours alone; it opens the vaults, and the first one can be removed."""
    kept.document("vault", "add-recovery", "paper-2", "--recovery-file", kept.folder / "second")
    assert (kept.folder / "second").stat().st_mode & 0o777 == 0o600
    kept("vault", "remove", "recovery")
    (kept.folder / ".keyturn/vault.key").unlink()
    assert kept("vault", "recover", "@recovery").status == 3
    assert kept("vault", "recover", "@second").status == 0
    assert _reads(kept)


def test_every_change_is_in_the_journal_without_what_opens(kept: Keyturn) -> None:
    """Announced and confirmed, with names and kinds only."""
    kept("vault", "add-passphrase", "alice", "-", stdin=WORDS)
    kept("vault", "remove", "alice")
    kept("vault", "recover", "@recovery")
    records = kept.document("audit", "show", "system")["data"]["records"]
    assert [record["kind"] for record in records if record["kind"].startswith("vault.")] == [
        "vault.self_created",
        "vault.slot_adding",
        "vault.slot_added",
        "vault.slot_removing",
        "vault.slot_removed",
        "vault.recovering",
        "vault.recovered",
    ]
    assert WORDS not in (kept.folder / ".keyturn/journal.db").read_bytes()


def test_an_addition_that_was_cut_off_is_found_and_finished(kept: Keyturn) -> None:
    """A slot in one vault only is a finding, `slots` says where it is, and the same command again mends it."""
    assembly = _assembly(kept)
    Keyring(opened(assembly)["main"]).add("alice", "passphrase", SecretValue(WORDS.decode()))
    assembly.close()
    assert "slots-differ" in _reasons(kept)
    assert "only in main" in kept("vault", "slots").out
    assert kept("vault", "add-passphrase", "alice", "-", stdin=WORDS).status == 0
    assert "slots-differ" not in _reasons(kept)


def _ways(assembly: Assembly) -> dict[str, int]:
    """Each slot, and how many vaults it opens."""
    return {row.slot.name: len(row.vaults) for row in slots(assembly)}


def test_a_removal_killed_anywhere_leaves_vaults_that_open(
    kept: Keyturn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at sampled calls in vaults and journal: the key file opens all, and the same command finishes."""
    state, template, gone = kept.folder / ".keyturn", tmp_path / "template", kept.folder / "gone.key"
    kept("vault", "add-key-file", "gone", gone)
    shutil.copytree(state, template)
    found = list[dict[str, int]]()
    for at in count(1, 9):
        shutil.rmtree(state)
        shutil.copytree(template, state)
        child = os.fork()
        if not child:
            assembly = _assembly(kept)
            with underneath(Counter(at, die), monkeypatch):
                remove(assembly, "gone")
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if not status:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        assembly = _assembly(kept)
        found.append(_ways(assembly))
        with suppress(NotFound):  # killed before the first record of it, or after the last
            remove(assembly, "gone")
        assert _ways(assembly) == {"key-file": 2, "recovery": 2}
        assembly.close()
        _use(monkeypatch, gone)
        with pytest.raises(Denied):
            slots(_assembly(kept))
        _use(monkeypatch, state / "vault.key")
    assert [ways.get("gone", 0) for ways in found] == sorted((ways.get("gone", 0) for ways in found), reverse=True)
    assert {ways.get("gone", 0) for ways in found} == {2, 1, 0}
    assert _reads(kept)
