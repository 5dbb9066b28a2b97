"""Processes: identity, death, hardening."""

import os
import subprocess
import sys
from dataclasses import replace

from keyturn.system.processes import alive, shown_gone, start_of, this_process


def test_this_process_is_alive_under_its_own_identity() -> None:
    """Its id says host, pid and start."""
    here = this_process()
    assert here.id == f"{here.host}-{os.getpid()}-{here.start}"
    assert alive(here.pid, here.start)
    assert shown_gone(here, here) is False


def test_a_pid_that_was_given_to_another_process_is_not_the_same_process() -> None:
    """The start time tells them apart."""
    here = this_process()
    assert not alive(here.pid, "1")
    assert shown_gone(replace(here, start="1"), here) is True


def test_nothing_is_shown_about_processes_elsewhere() -> None:
    """Another host, another boot, another pid namespace: one cannot tell, and that is not gone."""
    here = this_process()
    there = replace(here, start="1")
    for other in (replace(there, host="a"), replace(there, boot="a"), replace(there, namespace="pid:[1]")):
        assert shown_gone(other, here) is None


def test_a_zombie_is_dead() -> None:
    """A process that ended and was not waited for has a pid, and no start."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert start_of(child.pid) is None
    assert start_of(child.pid) is None


def test_a_name_with_spaces_and_parentheses_is_no_trouble() -> None:
    """The fields are counted from the last parenthesis."""
    program = "import ctypes;ctypes.CDLL(None).prctl(15,b') Z 1 (');print(1,flush=True);input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        start = start_of(child.pid)
        assert start is not None
        assert start.isdecimal()
        assert int(start) >= int(this_process().start)
        child.communicate(b"\n")


def test_a_hardened_process_leaves_no_core_and_no_memory_to_read() -> None:
    """Not dumpable, and the limit of core files is zero."""
    program = """
import ctypes, resource
from keyturn.system.processes import harden
harden()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 (0, 0)"
