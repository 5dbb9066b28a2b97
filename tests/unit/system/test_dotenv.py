"""A `.env` file is kept byte for byte, and read as a shell and python-dotenv read it, or not at all."""

import io
import json
import subprocess
import tempfile
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.secret import SecretValue
from keyturn.system import dotenv
from tests.values import reads

GUIDE = """\
# /opt/clo-system/config/.env.production
# 🔒 PRODUCTION SECRETS - RESTRICTED ACCESS ONLY

AZURE_CLIENT_ID=your-client-id\x20\x20
export POSTGRES_PASSWORD='p@ss "w"'   # of the API
  LOG_LEVEL=INFO

EMPTY=
MULTI="one
two"
LAST="it's"
"""
SINGLE = ("=", "'", '"', "\\", "\n", "\r", "#", " ", "\t", "$", "`", "é", ":", "~", "{", "(", ";", "!", "%", "&", "*")
LONGER = ("A", "B", "_x", "export ", "export", "\r\n", "a=b", "K='v'\n", 'K="v"\n', "K=v # c\n", "\\n")
PIECES = st.sampled_from([*SINGLE, *LONGER, "\u2028", "\u00a0", "\x0b", "-----BEGIN ", "-----END "])
TEXTS = st.lists(PIECES, max_size=24).map("".join)
VALUES = st.text(st.sampled_from("aZ0 '\"\\$`#=!&;|<>()*?[]{}~%@:/+-_.,é漢\t\n\u2028"), max_size=12)
SHELL = ("env", "-i", "HOME=/nowhere", "sh", "-c", 'set -a; . "$1"; exec env -0', "sh")


def _by_shell(text: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "env")
        path.write_bytes(text.encode())
        out = subprocess.run([*SHELL, path], capture_output=True, check=True).stdout.decode()
    pairs = dict(line.split("=", 1) for line in out.split("\0") if line)
    return {key: value for key, value in pairs.items() if key not in {"HOME", "PWD", "_", "SHLVL", "OLDPWD"}}


def _by_dotenv(text: str) -> dict[str, str | None]:
    return dict(dotenv_values(stream=io.StringIO(text)))


def _same(lines: tuple[dotenv.Line, ...], read: dict[str, str] | dict[str, str | None]) -> bool:
    ours = {line.key: line.value for line in lines if line.key is not None}
    theirs = {key: SecretValue(value) for key, value in read.items() if value is not None}
    return ours == theirs and len(theirs) == len(read)


@given(TEXTS)
def test_what_was_parsed_is_rendered_as_it_was(text: str) -> None:
    """Any text at all comes back byte for byte, and its lines are numbered as an editor numbers them."""
    lines = dotenv.parse(text)
    assert dotenv.render(lines) == text
    before = [dotenv.render(lines[:at]) for at in range(len(lines))]
    assert [line.number for line in lines] == [part.count("\n") + 1 for part in before]
    assert all((line.value is None) == (line.key is None or bool(line.flaw)) for line in lines)


@given(TEXTS)
def test_what_has_no_flaw_is_what_python_dotenv_reads(text: str) -> None:
    """Where no line has a flaw, python-dotenv finds the same keys with the same values."""
    lines = dotenv.parse(text)
    if not any(line.flaw for line in lines):
        assert _same(lines, _by_dotenv(text))


NAME = st.sampled_from(["K1", "_k", "Long_Name", "x"])
RAW = st.text(st.sampled_from("ab'\"\\$`#=!&;| ()*?~:n"), max_size=8)
ROWS = st.tuples(st.sampled_from(["", "export ", " "]), NAME, RAW, st.sampled_from(["", " # c", "  "])).map(
    lambda row: f"{row[0]}{row[1]}={row[2]}{row[3]}\n"
)


@given(st.lists(ROWS, max_size=4).map("".join))
def test_what_nobody_doubts_is_what_a_shell_reads(text: str) -> None:
    """Where no line has a flaw or a doubt, a POSIX shell that takes the file in has the same variables."""
    lines = dotenv.parse(text)
    if any(line.key for line in lines) and not any(line.flaw or line.doubt for line in lines):
        assert _same(lines, _by_shell(text))


@given(TEXTS, st.sampled_from(["K", "A", "NEW"]), VALUES)
def test_a_value_that_was_assigned_is_read_back_and_nothing_else_changes(text: str, key: str, value: str) -> None:
    """The key has the value for everybody, all other lines are as they were, and a second time changes nothing."""
    lines = dotenv.parse(text)
    try:
        after = dotenv.assigned(lines, key, SecretValue(value))
    except ValueError as error:
        message = str(error)
        assert not dotenv.writable(SecretValue(value)) or "line" in message or "times" in message
        return
    (line,) = [line for line in after if line.key == key]
    assert not line.flaw
    assert line.doubt in {"", dotenv.SHELL}  # a blank before the value that was there is gone, an `export` is not
    assert line.value is not None
    assert reads(line.value, value)
    others = "".join(line.text for line in dotenv.without(lines, key))
    assert "".join(line.text for line in dotenv.without(after, key)).removesuffix("\n") == others.removesuffix("\n")
    assert dotenv.render(dotenv.assigned(after, key, SecretValue(value))) == dotenv.render(after)
    assert after == dotenv.parse(dotenv.render(after))


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_what_is_written_is_read_alike_by_all(values: list[str]) -> None:
    """Shell and python-dotenv read the very values that were said to be writable."""
    lines: tuple[dotenv.Line, ...] = ()
    for at, value in enumerate(values):
        if dotenv.writable(SecretValue(value)):
            lines = dotenv.assigned(lines, f"KEY_{at}", SecretValue(value))
    text = dotenv.render(lines)
    assert not any(line.flaw or line.doubt for line in lines)
    assert _same(lines, _by_dotenv(text))
    assert not lines or _same(lines, _by_shell(text))


READ = {
    "A=b": ("A", "b", "", ""),
    "A= b": ("A", "b", "", dotenv.SHELL),
    "A=": ("A", "", "", ""),
    "A=  ": ("A", "", "", ""),
    "  export\tA='b c' # d": ("A", "b c", "'", ""),
    'A="b\\"c\\\\d"': ("A", 'b"c\\d', '"', ""),
    'A="b\\nc"': ("A", "b\nc", '"', dotenv.SHELL),
    "A='b\nc'\n": ("A", "b\nc", "'", ""),
    "A=b c": ("A", "b c", "", dotenv.SHELL),
    "A=b&c": ("A", "b&c", "", dotenv.SHELL),
    "A=~": ("A", "~", "", dotenv.SHELL),
    "A=b:~c": ("A", "b:~c", "", dotenv.SHELL),
    "A=b#c": ("A", "b#c", "", dotenv.COMPOSE),
    "A=b\r\n": ("A", "b", "", dotenv.SHELL),
    'A="`b`"': ("A", "`b`", '"', dotenv.SHELL),
    "A='\\d'": ("A", "\\d", "'", ""),
}


@pytest.mark.parametrize("text", READ)
def test_each_form_of_a_line_is_read_as_it_is_meant(text: str) -> None:
    """Key, value, quotes, and who reads it differently."""
    (line,) = dotenv.parse(text)
    key, value, quoting, doubt = READ[text]
    assert (line.key, line.quoting, line.doubt, line.flaw) == (key, quoting, doubt, "")
    assert line.value is not None
    assert reads(line.value, value)


UNSURE = ("A", "A = b", "A: b", "1A=b", "a.b=c", "export A", "A=b\u00a0", "\ufeffA=b", "A=b\x00", "A=b\rc")
UNSURE_ALONE = ("A=$b", "A=b\\c", "A= # c")
UNSURE_QUOTED = ('A="$b"', "A='b'c", "A='b'#c", "A='b", 'A="b', "A='b\\'", "A='b\\\\c'", "A='b\rc'")
UNSURE_ESCAPES = ('A="b\\tc"', 'A="b\\"', 'A="\\"b"', 'A="b\\\\"')


@pytest.mark.parametrize("text", UNSURE + UNSURE_ALONE + UNSURE_QUOTED + UNSURE_ESCAPES)
def test_what_is_not_read_alike_has_a_flaw_and_no_value(text: str) -> None:
    """Such a line is kept, and nothing is guessed of it."""
    (line,) = dotenv.parse(text)
    assert line.flaw
    assert line.value is None


KEPT = [
    ("A=1\nB=2\n", "B", "3", "A=1\nB=3\n"),
    ("export A='1' # c\n", "A", "2 3", "export A='2 3' # c\n"),
    ('A="1"', "A", "2", 'A="2"'),
    ("A=1 # c", "A", "2 3", "A='2 3' # c"),
    ("A=1", "B", "it's", 'A=1\nB="it\'s"\n'),
    ("# only\n\n", "B", "", "# only\n\nB=''\n"),
    ("A=1\r\nB=2\r\n", "B", "3", "A=1\r\nB=3\n"),
    ("A=''", "A", "x", "A='x'"),
    ('A="1"', "A", "$2", "A='$2'"),
    ("A='one\ntwo'\nB=1\n", "A", "x", "A='x'\nB=1\n"),
]


@pytest.mark.parametrize(("before", "key", "value", "after"), KEPT)
def test_comments_order_export_and_quotes_are_kept(before: str, key: str, value: str, after: str) -> None:
    """Only the value changes, and its quotes only where they cannot carry it."""
    assert dotenv.render(dotenv.assigned(dotenv.parse(before), key, SecretValue(value))) == after


@pytest.mark.parametrize(
    "value", ["a\nb", "'\"", "a'$b", "'`", "a\\\\b", "a\\", "'\\b", "\0", "\u2028", "\ud800", "\x85"]
)
def test_what_cannot_be_written_alike_is_refused(value: str) -> None:
    """No quoting of it means the same to everybody; the refusal does not hold it."""
    assert not dotenv.writable(SecretValue(value))
    with pytest.raises(ValueError, match="no quoting") as caught:
        dotenv.assigned((), "KEY", SecretValue(value))
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"), [("K=1\nK=2\n", "2 times"), ("K=$x\n", "line 1"), ("A=1\nB='x\n", "line 2: a quote")]
)
def test_where_nothing_can_be_assigned_it_is_refused(text: str, why: str) -> None:
    """A key with two lines, a line without a sure value, a file that ends within a quote."""
    with pytest.raises(ValueError, match=why):
        dotenv.assigned(dotenv.parse(text), "K", SecretValue("x"))


def test_a_key_that_stands_there_twice_is_told_with_its_lines() -> None:
    """The numbers are those of an editor, also after a value of several lines."""
    assert dotenv.twice(dotenv.parse("A='x\ny'\nB=1\nA=2\nC=1\nB=$x\n")) == {"A": (1, 4), "B": (3, 6)}


def test_the_guides_own_file_is_read() -> None:
    """Comments, blanks, export, quotes and several lines, each as it stands there."""
    lines = dotenv.parse(GUIDE)
    assert [line.number for line in lines if line.key] == [4, 5, 6, 8, 9, 11]
    assert [line.comment for line in lines if line.comment][-1] == "# of the API"
    assert [line.key for line in lines if line.export] == ["POSTGRES_PASSWORD"]
    assert not any(line.flaw or line.doubt for line in lines)
    assert _same(lines, _by_dotenv(GUIDE))
    assert _same(lines, _by_shell(GUIDE))


def test_no_line_shows_its_text() -> None:
    """Neither repr nor str of a line holds what stands in it."""
    for line in dotenv.parse("KEY='canary-1' # canary-2\ncanary-3\nA=$canary-4\nB='canary-5"):
        assert "canary" not in f"{line!r}{line}"


def test_a_comment_behind_a_tab_is_no_comment_to_docker_compose() -> None:
    """Compose cuts only at a blank and #: such a line has a doubt, and what is written before it gets quotes."""
    (line,) = dotenv.parse("A=b \t# c\n")
    assert (line.doubt, line.comment) == (dotenv.TABBED, "# c")
    assert dotenv.parse("A=b\t # c\n")[0].doubt == ""
    assert dotenv.render(dotenv.assigned((line,), "A", SecretValue("d"))) == "A='d' \t# c\n"


@pytest.mark.parametrize(
    "text", ["A = b", "A: b", "A : b", "'A'=b", '"A"=b', " export  A = b", "\ufeffA=b", "A\u00a0=b"]
)
def test_what_assigns_for_some_program_names_its_key(text: str) -> None:
    """It has no value, but nobody writes the same key a second time behind it."""
    (line,) = dotenv.parse(text)
    assert (line.key, line.value) == ("A", None)
    assert line.flaw == (dotenv.MARKED if text.startswith("\ufeff") else dotenv.NO_ASSIGNMENT)
    with pytest.raises(ValueError, match=r"line 1: "):
        dotenv.assigned((line,), "A", SecretValue("c"))
    assert dotenv.twice(dotenv.parse(f"{text}\nA=c\n")) == {"A": (1, 2)}


PEMS = """\
K=-----BEGIN PRIVATE KEY-----
MIIEvQ/b
q83vEjRWeJA=
-----END PRIVATE KEY-----
-----BEGIN X-----
q83vEjRWeJA=
-----END X-----
A=b
B=-----BEGIN X
C=d
"""


def test_a_line_of_a_private_key_is_never_taken_for_a_key() -> None:
    """PEM text without quotes is one line with a flaw, up to its end marker: names of variables are shown."""
    lines = dotenv.parse(PEMS)
    pem = dotenv.BARE_PEM
    told = [(line.number, line.key, line.flaw) for line in lines]
    assert told == [(1, "K", pem), (5, None, pem), (8, "A", ""), (9, "B", pem), (10, "C", "")]
    assert dotenv.render(lines) == PEMS


LONG = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        f"A=b{' ' * LONG}x",
        f"A=b{' #' * LONG}",
        "A=\n" * (LONG // 4),
        f"A='b{' ' * LONG}x",
        "A=-----BEGIN \n" * (LONG // 20),
    ],
)
def test_a_hostile_file_takes_no_longer_than_its_length(text: str) -> None:
    """A million blanks, comments or repetitions are read at once: a quadratic reader would take hours."""
    lines = dotenv.parse(text)
    assert dotenv.render(lines) == text
    assert len(dotenv.twice(lines)) == (len(lines) > 1)


COMPOSE = json.loads((Path(__file__).parents[2] / "vectors/compose-env.json").read_text())
"""What compose-go, the parser of Docker Compose, made of texts; it was run once, the version stands in the file."""


def test_what_is_written_is_what_docker_compose_read() -> None:
    """Each text of the record is what is written today, so compose-go has read that very value from it."""
    for row in COMPOSE["written"]:
        after = dotenv.assigned(dotenv.parse(row["before"]), "K", SecretValue(row["value"]))
        assert dotenv.render(after) == row["text"]


def test_what_nobody_doubts_is_what_docker_compose_read() -> None:
    """Where no line has a flaw or a doubt, compose-go found the same variables."""
    sure = 0
    for row in COMPOSE["read"]:
        lines = dotenv.parse(row["text"])
        if not any(line.flaw or line.doubt for line in lines):
            assert row["variables"] is not None
            assert _same(lines, row["variables"])
            sure += 1
    assert sure > len(COMPOSE["read"]) // 4
