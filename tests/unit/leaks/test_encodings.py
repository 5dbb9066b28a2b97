"""The encodings in which a value is looked for, each held against somebody else's writer."""

import base64
import html
import json
import re
import shlex
import xml.sax.saxutils
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.leaks.encodings import ENCODINGS, forms

VALUE = "K/+%&=?#@: <a>\"b'\\c${d}é€😀"
WRITERS: dict[str, tuple[str, Callable[[str], bytes]]] = {
    "a file": ("raw", str.encode),
    "b64encode": ("base64", lambda text: base64.b64encode(text.encode())),
    "urlsafe_b64encode": ("base64url", lambda text: base64.urlsafe_b64encode(text.encode())),
    "hex": ("hex", lambda text: text.encode().hex().encode()),
    "b16encode": ("hex in capitals", lambda text: base64.b16encode(text.encode())),
    "quote": ("percent-encoded", lambda text: quote(text).encode()),
    "urlencode": ("percent-encoded", lambda text: urlencode({"a": text}).encode()),
    "small escapes": ("percent-encoded", lambda text: re.sub("%..", lambda one: one[0].lower(), quote(text)).encode()),
    "each byte": (
        "every byte percent-encoded",
        lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
    ),
    "json": ("JSON", lambda text: json.dumps({"key": text}).encode()),
    "json as UTF-8": ("JSON", lambda text: json.dumps({"key": text}, ensure_ascii=False).encode()),
    "html": ("HTML", lambda text: html.escape(text).encode()),
    "xml": ("HTML", lambda text: xml.sax.saxutils.escape(text).encode()),
    "UTF-16": ("UTF-16", lambda text: text.encode("utf-16")),
    "backwards": ("backwards", lambda text: text[::-1].encode()),
    "shell": ("quoted", lambda text: shlex.quote(text).encode()),
    "SQL": ("quoted", lambda text: b"'" + text.replace("'", "''").encode() + b"'"),
    "Python": ("quoted", lambda text: repr({"key": text}).encode()),
    "Python's bytes": ("quoted", lambda text: repr(text.encode()).encode()),
}


def named(value: str, content: bytes) -> set[str]:
    """The encodings of the value that are seen in there."""
    return {name for name, encode in ENCODINGS.items() if any(form in content for form in encode(value.encode()))}


def test_there_are_twelve_and_each_has_a_form() -> None:
    """Twelve names; a value with every difficult character has a form of its own in each of them."""
    assert len(ENCODINGS) == 12
    assert {name for name, _ in forms(f"{VALUE}>>>???")} == set(ENCODINGS)


def test_a_value_that_needs_no_quotes_loses_no_letter() -> None:
    """Its ends are no quotes: without them it would be found in what is another value."""
    assert set(ENCODINGS["quoted"](b"plain")) == {b"plain", b"\\160\\154\\141\\151\\156"}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_others_write_is_found(writer: str) -> None:
    """What a library writes holds a form of the value, under the encoding's name."""
    name, write = WRITERS[writer]
    assert name in named(VALUE, write(VALUE))
    assert named(VALUE, write("something else altogether")) == set()


@given(before=st.binary(max_size=8), value=st.text(min_size=4, max_size=40), after=st.binary(max_size=8))
def test_base64_is_found_at_every_offset(before: bytes, value: str, after: bytes) -> None:
    """Whatever stands before and after inside the same base64 text, in both alphabets."""
    content = before + value.encode() + after
    for encode, name in ((base64.b64encode, "base64"), (base64.urlsafe_b64encode, "base64url")):
        found = [form for form in ENCODINGS[name](value.encode()) if form in encode(content)]
        assert found


def test_bytes_that_are_no_text() -> None:
    """A key that is no UTF-8 has forms in all encodings that are of bytes."""
    key = bytes(range(128, 160))
    names = {name for name, encode in ENCODINGS.items() if list(encode(key))}
    assert names == set(ENCODINGS) - {"JSON", "HTML", "UTF-16"}
    assert all(form for _, form in forms(key))


def test_no_form_twice() -> None:
    """A value that most encodings leave as it is has that form once, as raw."""
    listed = [form for _, form in forms("plain")]
    assert len(listed) == len(set(listed))
    assert forms("plain")[0] == ("raw", b"plain")
