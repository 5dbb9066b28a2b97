"""Every vector of the vault, made anew by `python -m tests.vectors.vault_cases`; the same bytes each time."""

import copy
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.vectors.vault_faults import CELLS, INSIDER, SCHEMAS, SLOTS
from tests.vectors.vault_vector import FOLDER, Vector, dumped, file_of, packed, sha256
from tests.vectors.vault_writer import Draw, Key, Rows, Vault, bundle, key_file, passphrase, recovery

Named = Iterator[tuple[str, Vector]]
TYPED = "Correct Horse, battery staple"
COMPOSED, DECOMPOSED = (
    "gr\u00f6\u00dfte \u00dcbung f\u00fcr Z\u00fcrich",
    "gro\u0308\u00dfte U\u0308bung fu\u0308r Zu\u0308rich",
)


class Made:
    """A vault with two ways in and three versions, its keys, and how it stood after each transaction."""

    def __init__(self, seed: str, opener: Key | None = None) -> None:
        draw = Draw(seed)
        self.draw = draw
        self.file, self.paper = opener or key_file(draw), recovery(draw)
        self.vault = Vault(draw, draw(16).hex(), draw(32))
        self.history: list[tuple[Rows, dict[str, Any]]] = []
        self.vault.add_slot("key-file", self.file)
        self.vault.add_slot("recovery", self.paper)
        self.commit()
        self.vault.add("database", "current", bundle(draw, username="clo_a", password="first-of-the-database"))
        self.commit()
        self.vault.versions[0][5] = "previous"
        self.vault.add("database", "current", bundle(draw, username="clo_b", password="second-of-the-database"))
        self.commit()
        self.vault.add("mail", "pending", bundle(draw, value="only-of-the-mail"))
        self.commit()

    def commit(self) -> None:
        """One transaction, kept in the history."""
        self.vault.commit()
        self.history.append(self.vault.done)

    def vector(  # noqa: PLR0913 - the parts of a vector, all but the first with a default
        self,
        expect: str,
        comment: str,
        *,
        opens_with: Key | None = None,
        rows: Rows | None = None,
        anchor: str | dict[str, Any] | None = None,
        body: tuple[str, ...] | None = None,
        vault_id: str | None = None,
    ) -> Vector:
        """The vault as it stands, with what is given in place of its own."""
        key = opens_with or self.file
        stands = anchor if anchor is not None else self.history[-1][1]
        versions = [row for row in self.vault.versions if row[5] != "retired" or expect == "disabled"]
        return Vector(
            expect,
            comment,
            vault_id or self.vault.id,
            (key.kind, key.text),
            stands if isinstance(stands, str) else json.dumps(stands, sort_keys=True),
            tuple((row[1], row[2], sha256(self.vault.contents[row[2]])) for row in versions),
            body or dumped(rows or self.history[-1][0]),
        )


def successes() -> Named:
    """What a reader must open and read."""
    base = Made("success")
    yield "key-file", base.vector("success", "opened with the key file")
    yield "recovery-code", base.vector("success", "opened with the recovery code", opens_with=base.paper)
    typed = base.paper.text.replace("-", " ").lower().replace("0", "o").replace("1", "l")
    spoken = Key("recovery", base.paper.secret, typed)
    yield "recovery-code-as-typed", base.vector("success", "small letters, blanks, o for 0, l for 1", opens_with=spoken)
    yield from _passphrases()
    yield from _slots()
    kill = "a kill between commit and anchor"
    yield "anchor-one-behind", base.vector("success", kill, anchor=base.history[-2][1])
    empty = Made("success-empty")
    rows, anchor = empty.history[0]
    new = empty.vector("success", "a vault after it was made, without versions", rows=rows, anchor=anchor)
    yield "empty", replace(new, reads=())
    big = Made("success-big")
    big.vault.add(
        "big", "pending", bundle(big.draw, key="k" * 40_000, note='\u00fc\u4e16\U0001f512 "quoted" \\ {braces}')
    )
    big.commit()
    yield "large-and-not-ascii", big.vector("success", "a bundle larger than a page, with characters beyond ASCII")
    retired = Made("retired")
    retired.vault.versions[0][5] = "retired"
    retired.commit()
    yield "retired", retired.vector("disabled", "a retired version is not handed out; the others are")


def _passphrases() -> Named:
    made = Made("success-passphrase")
    words, composed = passphrase(TYPED), passphrase(COMPOSED)
    made.vault.add_slot("alice", words)
    made.vault.add_slot("bob", composed)
    made.commit()
    yield "passphrase", made.vector("success", "opened with the passphrase of the first of two", opens_with=words)
    yield "passphrase-second", made.vector("success", "of the second of two", opens_with=composed)
    apart = passphrase(DECOMPOSED)
    yield "passphrase-decomposed", made.vector("success", "typed in Unicode form NFD; NFC counts", opens_with=apart)
    other = passphrase(TYPED.lower())
    yield "wrong-passphrase-case", made.vector("wrong key", "right but for capital letters", opens_with=other)
    yield "wrong-passphrase", made.vector("wrong key", "another passphrase", opens_with=passphrase("something else"))
    plain = Made("success")
    yield "no-passphrase-slot", plain.vector("wrong key", "a passphrase where no slot is for one", opens_with=words)


def _slots() -> Named:
    made = Made("success-slots")
    other = key_file(made.draw)
    made.vault.add_slot("host-2", other)
    made.commit()
    yield "second-key-file", made.vector("success", "opened with the second of two key files", opens_with=other)
    made.vault.slots.append([9, "token", "pkcs11", "2030-01-01T00:00:00.000Z", "{}", b"", b"", b"", b"", b"", b""])
    made.commit()
    yield "unknown-slot-kind", made.vector("success", "a slot of a kind that this page does not know is left alone")
    made.vault.slots.pop()
    made.commit()
    before = made.history[-1]
    made.vault.rekey(without="host-2")
    made.commit()
    yield "removed-slot-stays-open", made.vector("success", "after a removal, with the key file that stayed")
    yield "removed-slot-recovery", made.vector("success", "after a removal, with the code", opens_with=made.paper)
    yield "removed-slot", made.vector("wrong key", "after a removal, with the key file that went", opens_with=other)
    kill = "a kill between the removal's commit and its anchor: the endorsement shows the former key"
    yield "removed-slot-anchor-behind", made.vector("success", kill, anchor=before[1])
    made.vault.add("more", "pending", bundle(made.draw, value="after-the-removal"))
    made.commit()
    yield "after-a-removal", made.vector("success", "a transaction later the endorsement is empty again")
    yield (
        "removed-and-anchor-two-behind",
        made.vector("rolled back", "an anchor two transactions old", anchor=before[1]),
    )


def wrong_keys() -> Named:
    """The right vault, and something else in hand."""
    base, other = Made("base"), Made("other")
    yield "wrong-key-file", base.vector("wrong key", "another key file", opens_with=other.file)
    yield "wrong-code", base.vector("wrong key", "the code of another vault", opens_with=other.paper)
    near = Key("recovery", b"", base.paper.text[:-1] + ("0" if base.paper.text[-1] != "0" else "2"))
    yield "mistyped-code", base.vector("wrong key", "the last character is another one", opens_with=near)
    yield (
        "file-of-another",
        base.vector(
            "wrong key",
            "the code's bytes as a key file",
            opens_with=Key("key-file", b"", (base.paper.secret + bytes(7)).hex()),
        ),
    )


def substituted() -> Named:
    """Another vault where this one is meant."""
    base = Made("base")
    twin = Made("twin", opener=base.file)
    what = "a whole vault with the same key file, and another id than the pinned one"
    yield "another-vault", base.vector("substituted", what, rows=twin.history[-1][0], anchor=twin.history[-1][1])
    yield "anothers-anchor", base.vector("substituted", "the anchor of another vault", anchor=twin.history[-1][1])
    rows = copy.deepcopy(base.history[-1][0])
    rows["vault"][0][1] = twin.vault.id
    yield "id-edited", base.vector("substituted", "the id was edited, nothing else", rows=rows)
    rows = copy.deepcopy(twin.history[-1][0])
    rows["vault"][0][1] = base.vault.id
    yield "id-claimed", base.vector("wrong key", "another vault, edited to have the pinned id", rows=rows)


def rolled_back() -> Named:
    """Older than what was seen, or not what came after it."""
    base, now = Made("base"), Made("base").history[-1][1]
    for behind in (1, 3):
        rows = base.history[-1 - behind][0]
        yield (
            f"older-by-{behind}",
            base.vector("rolled back", f"{behind} transactions older than the anchor", rows=rows),
        )
    yield "anchor-missing", base.vector("rolled back", "no anchor", anchor="none")
    yield "anchor-two-behind", base.vector("rolled back", "an old anchor put back", anchor=base.history[-3][1])
    edits: dict[str, dict[str, Any]] = {
        "anchor-other-root": {"root": "00" * 32},
        "anchor-other-key": {"key": "00" * 32},
        "anchor-ahead": {"seq": now["seq"] + 1},
    }
    for name, edit in edits.items():
        yield name, base.vector("rolled back", f"the anchor has another {next(iter(edit))}", anchor=now | edit)
    for more in (0, 1):
        branch = Made("base")
        branch.vault.seq -= 1
        for _ in range(more + 1):
            branch.vault.add("mail", "pending", bundle(branch.draw, value="of-another-history"))
            branch.commit()
        what = f"the same vault went on by itself elsewhere, and is {more} transactions further than the anchor"
        yield f"another-history-{more}", base.vector("rolled back", what, rows=branch.history[-1][0])
    yield from _forged()


def _forged() -> Named:
    """Who held a slot that was removed has the former vault key, and writes the next transaction with it."""
    for name, endorse in (("forged-by-former-holder", False), ("forged-with-endorsement", True)):
        made, insider = Made("removal"), Made("removal")
        made.vault.rekey(without="recovery")
        made.commit()
        insider.vault.seq, insider.vault.root = made.vault.seq, made.vault.root
        insider.vault.endorsement = insider.vault.keep("former", bytes(32)) if endorse else b""
        insider.commit()
        what = "written with the vault key from before a removal" + (", with an endorsement made up" if endorse else "")
        yield name, made.vector("rolled back", what, rows=insider.history[-1][0])


def edits() -> Named:
    """One cell, row or table of the file is another one; nobody with a key did it."""
    base = Made("base")
    tables: tuple[tuple[str, dict[str, tuple[str, Callable[[Rows], object]]]], ...] = (
        ("corrupt", CELLS),
        ("bad slot", SLOTS),
    )
    for expect, faults in tables:
        for name, (comment, fault) in faults.items():
            rows = copy.deepcopy(base.history[-1][0])
            fault(rows)
            key = base.paper if name.startswith("kdf-") else base.file
            yield name, base.vector(expect, comment, rows=rows, opens_with=key)
    rows = copy.deepcopy(base.history[-1][0])
    rows["slots"][0][6] = bytes(32)
    yield "slot-commitment", base.vector("wrong key", "the commitment of the slot is another one", rows=rows)
    for name, (comment, body) in SCHEMAS.items():
        yield name, base.vector("corrupt", comment, body=body(base.history[-1][0]))


def insider() -> Named:
    """Whoever had the vault key rewrote something, and made root and anchor fit: what is bound still refuses."""
    for name, (comment, fault) in INSIDER.items():
        made = Made("insider")
        fault(made.vault)
        made.commit()
        expect = "bad slot" if name.startswith("slot-") else "corrupt"
        yield name, made.vector(expect, comment)


def anchors() -> Named:
    """What is not an anchor file."""
    base = Made("base")
    good = base.history[-1][1]
    wrong: dict[str, object] = {
        "format": good | {"format": "keyturn-anchor/2"},
        "seq-text": good | {"seq": str(good["seq"])},
        "seq-boolean": good | {"seq": True},
        "root-number": good | {"root": 5},
        "no-key": {name: value for name, value in good.items() if name != "key"},
        "list": [],
    }
    for name, content in wrong.items():
        yield f"anchor-{name}", base.vector("corrupt", "not an anchor file", anchor=json.dumps(content, sort_keys=True))
    yield "anchor-cut", base.vector("corrupt", "an anchor file that was cut", anchor=json.dumps(good)[:60])


def files() -> Named:
    """The file itself is cut, flipped, or something else."""
    base = Made("base")
    with tempfile.TemporaryDirectory() as folder:
        whole = file_of(base.history[-1][0], Path(folder))
    yield "file-whole", base.vector("success", "the file that the vectors file-* damage", body=packed(whole))
    for length in (0, 15, 100, 512, len(whole) // 2, len(whole) - 512):
        yield f"file-cut-{length}", base.vector("corrupt", f"cut to {length} bytes", body=packed(whole[:length]))
    for what, cell in (
        ("body", base.vault.records[1][4]),
        ("root", base.history[-1][1]["root"]),
        ("state", b"pending"),
    ):
        sought = bytes.fromhex(cell) if isinstance(cell, str) else cell
        at = whole.index(sought)
        flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        yield f"file-flip-{what}", base.vector("corrupt", f"one bit of the {what} is flipped", body=packed(flipped))
    yield "file-magic", base.vector("corrupt", "the first byte is another one", body=packed(b"T" + whole[1:]))
    yield "file-text", base.vector("corrupt", "a text of some length", body=packed(b"not a database\n" * 99))


def every() -> Named:
    """All vectors by name."""
    for cases in (successes, wrong_keys, substituted, rolled_back, edits, insider, anchors, files):
        yield from cases()


def main() -> None:
    """Write all of them."""
    kept = set()
    for name, vector in every():
        path = FOLDER / f"{name}.txt"
        path.write_text(vector.text(), encoding="utf-8")
        kept.add(path)
    for path in set(FOLDER.glob("*.txt")) - kept:
        path.unlink()


if __name__ == "__main__":
    main()
