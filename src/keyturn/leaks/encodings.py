"""The twelve encodings in which a known value is looked for: standard library only.

What is looked for is a part that is there whatever stands before and after the value. White space that a
writer put between is for whoever looks to undo (base64 in lines, hex dumps).
"""

import base64
import html
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, quote_plus

_BITS, _BYTE = 6, 8
_ESCAPE = re.compile("%[0-9A-F]{2}")


def _raw(value: bytes) -> Iterator[bytes]:
    yield value


def _base64(value: bytes, encode: Callable[[bytes], bytes] = base64.b64encode) -> Iterator[bytes]:
    """One for each of the three offsets (RFC 4648, section 4), without what its neighbours have a bit in."""
    for offset in range(3):
        whole = encode(bytes(offset) + value)
        yield whole[-(-_BYTE * offset // _BITS) : _BYTE * (offset + len(value)) // _BITS]


def _base64url(value: bytes) -> Iterator[bytes]:
    yield from _base64(value, base64.urlsafe_b64encode)


def _hex(value: bytes) -> Iterator[bytes]:
    yield value.hex().encode()


def _hex_in_capitals(value: bytes) -> Iterator[bytes]:
    yield value.hex().upper().encode()


def _percent(value: bytes) -> Iterator[bytes]:
    """RFC 3986, section 2.1, with and without the slash, as a form has it, and each with small digits."""
    for text in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield text.encode()
        yield _ESCAPE.sub(lambda escape: escape[0].lower(), text).encode()


def _percent_each(value: bytes) -> Iterator[bytes]:
    for form in ("%%%02X", "%%%02x"):
        yield "".join(form % byte for byte in value).encode()


def _json(value: bytes) -> Iterator[bytes]:
    r"""RFC 8259, section 7: no more than needed, with `\/`, and every UTF-16 unit as \uXXXX."""
    for text in _text(value):
        for least in {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}:
            yield least.encode()
            yield least.replace("/", "\\/").encode()
        units = text.encode("utf-16-be")
        for form in ("\\u%02x%02x", "\\u%02X%02X"):
            yield "".join(form % tuple(units[at : at + 2]) for at in range(0, len(units), 2)).encode()


def _html(value: bytes) -> Iterator[bytes]:
    """Named references as Python and others write them, and every character by its number."""
    for text in _text(value):
        escaped = html.escape(text)
        yield escaped.encode()
        yield escaped.replace("&#x27;", "&#39;").encode()
        yield html.escape(text, quote=False).encode()
        for form in ("&#%d;", "&#x%x;", "&#x%X;"):
            yield "".join(form % ord(character) for character in text).encode()


def _utf_16(value: bytes) -> Iterator[bytes]:
    for text in _text(value):
        yield text.encode("utf-16-le")
        yield text.encode("utf-16-be")


def _backwards(value: bytes) -> Iterator[bytes]:
    yield value[::-1]
    for text in _text(value):
        yield text[::-1].encode()


def _quoted(value: bytes) -> Iterator[bytes]:
    """As a string of the shell, of SQL, of libpq's conninfo, of Python, and with octal escapes."""
    for text in _text(value):
        yield shlex.quote(text).removeprefix("'").removesuffix("'").encode()
        yield text.replace("'", "''").encode()
        yield text.replace("\\", "\\\\").replace("'", "\\'").encode()
        yield repr(text)[1:-1].encode()
    yield repr(value)[2:-1].encode()
    yield "".join(f"\\{byte:03o}" for byte in value).encode()


def _text(value: bytes) -> Iterator[str]:
    """The text that the value is, if it is one."""
    try:
        yield value.decode()
    except UnicodeDecodeError:
        return


ENCODINGS: Mapping[str, Callable[[bytes], Iterator[bytes]]] = {
    "raw": _raw,
    "base64": _base64,
    "base64url": _base64url,
    "hex": _hex,
    "hex in capitals": _hex_in_capitals,
    "percent-encoded": _percent,
    "every byte percent-encoded": _percent_each,
    "JSON": _json,
    "HTML": _html,
    "UTF-16": _utf_16,
    "backwards": _backwards,
    "quoted": _quoted,
}
"""Name to the forms that a value has in it."""


def forms(value: str | bytes) -> tuple[tuple[str, bytes], ...]:
    """All different forms of a value, each after the name of the first encoding that has it.

    Args:
        value: not empty; text is taken as UTF-8.
    """
    raw = value.encode() if isinstance(value, str) else value
    named: dict[bytes, str] = {}
    for name, encode in ENCODINGS.items():
        for form in encode(raw):
            named.setdefault(form, name)
    return tuple((name, form) for form, name in named.items())
