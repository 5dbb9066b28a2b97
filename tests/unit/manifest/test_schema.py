"""The schema and the reference page say what the models say."""

import json
import re
import tomllib

import pytest
from jsonschema import Draft202012Validator

from keyturn.core.kinds import KINDS, Kind
from keyturn.manifest import load
from keyturn.manifest.outline import options
from keyturn.manifest.reference import expected, fill, marked
from keyturn.manifest.schema import committed_schema, inner_models, manifest_schema, schema_text
from keyturn.manifest.shapes import Table
from tests.unit.manifest.conftest import HERE, SMALL, Write

PAGE = (HERE.parents[2] / "docs" / "manifest.md").read_text(encoding="utf-8")
TITLES = {"stores": "[stores.NAME]", "rotators": "[secrets.NAME]", "consumers": "[consumers.NAME]"}


def test_the_committed_schema_is_the_one_of_the_models() -> None:
    """A changed model without a new schema.json is seen (scripts/manifest_docs.py writes it)."""
    assert committed_schema() == schema_text()


def test_the_schema_is_one_and_takes_what_is_good() -> None:
    """It is valid JSON Schema, and the guide's manifest and the page's examples are valid by it."""
    schema = json.loads(committed_schema())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for text in ((HERE / "guide.toml").read_text(encoding="utf-8"), examples()):
        validator.validate(tomllib.loads(text))


@pytest.mark.parametrize("fault", ["unknown-key", "unknown-kind", "duration", "profile-unknown-place", "name-upper"])
def test_the_schema_refuses_what_is_off_in_shape(fault: str) -> None:
    """An editor sees misspelt keys, kinds, durations and names."""
    validator = Draft202012Validator(json.loads(committed_schema()))
    assert not validator.is_valid(tomllib.loads((HERE / "bad" / f"{fault}.toml").read_text(encoding="utf-8")))
    assert validator.is_valid(tomllib.loads(SMALL))


def test_every_key_is_described() -> None:
    """No key of the schema is without a sentence that ends in a full stop."""
    for name, table in manifest_schema()["$defs"].items():
        assert all(part["description"].endswith(".") for part in table["properties"].values()), name


def test_the_tables_of_the_page_are_those_of_the_models() -> None:
    """All tables have their place on the page, once, and are as the models make them."""
    assert sorted(marked(PAGE)) == sorted(expected())
    assert fill(PAGE) == PAGE


def examples() -> str:
    """All examples of the page, one after the other."""
    return "\n".join(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))


def test_the_examples_of_the_page_are_one_manifest(write: Write) -> None:
    """Each kind has an example, and all of them together are valid."""
    manifest = load(write(examples()))
    shown = {("stores", store.kind) for store in manifest.stores.values()}
    shown |= {("rotators", secret.kind) for secret in manifest.secrets.values()}
    shown |= {("consumers", consumer.kind) for consumer in manifest.consumers.values()}
    assert shown == {(kind.room, kind.name) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.room}-{kind.name}")
def test_the_page_says_what_is_not_built(kind: Kind) -> None:
    """`Not built yet` stands in the section of a kind exactly when no adapter does its work."""
    room = PAGE.partition(f"## {TITLES[kind.room]}")[2].partition("\n## ")[0]
    section = room.partition(f'### kind "{kind.name}"')[2].partition("\n### ")[0]
    assert section
    assert ("Not built yet" in section) == (kind.adapter is None and kind.name != "manual")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.room}-{kind.name}")
def test_each_options_file_reads_its_kind_as_closed_and_frozen_data(kind: Kind) -> None:
    """All tables of all kinds refuse unknown keys and changes, and carry their kind as a literal."""
    model = options(kind.room, kind.name)
    assert model is not None
    for table in (model, *inner_models(model).values()):
        assert issubclass(table, Table)
        assert (table.model_config.get("frozen"), table.model_config.get("extra")) == (True, "forbid")
    assert kind.name in model.model_fields["kind"].annotation.__args__  # type: ignore[union-attr]  # every kind is a Literal


def test_a_kind_that_does_not_exist_has_no_options() -> None:
    """Asking for it gives nothing, and imports nothing."""
    assert options("stores", "os; import") is None
