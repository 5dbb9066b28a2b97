"""The page of the stores says what their code says."""

from scripts.pairs_docs import PAGE, filled


def test_the_tables_are_made_from_the_stores_themselves() -> None:
    """`python -m scripts.pairs_docs` writes them anew; a kind that was built and is not in them is an error."""
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page) == page
    assert page.count("| `local` | `azure-key-vault` |") == 1
