"""A generation as the agent sends it: read into views of one version each, or refused without a word of it."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.client.sources.agent_words import generation_of
from keyturn.core.errors import NotFound

PLACE = Path("/run/keyturn/agent.sock")
SECRET: dict[str, Any] = {
    "version": "v1",
    "fields": {"username": "u", "password": "marked-value"},
    "proof_key": "0" * 64,
    "published": {"database-url": "postgresql://marked-value"},
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def read(**other: Any) -> Any:
    """The view of that secret."""
    content = {"environment": "test", "secrets": {"database": {**SECRET, **other}}}
    return generation_of(content, ("database",), PLACE).views["database"]


def test_fields_and_published_names_are_of_the_version_that_is_named() -> None:
    """All of it, and nothing that was not asked for."""
    view = read()
    assert (view.secret, view.version, set(view.bundle), set(view.published)) == (
        "database",
        "v1",
        {"username", "password"},
        {"database-url"},
    )


@pytest.mark.parametrize("other", [
    {"version": ""}, {"version": "a b"}, {"version": 1}, {"fields": {}}, {"fields": {"Password": "x"}},
    {"fields": {"password": None}}, {"fields": {"password": "marked-value\0"}}, {"fields": {"password": "a\nb"}},
    {"fields": {"password": "marked-value\ud800"}}, {"proof_key": ""}, {"proof_key": "z" * 64},
    {"published": {"../x": "y"}}, {"published": {"x": 1}}, {"published": {"x": "marked-value\ud800"}}, {"more": 1},
])  # fmt: skip
def test_what_no_keyturn_sends_is_refused(other: dict[str, object]) -> None:
    """And the error says nothing of a value."""
    with pytest.raises(ValueError, match=r".") as caught:
        read(**other)
    assert "marked-value" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(ANYTHING)
def test_nothing_but_the_two_errors_leaves_it(anything: Any) -> None:
    """Whatever stands where a secret should."""
    with suppress(ValueError, NotFound):
        generation_of({"environment": "test", "secrets": {"database": anything}}, ("database",), PLACE)
    if isinstance(anything, dict):
        for key in SECRET:
            with suppress(ValueError, NotFound):
                read(**{key: anything})


def test_what_was_not_delivered_may_be_still_to_come() -> None:
    """A secret that is not in it waits for its delivery; a published name is no secret, and its secret is named."""
    content = {"environment": "test", "secrets": {"database": SECRET}}
    with pytest.raises(NotFound, match="'redis'") as secret:
        generation_of(content, ("redis",), PLACE)
    assert secret.value.remedy.startswith("keyturn tick delivers it, if")
    with pytest.raises(NotFound) as published:
        generation_of(content, ("database-url",), PLACE)
    assert published.value.remedy == "it is a published name: list its secret, 'database'"
