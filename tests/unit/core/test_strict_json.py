"""JSON from strangers: exactly the agreed shape, or an error that holds none of it."""

from typing import Any

import pytest

from keyturn.core.strict_json import dump, exactly, load

SHAPE: dict[str, type | tuple[type, ...]] = {"n": int, "s": (str, type(None))}


@pytest.mark.parametrize(("text", "why"), [
    (b'{"a":1,"a":2}', "twice"),
    (b'{"a":{"b":1,"b":1}}', "twice"),
    (b"[NaN]", "not a number"),
    (b"[-Infinity]", "not a number"),
    (b"\xff", "not UTF-8"),
    (b'{"secret-text"', "no JSON: .* at line 1"),
    (b"[" * 100_000, "nested too deep"),
])  # fmt: skip
def test_what_is_no_plain_json_is_refused(text: bytes, why: str) -> None:
    """Keys that stand twice, NaN, other encodings, half texts, endless nesting; the text is not repeated."""
    with pytest.raises(ValueError, match=why) as caught:
        load(text)
    assert "secret-text" not in str(caught.value)


@pytest.mark.parametrize("value", [{"n": 1, "s": "x"}, {"n": 0, "s": None}])
def test_the_agreed_shape_is_returned(value: dict[str, Any]) -> None:
    """As it is."""
    assert exactly(value, SHAPE) is value


@pytest.mark.parametrize(("value", "why"), [
    ([], "not an object"),
    ({"n": 1}, "no key 's'"),
    ({"n": 1, "s": "", "x": 1}, "unknown key 'x'"),
    ({"n": True, "s": ""}, "'n' has the wrong type"),
    ({"n": 1.0, "s": ""}, "'n' has the wrong type"),
    ({"n": 1, "s": 1}, "'s' has the wrong type"),
])  # fmt: skip
def test_any_other_shape_is_refused(value: object, why: str) -> None:
    """Missing and unknown keys, and types; true is not 1."""
    with pytest.raises(ValueError, match=why):
        exactly(value, SHAPE)


def test_what_is_dumped_is_read_again() -> None:
    """One line, keys sorted, and no NaN in it."""
    assert dump({"b": 1, "a": "é"}) == '{"a":"é","b":1}\n'.encode()
    assert load(dump({"a": [1, None]})) == {"a": [1, None]}
    with pytest.raises(ValueError, match="JSON compliant"):
        dump(float("nan"))
