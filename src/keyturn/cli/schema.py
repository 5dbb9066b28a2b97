"""`keyturn schema`: the manifest's JSON Schema."""

import json

from keyturn.cli.answer import Answer, Json, answering
from keyturn.manifest.schema import committed_schema


def command(*, as_json: Json = False) -> None:
    """Print the JSON Schema of keyturn.toml."""

    def work() -> Answer:
        text = committed_schema()
        return Answer({"schema": json.loads(text)}, raw=text)

    answering("schema", as_json, work)
