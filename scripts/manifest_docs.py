"""Write what is made from the manifest's models: schema.json and the tables of keys in docs/manifest.md."""

from pathlib import Path

from keyturn.manifest.reference import fill
from keyturn.manifest.schema import schema_text

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Make both anew; the tests say when that is due."""
    (ROOT / "src/keyturn/manifest/schema.json").write_text(schema_text(), encoding="utf-8")
    page = ROOT / "docs/manifest.md"
    page.write_text(fill(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
