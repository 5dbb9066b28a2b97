"""A manifest never holds a value: what looks like one is refused, and never repeated."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from keyturn.manifest.problems import Flaw, KeyPath

_NEVER = frozenset(
    {"password", "passwd", "pwd", "passphrase", "secret_key", "client_secret", "api_key", "apikey", "value"}
    | {"access_key", "account_key", "private_key", "token"}
)
"""Keys that no table has, because what they hold belongs into a store."""
_LITERAL_IN_URL = re.compile(r"[a-z][a-z0-9+.-]{0,20}://[^/@\s:]*:(?!\{[a-z][a-z0-9_]*\}@)[^/@\s]+@", re.IGNORECASE)
_LITERAL_PAIR = re.compile(
    r"(?<![a-z])(?:password|passwd|pwd|accountkey|sharedaccesskey|secret)=(?!\{)\S", re.IGNORECASE
)
_KNOWN_FORMS = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY|AGE-SECRET-KEY-1|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}"
    r"|\bgithub_pat_[A-Za-z0-9_]{30,}|\bglpat-[\w-]{20}|\bxox[abprs]-[\w-]{10,}|\bsk_live_[A-Za-z0-9]{16,}"
    r"|\bglsa_[A-Za-z0-9_]{30,}|(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|\bhv[sb]\.[\w-]{20,}|SCRAM-SHA-256\$"
)
_REMEDY = "remove it here and change it: keyturn set NAME takes values"


def value_flaws(data: Mapping[str, Any]) -> Iterator[Flaw]:
    """Every place that holds, or is made to hold, a value. No flaw repeats what it saw."""
    pending: list[tuple[KeyPath, Any]] = [((), data)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, Mapping):
            pending.extend(((*path, key), inner) for key, inner in value.items())
        elif isinstance(value, list):
            pending.extend(((*path, index), inner) for index, inner in enumerate(value))
        elif isinstance(value, str) and (reason := _reason(path, value)):
            yield Flaw(path, f"a value has no place in a manifest: {reason}", _REMEDY)


def _reason(path: KeyPath, text: str) -> str | None:
    key = path[-1]
    if isinstance(key, str) and key.lower().replace("-", "_") in _NEVER:
        return f"'{key}'"
    if _KNOWN_FORMS.search(text):
        return "this is the form of a key or token"
    if _LITERAL_IN_URL.search(text):
        return "a password in a URL"
    if _LITERAL_PAIR.search(text):
        return "a password in a connection string"
    return None
