"""Write the tables of docs/stores/README.md from what the stores say of themselves."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from keyturn.core.errors import KeyturnError
from keyturn.core.kinds import KINDS
from keyturn.core.secret import check_name
from keyturn.manifest.kinds import azure_key_vault, env_file, files_store, local
from keyturn.manifest.store import StoreTable
from keyturn.rotation.copying import Nature, terms
from keyturn.stores.azure_key_vault.names import check_name as check_vault_name
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.stores.local import LocalVault
from keyturn.stores.plain import PlainStore
from keyturn.stores.plain.names import ALONE, files, variables

PAGE = Path(__file__).resolve().parent.parent / "docs/stores/README.md"
BEGIN, END = "<!-- made by `python -m scripts.pairs_docs`: begin -->\n", "<!-- made: end -->\n"
SAMPLES = ("database-url", "DATABASE-URL", "DATABASE_URL", "ssl-cert.pem", "a--b", "a" * 64, "a" * 120)


@dataclass(frozen=True, slots=True)
class Column:
    """One kind of store, as its code has it."""

    nature: Nature
    table: type[StoreTable]
    takes: Callable[[str], object]


COLUMNS = {
    "local": Column(LocalVault, local.Options, check_name),
    "azure-key-vault": Column(AzureKeyVault, azure_key_vault.Options, check_vault_name),
    "files": Column(PlainStore, files_store.Options, lambda name: files(name, ALONE)),
    "env-file": Column(PlainStore, env_file.Options, lambda name: variables(name, ALONE)),
}


def tables() -> str:
    """Both tables: what each kind holds, and what each pair carries otherwise."""
    built = {kind.name for kind in KINDS if kind.room == "stores" and kind.adapter is not None}
    if built != set(COLUMNS):
        raise ValueError(f"the stores are {sorted(built)}, and the tables know {sorted(COLUMNS)}")
    head = "| kind | largest bundle, bytes | compare-and-swap | values in the clear | takes the names | refuses |\n"
    kinds = "".join(f"{_kind(name, column)}\n" for name, column in COLUMNS.items())
    pairs = "".join(
        f"| `{source}` | `{target}` | {'; '.join(_terms(source, target))} |\n"
        for source, target in permutations(COLUMNS, 2)
    )
    return (
        f"{head}| --- | --- | --- | --- | --- | --- |\n{kinds}\n"
        f"| from | to | is not as it was |\n| --- | --- | --- |\n{pairs}"
    )


def _terms(source: str, target: str) -> tuple[str, ...]:
    one, other = COLUMNS[source], COLUMNS[target]
    names = [_short(name) for name in SAMPLES if _takes(one, name) and not _takes(other, name)]
    lines = terms(one.nature, other.nature, clear=other.table.only_dev)
    return (*lines[:-1], *((f"other names are needed for {', '.join(names)}",) if names else ()), lines[-1])


def _kind(name: str, column: Column) -> str:
    yes = {True: "yes", False: "no"}
    taken = [_short(sample) for sample in SAMPLES if _takes(column, sample)]
    refused = [_short(sample) for sample in SAMPLES if not _takes(column, sample)]
    facts = (f"{column.nature.max_bytes:,}", yes[column.nature.cas], yes[column.table.only_dev])
    return f"| `{name}` | {' | '.join(facts)} | {', '.join(taken)} | {', '.join(refused)} |"


def _takes(column: Column, name: str) -> bool:
    try:
        column.takes(name)
    except KeyturnError:
        return False
    return True


def _short(name: str) -> str:
    return f"`{name}`" if len(name) < 60 else f"{len(name)} letters"  # noqa: PLR2004 - what fits into a table


def filled(page: str) -> str:
    """The page with both tables made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def main() -> int:
    """Write the page; a test says when that is due."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
