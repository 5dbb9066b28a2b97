"""Readers of files and jobs as a manifest's tables make them."""

import os
import signal
from pathlib import Path

import pytest

from keyturn.consumers.files.declared import declared as declared_files
from keyturn.consumers.job.declared import declared as declared_job
from keyturn.core.clock import SystemClock
from keyturn.core.consumer import Delivery
from keyturn.core.errors import NotFound
from keyturn.core.secret import Bundle, SecretValue
from keyturn.manifest.kinds import files, job
from keyturn.manifest.surroundings import Surroundings

NONE: dict[str, Bundle] = {}
BUNDLE = Bundle({"username": "u", "password": "p"})


def around(home: Path) -> Surroundings:
    """The surroundings of a consumer whose view `database-url` has a variable of its own."""
    variables = {"database-url": "PGURL"}
    return Surroundings("web", "clo", "test", home, home / "key", NONE.__getitem__, SystemClock(), variables)


def test_a_table_of_files_says_names_signal_and_evidence(tmp_path: Path) -> None:
    """The variable of a view is its `env`; the signal goes to the process of the pid file; without confirm, grace."""
    pid_file = tmp_path / "pid"
    table = {
        "kind": "files",
        "bundle_dir": str(tmp_path / "run" / "secrets"),
        "signal": {"pidfile": str(pid_file), "name": "USR2"},
        "env_file": "web.env",
        "env_form": "docker",
        "grace": "2m",
    }
    consumer = declared_files(files.Options.model_validate(table), around(tmp_path))
    assert (consumer.name, consumer.reports, consumer.grace) == ("web", False, 120.0)
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, _: heard.append(number))
    try:
        pid_file.write_text(str(os.getpid()))
        pid_file.chmod(0o644)
        for version, fence in (("v1", 1), ("v2", 2)):
            consumer.deliver(Delivery("database", version, BUNDLE, fence, {"database-url": SecretValue("u:p")}))
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert heard == [signal.SIGUSR2]
    lines = (tmp_path / "run" / "secrets" / "web.env").read_text().splitlines()
    assert sorted(line.split("=")[0] for line in lines) == ["DATABASE_PASSWORD", "DATABASE_USERNAME", "PGURL"]


def test_a_table_with_a_command_speaks_for_its_program(tmp_path: Path) -> None:
    """`confirm` makes it one that reports; the command is told whose files lie where."""
    told = "test $KEYTURN_CONSUMER = web && test $KEYTURN_BUNDLE_DIR/database_username -ef database_username"
    table = {
        "kind": "files",
        "bundle_dir": str(tmp_path / "run" / "secrets"),
        "confirm": ["/bin/sh", "-c", f"cd {tmp_path}/run/secrets && {told}"],
        "proof": "claimed",
    }
    consumer = declared_files(files.Options.model_validate(table), around(tmp_path))
    consumer.deliver(Delivery("database", "v1", BUNDLE, 1))
    (program,) = consumer.observe("database", NONE).instances
    assert (consumer.reports, program.runs_on("v1")) == (True, True)


def test_a_table_of_a_job_says_what_is_waited(tmp_path: Path) -> None:
    """With a place for reports it reports; `longest_run` is its grace without one."""
    table = {"kind": "job", "bundle_dir": str(tmp_path / "run" / "bundle"), "longest_run": "2h"}
    silent = declared_job(job.Options.model_validate(table), around(tmp_path))
    assert (silent.reports, silent.grace, silent.longest_run) == (False, 7200.0, 7200.0)
    table["status_dir"] = str(tmp_path / "run" / "status")
    assert declared_job(job.Options.model_validate(table), around(tmp_path)).reports


def test_a_table_of_files_says_which_request_tells_the_program(tmp_path: Path) -> None:
    """To the socket that it names; nobody there is a failed delivery."""
    table = {
        "kind": "files",
        "bundle_dir": str(tmp_path / "run" / "secrets"),
        "http": {"url": "http://127.0.0.1/reload", "socket": str(tmp_path / "nobody")},
        "grace": "2m",
    }
    consumer = declared_files(files.Options.model_validate(table), around(tmp_path))
    consumer.deliver(Delivery("database", "v1", BUNDLE, 1))
    with pytest.raises(NotFound, match="reload"):
        consumer.deliver(Delivery("database", "v2", BUNDLE, 2))
