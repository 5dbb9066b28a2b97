"""The corpus of faulty manifests, and what no complaint may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.manifest import ManifestError, Problem, load
from keyturn.manifest.values import value_flaws
from tests.unit.manifest.conftest import HERE, SMALL, Complaints, Write

CORPUS = sorted((HERE / "bad").glob("*.toml"))


@pytest.mark.parametrize("fault", [path.stem for path in CORPUS])
def test_one_fault_is_one_line(fault: str, complaints: Complaints) -> None:
    """Each file of the corpus brings exactly the problem that its first line announces."""
    text = (HERE / "bad" / f"{fault}.toml").read_text(encoding="utf-8")
    assert complaints(text) == text.partition("\n")[0].removeprefix("# ")


def test_all_problems_come_in_one_run_in_the_order_of_the_file(complaints: Complaints) -> None:
    """Faults of syntax, shape and reference in several tables are reported together, sorted by place."""
    other = '[secrets.x]\nkind = "redis"\nconsumers = ["y"]\nstore = "z"\ntarget = { admin = "w", nonsense = 1 }\n'
    lines = complaints(SMALL.replace("owner", "onwer").replace('"v1"', "1") + other).splitlines()
    places = ("7:1", "11:1", "15:10", "15:10", "17:14", "18:1", "19:12", "19:25")
    assert [line.split(": ", 1)[0] for line in lines] == [f"keyturn.toml:{place}" for place in places]


def test_the_error_is_one_of_usage_and_holds_its_problems(write: Write) -> None:
    """The exit status is 2, and each problem has its parts."""
    with pytest.raises(ManifestError) as caught:
        load(write(SMALL.replace("owner", "onwer")))
    assert caught.value.exit_status == 2
    assert caught.value.remedy
    message = "unknown key 'onwer' in [secrets.admin]"
    assert caught.value.problems == (Problem("keyturn.toml", 11, 1, message, "did you mean 'owner'?"),)


@pytest.mark.parametrize(
    "line",
    [
        'password = "{0}"',
        'api-key = "{0}"',
        'store_name = "postgresql://u:{0}@h/d"',
        'publish.view = {{ template = "redis://{{username}}:{0}@h" }}',
        'probe = "host=h password={0}"',
        'store = "glsa_{0}{0}"',
        '[alerts.mail]\nurl = "smtp://u:{0}@h"',
    ],
)
def test_what_looks_like_a_value_is_refused_and_not_repeated(line: str, complaints: Complaints) -> None:
    """A password in any of the usual forms is named by its place, never by itself."""
    secret = "Tr0ub4dor3TheSecondOfHisName"
    message = complaints(SMALL + line.format(secret))
    assert "a value has no place in a manifest" in message
    assert secret not in message


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="{}/@"), min_size=1))
def test_every_literal_password_of_a_url_is_seen(password: str) -> None:
    """No choice of characters hides a password between the user and the host of a URL."""
    assert list(value_flaws({"a": [{"template": f"postgresql://{{username}}:{password}@{{host}}/d"}]}))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=12,
    )
)
def test_values_of_any_type_are_looked_through(value: object) -> None:
    """The search for values takes whatever TOML can hold."""
    assert all(flaw.path[0] == "top" for flaw in value_flaws({"top": value}))


def test_a_key_cannot_write_to_the_terminal(complaints: Complaints) -> None:
    """Escape sequences and line breaks in a key are shown as escapes, and a long key is cut."""
    message = complaints(f'"\\u001b[2J\\n{"x" * 5000}" = 1\n{SMALL}')
    assert message.startswith("keyturn.toml:1:1: unknown key '\\x1b[2J\\nxxx")
    assert message.isprintable()
    assert len(message) < 500


def test_a_thousand_problems_are_found_and_a_hundred_shown(write: Write) -> None:
    """The message stays readable, the error keeps them all."""
    with pytest.raises(ManifestError) as caught:
        load(write(SMALL + "".join(f"x{number} = 1\n" for number in range(1000))))
    assert len(caught.value.problems) == 1000
    assert caught.value.message.splitlines()[100:] == ["and 900 more problems"]
