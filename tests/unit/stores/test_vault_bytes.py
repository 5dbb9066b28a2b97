"""A whole small vault, damaged at every byte: the right content or a refusal, never anything else."""

from pathlib import Path

import pytest

from keyturn.core.errors import AdapterError
from keyturn.core.secret import Bundle
from keyturn.stores.local import LocalVault
from tests.vectors.vault_vector import FOLDER, Vector


class _Small:
    """The vault of the vector `file-whole` (pages of 512 bytes), open."""

    def __init__(self, folder: Path) -> None:
        vector = Vector.parse((FOLDER / "file-whole.txt").read_text(encoding="utf-8"))
        self.path, key_file, anchor = folder / "vault/vault.db", folder / "key", folder / "state/anchor"
        for path in (self.path, key_file, anchor):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.touch(0o600)
        vector.write_vault(self.path)
        self.whole = self.path.read_bytes()
        key_file.write_text(vector.opens_with[1])
        anchor.write_text(vector.anchor)
        self._vault = LocalVault.open(self.path, key_file=key_file, anchor=anchor, vault_id=vector.vault_id)
        self.right = self.content()

    def content(self) -> list[tuple[str, str, str, Bundle]]:
        """All that it says, by one verified snapshot."""
        with self._vault.file.reading() as transaction:
            return [(head.name, head.id, head.state, transaction.content(head)) for head in transaction.heads]

    def refuses(self, content: bytes) -> bool:
        """Whether these bytes in its place are refused. Anything else than the truth fails the test."""
        self.path.with_name("vault.db-journal").unlink(missing_ok=True)
        self.path.write_bytes(content)
        try:
            assert self.content() == self.right
        except AdapterError:
            return True
        return False


@pytest.fixture
def small(tmp_path: Path) -> _Small:
    """That vault in a folder of its own."""
    return _Small(tmp_path)


def test_a_cut_at_every_byte_is_refused(small: _Small) -> None:
    """Every file that is shorter than the vault is refused."""
    assert [length for length in range(len(small.whole)) if not small.refuses(small.whole[:length])] == []
    assert not small.refuses(small.whole)


def test_a_flip_at_every_byte_gives_the_truth_or_a_refusal(small: _Small) -> None:
    """One bit of each byte flipped in turn: what bears on the content is refused, what does not changes nothing."""
    refused = 0
    for at in range(len(small.whole)):
        flipped = bytearray(small.whole)
        flipped[at] ^= 1 << at % 8
        refused += small.refuses(bytes(flipped))
    assert refused > 2000
    assert not small.refuses(small.whole)
