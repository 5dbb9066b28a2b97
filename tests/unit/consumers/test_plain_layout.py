"""Names and the file of variables: what is read back is what was written, or it is refused."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.consumers.files.layout import Form, PlainLayout
from keyturn.core.consumer import Delivery
from keyturn.core.errors import InvalidName, Unsupported
from keyturn.core.generation import Index
from keyturn.core.layout import following
from keyturn.core.secret import Bundle, SecretValue

EMPTY = Index("clo", "test", "proxy", {})
CANARY = "a'b\"c $(touch x) `d` \\ % # é = ; & | \t!*~ 'ends'"
PEM = "-----BEGIN X-----\nab'c\n-----END X-----\n"


def written(layout: PlainLayout, bundle: Bundle, published: dict[str, str] | None = None) -> dict[str, bytes]:
    """The files of one delivery."""
    views = {name: SecretValue(text) for name, text in (published or {}).items()}
    made = following(Delivery("database", "v1", bundle, 1, views), None, EMPTY, layout)
    assert made is not None
    return made


def by_shell(path: Path, variable: str) -> str:
    """What a POSIX shell that reads the file has in that variable."""
    command = ["/bin/sh", "-c", '. "$1"; eval "printf %s \\"\\$$2\\""', "sh", str(path), variable]
    return subprocess.run(command, capture_output=True, check=True, cwd=path.parent).stdout.decode()


def by_docker(text: bytes) -> dict[str, str]:
    """What `docker run --env-file` makes of it: lines, cut at the first =, nothing unquoted (docs.docker.com)."""
    lines = [line.lstrip() for line in text.decode().split("\n") if line.strip()]
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@pytest.mark.parametrize(
    "value", [CANARY.replace("\t", " "), PEM, "'", "''", "\\", "$HOME", "-n", " leading and trailing "]
)
def test_a_shell_reads_back_each_value(tmp_path: Path, value: str) -> None:
    """Quotes, expansions, line breaks: a shell that sources the file has the very text, and runs none of it."""
    file = tmp_path / "app.env"
    file.write_bytes(written(PlainLayout("app.env"), Bundle({"value": "x"}), {"view": value})["app.env"])
    assert SecretValue(by_shell(file, "VIEW")) == SecretValue(value)
    assert not (tmp_path / "x").exists()


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["C", "Z"]), max_size=40)


@given(PRINTABLE)
def test_docker_reads_back_each_value(value: str) -> None:
    """In Docker's form nothing is quoted, because nothing is unquoted there."""
    read = by_docker(written(PlainLayout("app.env", "docker"), Bundle({"value": "x"}), {"view": value})["app.env"])
    assert SecretValue(read["VIEW"]) == SecretValue(value)


@given(PRINTABLE)
def test_single_quotes_hold_every_character(value: str) -> None:
    """The shell's form undone by its two rules (POSIX XCU 2.2) is the value."""
    line = written(PlainLayout("app.env"), Bundle({"value": "x"}), {"view": value})["app.env"].decode()
    quoted = line.split("VIEW=", 1)[1].removesuffix("'\n").removeprefix("'")
    parts = quoted.split("'\\''")
    assert all("'" not in part for part in parts)
    assert SecretValue("'".join(parts)) == SecretValue(value)


def test_a_line_break_is_refused_where_the_form_has_none() -> None:
    """Docker's form cannot carry a certificate: refused by the name of the variable, never with the value."""
    with pytest.raises(Unsupported) as refused:
        written(PlainLayout("app.env", "docker"), Bundle({"certificate": PEM, "private_key": "y"}))
    assert "DATABASE_CERTIFICATE" in refused.value.message
    assert "BEGIN" not in refused.value.message + refused.value.remedy


@pytest.mark.parametrize("form", ["sh", "docker"])
def test_variables_are_those_that_the_manifest_declares(form: Form) -> None:
    """A published name under its `env`, else in capitals; the file goes by the published name in any case."""
    layout = PlainLayout("app.env", form, {"database-url": "PGURL"})
    made = written(layout, Bundle({"value": "x"}), {"database-url": "u", "other-view": "o"})
    names = [line.split("=")[0] for line in made["app.env"].decode().splitlines()]
    assert names == ["DATABASE", "OTHER_VIEW", "PGURL"]
    assert (made["database_url"], made["other_view"]) == (b"u", b"o")


def test_a_view_that_is_a_field_is_one_file() -> None:
    """The field `password` of `database` and a view `database-password` are one file if they are one value."""
    bundle = Bundle({"username": "u", "password": "p"})
    assert written(PlainLayout(), bundle, {"database-password": "p"})["database_password"] == b"p"
    with pytest.raises(InvalidName, match="database_password"):
        written(PlainLayout(), bundle, {"database-password": "else"})


@pytest.mark.parametrize("layout", [PlainLayout(), PlainLayout("app.env")])
def test_two_secrets_do_not_share_a_file(layout: PlainLayout) -> None:
    """The field `b_c` of `a` and the field `c` of `a-b` would be one file: refused."""
    first = following(Delivery("a", "v1", Bundle({"b_c": "1", "d": "2"}), 1), None, EMPTY, layout)
    assert first is not None
    with pytest.raises(InvalidName, match="a_b_c"):
        following(Delivery("a-b", "v1", Bundle({"c": "3", "d": "4"}), 1), first.__getitem__, EMPTY, layout)


def test_two_secrets_do_not_share_a_variable() -> None:
    """A view whose `env` is the variable of another secret's field is refused, for one would hide the other."""
    layout = PlainLayout("app.env", "sh", {"dsn": "DATABASE_PASSWORD"})
    first = written(layout, Bundle({"username": "u", "password": "p"}))
    other = Delivery("replica", "v1", Bundle({"value": "x"}), 1, {"dsn": SecretValue("else")})
    with pytest.raises(InvalidName, match="DATABASE_PASSWORD"):
        following(other, first.__getitem__, EMPTY, layout)


def test_the_file_of_variables_has_a_name_of_its_own() -> None:
    """An `env_file` with the name of a value's file is refused."""
    with pytest.raises(InvalidName, match="database_password"):
        written(PlainLayout("database_password"), Bundle({"username": "u", "password": "p"}))
