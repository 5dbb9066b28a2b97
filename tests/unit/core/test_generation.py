"""Index and challenge: what was written is read, everything else is refused."""

import json
from typing import Any

import pytest

from keyturn.core.generation import Challenge, Entry, Index, nonce, version

INDEX = Index("clo", "test", "clo-api", {"database": Entry("v1", 7, ("password", "username"), ("database-url",))})
CHALLENGE = Challenge("ab" * 32, ".bundle-0", "2026-01-01T00:00:00.000Z", "cd" * 32)


def changed(text: bytes, path: tuple[str, ...], value: object) -> bytes:
    """The JSON with one value replaced."""
    whole: dict[str, Any] = json.loads(text)
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(whole).encode()


def test_what_was_written_is_read() -> None:
    """Index and challenge survive the way through bytes, also without a previous nonce."""
    assert Index.parse(INDEX.dump()) == INDEX
    assert Challenge.parse(CHALLENGE.dump()) == CHALLENGE
    first = Challenge("ab" * 32, ".bundle-0", "", "")
    assert Challenge.parse(first.dump()) == first


def test_the_files_of_a_secret_have_names_that_cannot_be_anothers() -> None:
    """A field has a dot before it, a published name has none, no field has a hyphen."""
    files = ("database.password", "database.username", "database.proof-key", "database-url")
    assert INDEX.secrets["database"].files("database") == files


@pytest.mark.parametrize(("path", "value"), [
    (("schema",), "keyturn/bundle/2"),
    (("secrets", "../etc"), {"version": "v", "fence": 1, "fields": [], "published": []}),
    (("secrets", "database", "version"), "with space"),
    (("secrets", "database", "version"), ""),
    (("secrets", "database", "fields"), ["../password"]),
    (("secrets", "database", "fields"), [1]),
    (("secrets", "database", "published"), ["a/b"]),
    (("secrets", "database", "published"), [None]),
    (("secrets", "database", "fence"), True),
    (("more",), 1),
])  # fmt: skip
def test_another_index_is_refused(path: tuple[str, ...], value: object) -> None:
    """Names become file names: nothing that is not a name comes through."""
    with pytest.raises(ValueError, match=r"."):
        Index.parse(changed(INDEX.dump(), path, value))


@pytest.mark.parametrize(("path", "value"), [
    (("schema",), "keyturn/challenge/2"),
    (("nonce",), "AB" * 32),
    (("nonce",), "ab"),
    (("previous",), "x"),
    (("made",), None),
])  # fmt: skip
def test_another_challenge_is_refused(path: tuple[str, ...], value: object) -> None:
    """A nonce is lower-case hex of a bounded length."""
    with pytest.raises(ValueError, match=r"."):
        Challenge.parse(changed(CHALLENGE.dump(), path, value))


def test_versions_and_nonces_that_are_fine() -> None:
    """Any visible ASCII is a version."""
    assert version("2026/11~x") == "2026/11~x"
    assert nonce("0" * 32) == "0" * 32
