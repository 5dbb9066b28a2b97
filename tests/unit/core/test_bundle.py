"""A bundle: which names and texts it takes, and that it comes back from its bytes as it was."""

import json
import operator
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.errors import UsageError
from keyturn.core.secret import MAX_FIELD_BYTES, Bundle, SecretValue, check_name, check_text

CONTROLS = {*range(0x20), *range(0x7F, 0xA0)}
SURROGATES = range(0xD800, 0xE000)
PEM = "-----BEGIN PRIVATE KEY-----\r\nMIIB\n-----END PRIVATE KEY-----\n"
FIELDS = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
LEGAL = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=50)


def refusal(text: str) -> str:
    """Why the text is refused; empty when it is not. Nothing of the text is in it."""
    said = ""
    try:
        check_text(text)
    except UsageError as refused:
        said = f"{refused!r} {refused.remedy}"
    assert "canary" not in said
    return said


def test_of_all_bytes_exactly_the_control_characters_are_refused() -> None:
    """For every byte value, wherever it stands in the text, NUL, line breaks and other controls are refused."""
    for code in range(256):
        texts = [form.format(chr(code)) for form in ("{}canary", "can{}canary", "canary{}", "{}")]
        assert [bool(refusal(text)) for text in texts] == [code in CONTROLS] * 4, code


def test_every_lone_surrogate_is_refused() -> None:
    """Half a character of UTF-16 can be written nowhere."""
    assert all("surrogate" in refusal(f"canary{chr(code)}") for code in SURROGATES)


@pytest.mark.parametrize(("text", "why"), [
    ("canary\0", "NUL"),
    ("canary\n", "line break"),
    ("can\rary", "line break"),
    ("can\tary", "control character"),
    ("can\x1b[2Jary", "control character"),
    ("can\x85ary", "control character"),
    (f"canary\n{PEM}", "line break"),
    (f"{PEM}\0", "NUL"),
    (f"{PEM}\t", "control character"),
    ("é" * (MAX_FIELD_BYTES // 2) + "a", "longer than"),
])  # fmt: skip
def test_a_refusal_names_the_kind_of_character(text: str, why: str) -> None:
    """What somebody has to mend is said, and the text is not."""
    assert why in refusal(text)


@pytest.mark.parametrize("text", ["", " ", "pässwörd", "🔑", PEM, PEM.strip(), "é" * (MAX_FIELD_BYTES // 2)])
def test_other_texts_are_taken(text: str) -> None:
    """Spaces, letters of all scripts, PEM with its line breaks, and the longest text that is allowed."""
    assert not refusal(text)


@given(LEGAL)
def test_every_text_without_control_characters_is_taken(text: str) -> None:
    """No printable character of any script is refused."""
    assert not refusal(text)


@given(st.dictionaries(FIELDS, LEGAL, min_size=1, max_size=5))
def test_a_bundle_comes_back_from_its_bytes(fields: dict[str, str]) -> None:
    """What `parse` makes of the bytes has the same fields and proof key."""
    bundle = Bundle(fields)
    back = Bundle.parse(bundle.reveal())
    assert back == bundle
    assert back.proof_key == bundle.proof_key
    assert {field: SecretValue(text) for field, text in fields.items()} == dict(back)


def test_the_bytes_are_canonical() -> None:
    """The order in which fields were given does not matter, so the same content is the same bytes."""
    one = Bundle({"username": "u", "password": "p"}, "ab" * 32)
    other = Bundle({"password": "p", "username": "u"}, "ab" * 32)
    assert one == other
    assert operator.eq(one.reveal(), other.reveal())


def test_a_bundle_is_a_mapping_of_values() -> None:
    """It has the names, the number and the order of its fields."""
    bundle = Bundle({"username": "u", "password": "p"})
    assert list(bundle) == ["username", "password"]
    assert len(bundle) == 2
    assert bundle["password"] == SecretValue("p")
    assert "value" not in bundle
    assert repr(bundle) == "Bundle(username, password)"


def test_each_bundle_has_a_proof_key_of_its_own() -> None:
    """The same fields twice are two contents: the proof key is drawn afresh and is 32 bytes of hex."""
    one, other = Bundle({"value": "x"}), Bundle({"value": "x"})
    assert one != other
    assert one.proof_key != other.proof_key
    assert Bundle({"value": "x"}, json.loads(one.reveal())["proof_key"]) == one


def test_a_bundle_equals_nothing_but_a_bundle() -> None:
    """A dictionary with the same values is something else."""
    bundle = Bundle({"value": "x"})
    assert bundle != dict(bundle)


@pytest.mark.parametrize(("fields", "proof_key"), [
    ({}, None),
    ({"Password": "canary"}, None),
    ({"proof-key": "canary"}, None),
    ({"../password": "canary"}, None),
    ({"a" * 64: "canary"}, None),
    ({"password\n": "canary"}, None),
    ({"": "canary"}, None),
    ({"password": "canary\0"}, None),
    ({"password": "canary"}, ""),
    ({"password": "canary"}, "ab" * 31),
    ({"password": "canary"}, "AB" * 32),
    ({"password": "canary"}, "zz" * 32),
    ({"password": "canary"}, "ab" * 32 + "\n"),
])  # fmt: skip
def test_other_fields_and_proof_keys_are_refused(fields: dict[str, str], proof_key: str | None) -> None:
    """Names that are no names, texts that no target could carry, and proof keys that prove nothing."""
    with pytest.raises(UsageError) as refused:
        Bundle(fields, proof_key)
    assert "canary" not in str(refused.value)


GOOD: dict[str, Any] = {"fields": {"password": "canary"}, "proof_key": "ab" * 32}


@pytest.mark.parametrize("sealed", [
    b"",
    b"canary",
    b"\xffcanary",
    b'"canary"',
    b"[" * 100_000,
    json.dumps({"fields": {"password": "canary"}}).encode(),
    json.dumps({**GOOD, "more": "canary"}).encode(),
    json.dumps({**GOOD, "fields": {}}).encode(),
    json.dumps({**GOOD, "fields": ["canary"]}).encode(),
    json.dumps({**GOOD, "fields": {"password": 7}}).encode(),
    json.dumps({**GOOD, "fields": {"password": "canary\0"}}).encode(),
    json.dumps({**GOOD, "fields": {"no name": "canary"}}).encode(),
    json.dumps({**GOOD, "proof_key": None}).encode(),
    json.dumps({**GOOD, "proof_key": ""}).encode(),
    json.dumps({**GOOD, "proof_key": "canary"}).encode(),
    json.dumps(GOOD).encode() + b"canary",
    b'{"fields":{"a":"canary","a":"canary"},"proof_key":"' + b"ab" * 32 + b'"}',
])  # fmt: skip
def test_other_bytes_are_no_bundle(sealed: bytes) -> None:
    """One kind of error for all of them, and neither it nor what stands behind it holds anything of the bytes."""
    with pytest.raises(ValueError, match=r"^not a bundle\Z") as refused:
        Bundle.parse(sealed)
    assert refused.value.__context__ is None


@given(st.binary(max_size=100) | st.text(alphabet='{}[]":,fieldsproof_key0a\\', max_size=80).map(str.encode))
def test_noise_is_no_bundle(sealed: bytes) -> None:
    """No input makes the reader fail in another way."""
    with pytest.raises(ValueError, match="not a bundle"):
        Bundle.parse(sealed)


@pytest.mark.parametrize("name", ["a", "database", "postgres-admin", "a1-2", "a" * 63])
def test_names(name: str) -> None:
    """Lower-case letters, digits and single hyphens, at most 63 characters."""
    assert check_name(name) == name


@pytest.mark.parametrize("name", [
    "", "A", "1a", "-a", "a--b", "a_b", "a.b", "a/b", "..", "a b", "a\n", "a\0", "é", "a" * 64, "\uff41",
])  # fmt: skip
def test_what_is_no_name(name: str) -> None:
    """Anything that could be a path, another name to another store, or a look-alike."""
    with pytest.raises(UsageError, match="is not a name"):
        check_name(name)


@given(st.text(st.sampled_from(string.printable + "é\uff41\0"), max_size=70))
def test_every_name_that_is_taken_can_be_a_file_name(name: str) -> None:
    """Whatever is taken is made of harmless characters only."""
    try:
        check_name(name)
    except UsageError:
        return
    assert name
    assert set(name) <= set(string.ascii_lowercase + string.digits + "-")
