"""`keyturn run --files`: values in files that are there as long as the program is."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from keyturn.client.environment import MAX_BYTES
from keyturn.core.consumer import Delivery
from keyturn.core.secret import Bundle, SecretValue
from tests.cli.conftest import Keyturn, wait_until
from tests.cli.test_run import URL, ran
from tests.cli.test_watch import LOOP, gone, watched
from tests.unit.client.test_run import Night


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A bundle directory with two secrets, and its client file."""
    return Night(tmp_path)


def test_the_program_finds_files_and_no_value_in_its_environment(keyturn: Keyturn, night: Night) -> None:
    """As images read them: DATABASE_URL_FILE; for its user alone, in memory, and gone afterwards."""
    look = 'stat -c "mode=%a" "$API_KEY_FILE"; exec df --output=fstype "$API_KEY_FILE"'
    found = ran(keyturn, night, "--files", "--", "sh", "-c", f'env; cat "$DATABASE_URL_FILE"; echo; {look}').out
    lines = found.splitlines()
    place = next(line.partition("=")[2] for line in lines if line.startswith("DATABASE_URL_FILE="))
    assert [lines.count(URL), "mode=600" in lines, lines[-1]] == [1, True, "tmpfs"]
    assert not any(line.startswith(("DATABASE_URL=", "API_KEY=")) for line in lines)
    assert not Path(place).parent.parent.exists()


@pytest.mark.parametrize(
    ("argv", "status"),
    [(["sh", "-c", "exit 3"], 3), (["sh", "-c", "kill -TERM $$"], 143), (["/nonexistent/program"], 127), ([""], 127)],
)
def test_the_exit_status_is_the_programs(keyturn: Keyturn, night: Night, argv: list[str], status: int) -> None:
    """128 and the number where a signal ended it; 127 where there is none."""
    assert ran(keyturn, night, "--files", "--", *argv).status == status


def test_signals_reach_the_program_and_the_files_go_with_it(keyturn: Keyturn, night: Night) -> None:
    """Its last word comes before they are removed."""
    script = f'trap "cat $API_KEY_FILE; echo; exit 4" TERM; echo $(dirname $API_KEY_FILE); {LOOP}'
    command = keyturn.command("run", "--config", night.file, "--files", "--", "sh", "-c", script)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=keyturn.environment(), text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        process.send_signal(signal.SIGTERM)
        assert process.communicate()[0] == "key\n"
        assert process.returncode == 4
    assert not folder.exists()


def test_nothing_is_started_anew_without_watch(keyturn: Keyturn, night: Night) -> None:
    """The program keeps what it began with, file and all."""
    fifo = night.status.parent / "go"
    os.mkfifo(fifo)
    script = f'echo $DATABASE_URL_FILE; read line < {fifo}; cat "$DATABASE_URL_FILE"'
    command = keyturn.command("run", "--config", night.file, "--files", "--", "sh", "-c", script)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=keyturn.environment(), text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        night.deliver("v2")
        fifo.write_text("go\n")
        assert process.communicate()[0] == URL


def test_with_watch_the_next_program_has_files_of_its_own(keyturn: Keyturn, night: Night) -> None:
    """Those of the one before are gone by then."""
    script = f"echo $$ $DATABASE_URL_FILE $(cat $DATABASE_URL_FILE); {LOOP}"
    with watched(keyturn, night, script, "--files") as program:
        first, before, url = program.line().split()
        assert url == URL
        night.deliver("v2")
        second, after, url = program.line().split()
        assert url == "postgresql://v2"
        assert gone(int(first))
        assert not Path(before).exists()
        program.process.send_signal(signal.SIGTERM)
        program.process.wait()
        wait_until(lambda: gone(int(second)))
        assert not Path(after).parent.parent.exists()


def test_a_file_carries_what_no_variable_can(keyturn: Keyturn, night: Night) -> None:
    """A NUL, and any length."""
    long = {"maps-key": SecretValue("\0" + "k" * MAX_BYTES)}
    night.job.deliver(Delivery("api-key", "k2", Bundle({"value": "v"}), 9, long))
    said = ran(keyturn, night, "--files", "--", "sh", "-c", 'exec wc -c < "$MAPS_KEY_FILE"')
    assert said.out.strip() == str(MAX_BYTES + 1)


def test_a_value_beside_its_file_is_refused(keyturn: Keyturn, night: Night) -> None:
    """Which one would the program take; --pristine hands no value on."""
    said = ran(keyturn, night, "--files", "--", "env", DATABASE_URL="old")
    assert (said.status, said.out) == (125, "")
    assert "DATABASE_URL is set" in said.err
    assert ran(keyturn, night, "--files", "--pristine", "--", "true", DATABASE_URL="old").status == 0
