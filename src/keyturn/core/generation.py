"""What lies in a bundle directory: one generation of all that one consumer may read.

Keyturn writes it, `keyturn.client` reads it (docs/formats/bundle.md).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from keyturn.core import strict_json
from keyturn.core.secret import FIELD, NAME

INDEX = "index.json"
CHALLENGE = "challenge"
SCHEMA = "keyturn/bundle/1"
CHALLENGE_SCHEMA = "keyturn/challenge/1"
MAX_INDEX_BYTES = 1024 * 1024
MAX_CHALLENGE_BYTES = 4096
MAX_VIEW_BYTES = 1024 * 1024
_NONCE = re.compile(r"[0-9a-f]{32,128}\Z")
_VERSION = re.compile(r"[\x21-\x7e]{1,200}\Z")


def field_file(secret: str, field: str) -> str:
    """The file that holds this field, without a line break at its end."""
    return f"{secret}.{field}"


def proof_key_file(secret: str) -> str:
    """The file that holds the proof key of the version, as hex. No field has a hyphen in its name."""
    return f"{secret}.proof-key"


@dataclass(frozen=True, slots=True)
class Entry:
    """One secret in a generation. `fence`: journal sequence number of the delivery that put it there."""

    version: str
    fence: int
    fields: tuple[str, ...]
    published: tuple[str, ...]

    def files(self, secret: str) -> tuple[str, ...]:
        """All files of this secret."""
        return (*(field_file(secret, field) for field in self.fields), proof_key_file(secret), *self.published)


@dataclass(frozen=True, slots=True)
class Index:
    """The list of contents of one generation."""

    service: str
    environment: str
    consumer: str
    secrets: Mapping[str, Entry]

    def dump(self) -> bytes:
        """As it is written to `index.json`."""
        secrets = {
            name: {
                "version": entry.version,
                "fence": entry.fence,
                "fields": list(entry.fields),
                "published": list(entry.published),
            }
            for name, entry in self.secrets.items()
        }
        head = {"service": self.service, "environment": self.environment, "consumer": self.consumer}
        return strict_json.dump({"schema": SCHEMA, **head, "secrets": secrets})

    @classmethod
    def parse(cls, text: bytes) -> "Index":
        """The index that `dump` wrote.

        Raises:
            ValueError: another schema or shape; says which part.
        """
        shape: dict[str, type | tuple[type, ...]] = {"service": str, "environment": str, "consumer": str}
        content = strict_json.exactly(strict_json.load(text), {"schema": str, **shape, "secrets": dict})
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema is not {SCHEMA}")
        secrets = {name: _entry(name, entry) for name, entry in content["secrets"].items()}
        return cls(content["service"], content["environment"], content["consumer"], secrets)


def _entry(name: str, content: object) -> Entry:
    shape: dict[str, type] = {"version": str, "fence": int, "fields": list, "published": list}
    entry = strict_json.exactly(content, shape)
    if not NAME.match(name):
        raise ValueError("a secret's name is not a name")
    if not all(type(field) is str and FIELD.match(field) for field in entry["fields"]):
        raise ValueError("a field's name is not a name")
    if not all(type(view) is str and NAME.match(view) for view in entry["published"]):
        raise ValueError("a published name is not a name")
    return Entry(version(entry["version"]), entry["fence"], tuple(entry["fields"]), tuple(entry["published"]))


def version(text: str) -> str:
    """`text`, if it can be the id of a version: 1 to 200 visible ASCII characters.

    Raises:
        ValueError: it cannot.
    """
    if not _VERSION.match(text):
        raise ValueError("a version id has characters that no version id has")
    return text


def nonce(text: str) -> str:
    """`text`, if it can be a nonce: 32 to 128 hex digits.

    Raises:
        ValueError: it cannot.
    """
    if not _NONCE.match(text):
        raise ValueError("a nonce is 32 to 128 hex digits")
    return text


@dataclass(frozen=True, slots=True)
class Challenge:
    """Keyturn's question to all instances: answer with a proof under this nonce.

    Attributes:
        nonce: hex.
        generation: name of the generation directory it was asked about.
        made: when (RFC 3339).
        previous: the nonce before it, about the same generation; empty when there was none.
    """

    nonce: str
    generation: str
    made: str
    previous: str = ""

    def dump(self) -> bytes:
        """As it is written to `challenge`."""
        rest = {"generation": self.generation, "made": self.made, "previous": self.previous}
        return strict_json.dump({"schema": CHALLENGE_SCHEMA, "nonce": self.nonce, **rest})

    @classmethod
    def parse(cls, text: bytes) -> "Challenge":
        """The challenge that `dump` wrote.

        Raises:
            ValueError: another schema or shape.
        """
        shape: dict[str, type] = {"schema": str, "nonce": str, "generation": str, "made": str, "previous": str}
        content = strict_json.exactly(strict_json.load(text), shape)
        if content["schema"] != CHALLENGE_SCHEMA:
            raise ValueError(f"schema is not {CHALLENGE_SCHEMA}")
        previous = nonce(content["previous"]) if content["previous"] else ""
        return cls(nonce(content["nonce"]), content["generation"], content["made"], previous)
