"""No value leaves but to the store, the target and the consumer; and the search that says so can see."""

import base64
import gzip
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

import pytest

from keyturn.journal.audit import records
from keyturn.leaks.encodings import ENCODINGS, forms
from keyturn.testing.installation import SECRET_NAME
from keyturn.wiring import state_of
from tests.e2e.canary import Known, Seen, Watch, argv, environments, files
from tests.e2e.stage import SERVED, Stage, canary, channels, hosts, show, staged
from tests.e2e.story import live

MUCH = 4_000
"""Bytes: no more of a channel is needed to put something into."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An installation that went through everything, with the package as it is."""
    folder = tmp_path_factory.mktemp("canary") / "it"
    folder.mkdir(mode=0o700)
    with hosts() as servers, staged(folder, servers, "quiet") as stage:
        live(stage)
        yield stage


def test_no_value_leaves_but_to_store_target_and_consumer(lived: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Through a whole life with debugging on, no value in any of twelve encodings is in any channel but its own."""
    hits = lived.channels.hits(Known(lived.values))
    show(capsys, "the package as it is", lived, hits)
    assert {channel: found for channel, found in hits.items() if found} == {}
    assert len(hits) == channels()
    assert all(lived.channels.size(channel) for channel in hits)
    assert b"DEBUG:canary:this process logs at DEBUG" in lived.said("rotate")


def test_each_encoding_is_found_in_what_each_channel_showed(lived: Stage) -> None:
    """A value put into the middle of what was really seen there is found, in every channel and every encoding."""
    value, cells = canary(), 0
    known = Known({"planted": value})
    for channel in lived.channels:
        content = max((content for _, content in lived.channels[channel]), key=len)[:MUCH]
        half = len(content) // 2
        for name, encode in ENCODINGS.items():
            forms_of_it = list(encode(value.encode()))
            assert all(known.names(content[:half] + form + content[half:]) for form in forms_of_it), (channel, name)
            cells += 1
    assert cells == channels() * 12


def test_no_core_file_may_be_written(lived: Stage) -> None:
    """The running command has a limit of no bytes for core files, for itself and whoever it starts."""
    assert lived.core_limit.split()[4:6] == [b"0", b"0"]


def test_only_a_verifier_and_scram_go_over_the_wire(lived: Stage) -> None:
    """What was sent to the target, seen without TLS, has SCRAM log-ins and a SCRAM verifier for a password."""
    sent = lived.wire.sent
    assert not lived.wire.errors
    assert b"SCRAM-SHA-256-PLUS\0" in sent
    assert b"PASSWORD 'SCRAM-SHA-256$" in sent
    assert sent.count(b"PASSWORD '") == sent.count(b"PASSWORD 'SCRAM-SHA-256$")


def test_where_values_are_served_nobody_else_may_look(lived: Stage) -> None:
    """The bundle directories are 0700, their files are 0600, and the search does see the values in them."""
    run = lived.installation.run
    real = [
        path
        for place in run.iterdir()
        if place.name.lstrip(".").startswith(SERVED)
        for path in (place, *place.rglob("*"))
        if not path.is_symlink()
    ]
    assert {path.stat().st_mode & 0o077 for path in real} == {0}
    seen = Known(lived.values).found(files(run, run / "status"))
    for name in ("password of database", "database-url"):
        assert any(name in line and line.endswith("raw") for line in seen)


def in_a_file(folder: Path, value: bytes) -> Seen:
    """A file among others."""
    (folder / "below").mkdir()
    (folder / "below" / "left").write_bytes(b"before" + value + b"after")
    return files(folder)


def in_a_database(folder: Path, value: bytes) -> Seen:
    """A row of a database of ours, not yet in its main file."""
    with closing(sqlite3.connect(folder / "journal.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE events (bytes BLOB)")
        database.execute("INSERT INTO events VALUES (?)", (b"before" + value,))
        database.commit()
        return list(files(folder))


def in_a_name(folder: Path, value: bytes) -> Seen:
    """An empty file that is named after it."""
    (folder / value.hex()).touch()
    return files(folder)


def packed(folder: Path, value: bytes) -> Seen:
    """Something that gzip packed, inside something else."""
    (folder / "old.log.gz").write_bytes(b"before" + gzip.compress(b"x" * 100 + value) + gzip.compress(b"more"))
    return files(folder)


def by_a_child(look: Callable[[], Seen], words: list[str], environment: dict[str, str]) -> Seen:
    """A process that lives for as long as it takes to see it."""
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", *words]
    with (
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **environment}
        ) as child,
        Watch(look) as watch,
    ):
        assert child.stdout is not None
        child.stdout.readline()
        before = watch.rounds[0]
        while watch.rounds[0] < before + 2 and not watch.errors:
            pass
        child.communicate()
    return watch.seen


PLANTED: dict[str, Callable[[Path, bytes], Seen]] = {
    "file": in_a_file,
    "database": in_a_database,
    "name of a file": in_a_name,
    "packed": packed,
    "argv": lambda _, value: by_a_child(argv, [f"--password={value.decode()}"], {}),
    "environment": lambda _, value: by_a_child(environments, [], {"PASSWORD": value.decode()}),
}


@pytest.mark.parametrize("channel", PLANTED)
def test_what_is_planted_in_a_channel_is_found(channel: str, tmp_path: Path) -> None:
    """The same search finds a value in a file, a write-ahead log, a name, a packed file, a child's arguments."""
    known = Known({"planted": canary()})
    assert known.found(PLANTED[channel](tmp_path, token_hex(20).encode())) == []
    other = tmp_path / "other"
    other.mkdir()
    planted = token_hex(20)
    found = Known({"planted": planted}).found(PLANTED[channel](other, planted.encode()))
    assert any("planted" in line for line in found)
    assert not any(planted in line for line in found)


@pytest.mark.parametrize("number", range(len(forms(canary()))))
def test_every_form_of_a_value_is_found(number: int) -> None:
    """Wherever it stands in the text, and broken into lines where the form is base64."""
    value = canary()
    name, form = forms(value)[number]
    known = Known({"planted": value})
    for text in (form, b"x" + form, b"xy" + form + b"z"):
        assert f"here: planted, {name}" in known.found([("here", text)])
    assert known.found([("here", b"x" * 1000)]) == []


@pytest.mark.parametrize("before", range(4))
def test_base64_of_a_longer_text_is_found(before: int) -> None:
    """At each of the three offsets, in both alphabets, and in lines of 76 characters."""
    value = canary()
    text = b"a" * before + value.encode() + b"more"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):  # at some offsets both have the same letters
        assert any("base64" in line for line in Known({"planted": value}).found([("here", encode(text))]))
    assert Known({"planted": value}).found([("here", base64.encodebytes(text))])
    assert Known({"planted": value}).found([("here", quote(text).encode())])


def test_a_revealed_value_is_found_in_what_the_command_says(lived: Stage) -> None:
    """The one command that prints a value is caught by the search, and the journal knows why it was printed."""
    reason, channel = "to see whether the search sees", "revealed"
    words = ("get", f"{SECRET_NAME}.password", "--reveal", "--reason", reason)
    assert lived.keyturn(*words, channel=channel) == 0
    found = Known(lived.values).found(lived.channels.taken(channel))
    assert any("password of database" in line for line in found)
    journal = state_of(lived.folder / "state", {}).journal
    assert any(record.data.get("reason") == reason for record in records(journal, SECRET_NAME))
