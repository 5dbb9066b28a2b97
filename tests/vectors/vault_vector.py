"""One vector: its text, and the files that it describes (tests/vectors/vault/README.md)."""

import base64
import gzip
import hashlib
import json
import sqlite3
import textwrap
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.vectors.vault_writer import APPLICATION_ID, TABLES, Rows

FOLDER = Path(__file__).parent / "vault"
_PAGE = 512
_SQLITE_VERSION = slice(96, 100)


@dataclass(frozen=True, slots=True)
class Vector:
    """What a vector says. `reads` are (name, version, SHA-256 of the content), `body` the lines after the header."""

    expect: str
    comment: str
    vault_id: str
    opens_with: tuple[str, str]
    anchor: str
    reads: tuple[tuple[str, str, str], ...]
    body: tuple[str, ...]

    def text(self) -> str:
        """As it lies in its file."""
        kind, key = self.opens_with
        header = [
            f"expect: {self.expect}",
            f"comment: {self.comment}",
            f"vault-id: {self.vault_id}",
            f"{kind}: {json.dumps(key)}" if kind == "passphrase" else f"{kind}: {key}",
            f"anchor: {self.anchor}",
            *(f"read: {' '.join(read)}" for read in self.reads),
        ]
        return "\n".join([*header, "", *self.body]) + "\n"

    @classmethod
    def parse(cls, text: str) -> "Vector":
        """The vector of that text."""
        head, _, body = text.partition("\n\n")
        pairs = [line.partition(": ")[::2] for line in head.splitlines()]
        found = dict(pairs)
        kind = next(kind for kind in ("key-file", "recovery", "passphrase") if kind in found)
        reads = [value.split(" ") for name, value in pairs if name == "read"]
        return cls(
            found["expect"],
            found["comment"],
            found["vault-id"],
            (kind, json.loads(found[kind]) if kind == "passphrase" else found[kind]),
            found["anchor"],
            tuple((name, version, digest) for name, version, digest in reads),
            tuple(body.splitlines()),
        )

    def write_vault(self, path: Path) -> None:
        """Put the vault there that the body describes."""
        form, *lines = self.body
        if form == "file":
            path.write_bytes(gzip.decompress(base64.b64decode("".join(lines))))
        else:
            build(path, lines)


def dumped(rows: Rows, tables: tuple[str, ...] = TABLES, application: int = APPLICATION_ID) -> tuple[str, ...]:
    """The body of a vector that lists rows."""
    lines = [
        json.dumps(row, ensure_ascii=False) for row in (["application_id", application], *(["sql", t] for t in tables))
    ]
    lines += [json.dumps([name, *map(_cell, row)], ensure_ascii=False) for name in rows for row in rows[name]]
    return ("rows", *lines)


def packed(content: bytes) -> tuple[str, ...]:
    """The body of a vector that holds the file itself."""
    return ("file", *textwrap.wrap(base64.b64encode(gzip.compress(content, mtime=0)).decode(), 100))


def file_of(rows: Rows, folder: Path) -> bytes:
    """The bytes of the SQLite file with those rows, with small pages and without the number of who wrote it."""
    path = folder / "vault.db"
    path.unlink(missing_ok=True)
    build(path, list(dumped(rows)[1:]), page=_PAGE)
    content = bytearray(path.read_bytes())
    content[_SQLITE_VERSION] = bytes(4)
    return bytes(content)


def build(path: Path, lines: list[str], page: int = 4096) -> None:
    """Make a SQLite file of the lines of a `rows` body."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"PRAGMA page_size = {page}")
        for table, *cells in map(json.loads, lines):
            if table == "sql":
                database.execute(cells[0])
            elif table == "application_id":
                database.execute(f"PRAGMA application_id = {cells[0]}")
            else:
                marks = ", ".join("CAST(? AS TEXT)" if _is_raw_text(cell) else "?" for cell in cells)
                insert = f"INSERT INTO {table} VALUES ({marks})"  # noqa: S608 - our own names
                database.execute(insert, [_value(cell) for cell in cells])


def sha256(content: bytes) -> str:
    """As hex."""
    return hashlib.sha256(content).hexdigest()


def _is_raw_text(cell: object) -> bool:
    return isinstance(cell, dict) and "text" in cell


def _cell(value: object) -> object:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _value(cell: Any) -> Any:
    return bytes.fromhex(next(iter(cell.values()))) if isinstance(cell, dict) else cell
