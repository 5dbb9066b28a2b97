"""A value that does not leak by accident, and the bundle of values that are versioned as one."""

import json
import os
import re
from _operator import _compare_digest as compare_digest  # what `hmac` has, without loading OpenSSL for it
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NoReturn

from keyturn.core import strict_json
from keyturn.core.errors import UsageError

MASK = "••••••"
NAME = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
FIELD = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
PROOF_KEY_BYTES = 32
_PROOF_KEY = re.compile(rf"[0-9a-f]{{{2 * PROOF_KEY_BYTES}}}\Z")
MAX_FIELD_BYTES = 64 * 1024


class SecretValue:
    """Text that must not be seen. `reveal()` is the only way out.

    repr, str, format and logging show a mask; json, pickle, copy and hash refuse; equality takes
    the same time for every pair of equal length.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Use the call as a direct argument, never keep what it returns."""
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        return compare_digest(_encoded(self._text), _encoded(other._text))

    def __hash__(self) -> NoReturn:
        raise TypeError("a secret value cannot be hashed")

    def __repr__(self) -> str:
        return f"SecretValue({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret value cannot be pickled or copied")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret value cannot be pickled or copied")

    def __bool__(self) -> bool:
        return bool(self._text)


def _encoded(text: str) -> bytes:
    """A lone surrogate is no UTF-8, and the error would carry the whole text with it."""
    return text.encode("utf-8", "surrogatepass")


def check_name(name: str) -> str:
    """`name`, if it may name a secret, consumer or published view.

    Raises:
        UsageError: not `[a-z][a-z0-9-]{0,62}`, or with `--` in it.
    """
    if not NAME.match(name) or "--" in name:
        raise UsageError(f"{name!r:.80} is not a name", "use a-z, 0-9 and single hyphens, at most 63")
    return name


def check_text(text: str) -> None:
    r"""Refuse what some target would silently cut or misread.

    NUL ends a string inside libpq (a password `a\0b` becomes `a`), and other control characters
    break headers, files and URLs. A line break is legal only inside PEM text.

    Raises:
        UsageError: names the kind of character, never the text.
    """
    if len(_encoded(text)) > MAX_FIELD_BYTES:
        raise UsageError(f"a value is longer than {MAX_FIELD_BYTES} bytes")
    if "\0" in text:
        raise UsageError("a value holds a NUL character", "remove it: programs would cut the value there")
    rest = re.sub("[\r\n]", "", text) if text.startswith("-----BEGIN ") else text
    if re.search("[\r\n]", rest):
        raise UsageError("a value holds a line break", "printf '%s' instead of echo leaves it out")
    if _UNPRINTABLE.search(rest):
        raise UsageError("a value holds a control character or a lone surrogate", "remove it")


class Bundle(Mapping[str, SecretValue]):
    """The fields of one credential, versioned as one unit, with the proof key of that version.

    Args:
        fields: field name to text, at least one.
        proof_key: 32 random bytes as lower-case hex, never derived from the credential; made when absent.

    Raises:
        UsageError: a field name or a text that no target could carry, or no proof key.
    """

    __slots__ = ("_fields", "proof_key")

    def __init__(self, fields: Mapping[str, str], proof_key: str | None = None) -> None:
        if not fields:
            raise UsageError("a bundle needs at least one field")
        for field, text in fields.items():
            if not FIELD.match(field):
                raise UsageError(f"{field!r:.80} is not a field name", "use a-z, 0-9 and underscores")
            check_text(text)
        if proof_key is not None and not _PROOF_KEY.match(proof_key):
            raise UsageError(f"a proof key is {PROOF_KEY_BYTES} bytes as lower-case hex")
        self._fields = {field: SecretValue(text) for field, text in fields.items()}
        self.proof_key = SecretValue(proof_key or os.urandom(PROOF_KEY_BYTES).hex())

    def __getitem__(self, field: str) -> SecretValue:
        return self._fields[field]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bundle):
            return NotImplemented
        return compare_digest(self.reveal(), other.reveal())

    def __hash__(self) -> NoReturn:
        raise TypeError("a bundle cannot be hashed")

    def __repr__(self) -> str:
        return f"Bundle({', '.join(self._fields)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a bundle cannot be pickled or copied")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a bundle cannot be pickled or copied")

    def reveal(self) -> bytes:
        """The whole bundle as canonical JSON, for a store to seal. Same rule as `SecretValue.reveal`."""
        fields = {field: value.reveal() for field, value in self._fields.items()}
        return json.dumps(
            {"fields": fields, "proof_key": self.proof_key.reveal()}, sort_keys=True, separators=(",", ":")
        ).encode()

    @classmethod
    def parse(cls, sealed: bytes) -> "Bundle":
        """The bundle that `reveal` wrote.

        Raises:
            ValueError: other bytes; the message holds none of them.
        """
        # an error of what reads it would carry the whole text, also as the context of another error
        with suppress(ValueError, AttributeError, UsageError):
            content = strict_json.exactly(strict_json.load(sealed), {"fields": dict, "proof_key": str})
            return cls(content["fields"], content["proof_key"])
        raise ValueError("not a bundle")
