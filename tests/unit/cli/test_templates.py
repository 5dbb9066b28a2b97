"""Templates: each value in its place and nowhere else, whatever characters it has."""

import json
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import assume, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from keyturn.cli.templates import Format, rendered, template
from keyturn.client.view import View
from keyturn.core.errors import KeyturnError, NotFound, Unsupported, UsageError
from keyturn.core.secret import Bundle, SecretValue
from keyturn.system.dotenv import writable

URL = "postgresql://u:p@db"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def views(text: str = URL) -> dict[str, View]:
    """A secret with a published name of that value, and one that is a single value."""
    database = View("database", "7", Bundle({"username": "u", "password": "p"}), {"database-url": SecretValue(text)})
    return {"database": database, "api-key": View("api-key", "k1", Bundle({"value": "key"}))}


def made(name: str, text: str, value: str = URL, form: Format | None = None) -> str:
    """The file that becomes of it."""
    content = rendered(template(f"{name}.tmpl", text, form), views(value)).content
    return "".join([content.reveal()])  # noqa: FLY002 - reveal() stands as an argument


def test_names_fields_and_single_values_have_their_places() -> None:
    """Doubled braces are single ones; the rest stays as it is, byte for byte."""
    text = "server {{\r\n  a {database-url};\n\tb {database.password} {api-key} {api-key.value};\n}}"
    assert made("x", text, form=Format.NONE) == f"server {{\r\n  a {URL};\n\tb p key key;\n}}"


def test_versions_name_the_secrets_that_are_in_it() -> None:
    """And no others."""
    assert rendered(template("x.env.tmpl", "A={api-key}\n"), views()).versions == {"api-key": "k1"}
    assert rendered(template("x.env.tmpl", "A={database-url}\n"), views()).versions == {"database": "7"}


@pytest.mark.parametrize(
    ("file", "first", "default", "form"),
    [
        ("a.json", "", None, Format.JSON),
        ("a.yml", "", None, Format.YAML),
        (".env", "", None, Format.ENV),
        ("a.json", "", Format.NONE, Format.NONE),
        ("a.json", "// keyturn: format=yaml\n", Format.NONE, Format.YAML),
        ("a.conf", "# keyturn: format=none\r\n", None, Format.NONE),
        ("a.html", "<!-- keyturn: format=none -->\n", None, Format.NONE),
    ],
)
def test_the_first_line_wins_over_the_option_and_that_over_the_name(
    file: str, first: str, default: Format | None, form: Format
) -> None:
    """The line that says it is left out."""
    found = template(f"{file}.tmpl", f"{first}rest", default)
    assert (found.name, found.form, found.text) == (file, form, "rest")


def test_what_says_no_format_is_refused() -> None:
    """A guess would be right until a value has the wrong character; an unknown word is none either."""
    with pytest.raises(UsageError, match=r"a\.conf\.tmpl does not say"):
        template("a.conf.tmpl", "x")
    with pytest.raises(UsageError, match=r"a\.conf\.tmpl:1: there is no format 'toml'"):
        template("a.conf.tmpl", "# keyturn: format=toml\n")


@given(TEXTS)
def test_any_value_comes_back_from_json_and_yaml(text: str) -> None:
    """As names, as a part of a text, beside others, in flow and in block."""
    content = json.loads(made("a.json", '{{"u": ["{database-url}", "a{database-url}b"], "{database-url}": 1}}', text))
    assert content == {"u": [text, f"a{text}b"], text: 1} if text != "u" else True
    page = made("a.yaml", '# page\nu: "{database-url}"  # kept\nv: ["x{database-url}", "{database-url}"]\n', text)
    assert YAML(typ="safe", pure=True).load(page) == {"u": text, "v": [f"x{text}", text]}


@given(TEXTS)
def test_any_value_comes_back_from_a_file_of_variables_or_is_refused(text: str) -> None:
    """As python-dotenv reads it; nothing of it becomes a line of its own."""
    try:
        page = made("a.env", "FIRST=1\nexport URL='x{database-url}'  # kept\nLAST='{{}}'\n", text)
    except Unsupported:
        assume(writable(SecretValue(f"x{text}")) is False)
    else:
        found = dotenv_values(stream=StringIO(page), interpolate=False)
        assert found == {"FIRST": "1", "URL": f"x{text}", "LAST": "{}"}


def test_a_shell_reads_the_value_of_a_variable(tmp_path: Path) -> None:
    """With quotes, blanks and a dollar sign in it."""
    value = 'a "b" $c #d'
    (tmp_path / "a.env").write_text(made("a.env", "URL={database-url}\n", value))
    said = subprocess.run(
        ["sh", "-c", '. ./a.env; printf %s "$URL"'], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout == value


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("a.json", '{{\n"u": {database-url}}}', 2),
        ("a.json", '{{"a": "{api-key}",\n\n"b": {api-key}, "c": "{api-key}"}}', 3),
        ("a.yaml", "a: 1\nb: {api-key}\n", 2),
        ("a.yaml", "a: '{api-key}'\n", 1),
        ("a.yaml", "# {api-key}\na: 1\n", 1),
        ("a.yaml", "a: |\n  {api-key}\n", 2),
        ("a.yaml", '# keyturn: format=yaml\na: "{api-key}"\nb: {api-key}', 3),
        ("a.env", "A=1\n# {api-key}\n", 2),
        ("a.env", "A=1 # {api-key}\n", 1),
        ("a.env", "{api-key}=1\n", 1),
        ("a.env", "A='{api-key}\n", 1),
        ("a.env", "A=$B{api-key}\n", 1),
    ],
)
def test_a_place_where_some_value_would_break_out_is_refused_with_its_line(file: str, text: str, line: int) -> None:
    """Though the value of today is harmless."""
    with pytest.raises(UsageError, match=rf"{file}\.tmpl:{line}: no value can stand here"):
        made(file, text)


@pytest.mark.parametrize(
    ("text", "line"), [("a\n{", 2), ("}", 1), ("{}", 1), ("\n\n{A B}", 3), ("{a.}", 1), ("{a.b.c}", 1), ("{.a}", 1)]
)
def test_a_brace_that_belongs_to_nothing_is_refused_with_its_line(text: str, line: int) -> None:
    """Whoever meant a brace doubles it."""
    with pytest.raises(UsageError, match=rf"a\.tmpl:{line}: a brace"):
        made("a", text, form=Format.NONE)


@pytest.mark.parametrize("name", ["database", "redis-url", "database.pass", "database.proof_key", "api-key.key"])
def test_an_unknown_name_is_refused_with_its_line(name: str) -> None:
    """And all names that there are; none of them is empty or a default."""
    with pytest.raises(NotFound, match=r"a\.env\.tmpl:2: no name") as caught:
        made("a.env", f"A=1\nB={{{name}}}\n")
    assert caught.value.remedy == "there is api-key, database-url, database.password, database.username"


@pytest.mark.parametrize(("file", "text"), [("a.json", "{{"), ("a.yaml", "a: [\n"), ("a.json", '{{"a": "{api-key}"')])
def test_a_file_that_would_be_none_is_refused(file: str, text: str) -> None:
    """Before its reader finds out; no value is in the message."""
    with pytest.raises(KeyturnError) as caught:
        made(file, text)
    assert "key" not in caught.value.message.replace("a.json", "")
