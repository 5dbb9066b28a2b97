"""A job that knows nothing of Keyturn: `python -m keyturn.client.job [--config FILE] -- PROGRAM [ARGUMENT…]`.

It reports a run around the program: under way before the program begins, a success when its exit
status is 0, else a failure. The program reads the bundle by itself; nothing of it is in its
arguments or its environment. Signals are passed on, and so is its exit status: 128 + n when signal
n ended it, 125 when this wrapper failed, 126 and 127 as a shell has them.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from keyturn.client.run import Run
from keyturn.core.errors import KeyturnError
from keyturn.system.processes import identity_of
from keyturn.system.programs import FROM_KERNEL, OWN_FAILURE, PASSED_ON, become


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit status."""
    parser = argparse.ArgumentParser(prog="keyturn.client.job", description="Report a run of a program to Keyturn.")
    parser.add_argument("--config", help="the client file; default: as keyturn.client finds it")
    parser.add_argument("argv", nargs="+", metavar="PROGRAM", help="the program and its arguments, after --")
    try:
        given = parser.parse_args(arguments)
        logging.basicConfig(format="keyturn: %(message)s", level=logging.WARNING)
        run = Run.open(given.config)
    except SystemExit as left:  # argparse: 2 would be taken for the program's own status
        return OWN_FAILURE if left.code else 0
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except KeyturnError as error:
        sys.stderr.write(f"keyturn: {error.message}\n{error.remedy}\n")
        return OWN_FAILURE
    return around(run, given.argv)


def around(run: Run, argv: Sequence[str]) -> int:
    """Report the run of that program; its exit status.

    The program does not begin before the report names its process: whoever kills this wrapper at any
    moment leaves a report that says as much as is true.
    """
    watched = {*PASSED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        gate, opener = os.pipe()
        child = os.fork()
        if child == 0:
            _become(argv, gate, opener, before)
        os.close(gate)
        run.started(identity_of(child))
        os.write(opener, b"\n")
        os.close(opener)
        status = _wait(child, watched)
        run.ended(succeeded=status == 0)
        return status
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _become(argv: Sequence[str], gate: int, opener: int, mask: set[int | signal.Signals]) -> NoReturn:
    """Wait for the word to begin, then be the program. Never returns."""
    status = OWN_FAILURE
    try:
        os.close(opener)
        if os.read(gate, 1):
            failed = become(argv, os.environ, mask)
            sys.stderr.write(f"keyturn: {failed.why}\n")
            status = failed.status
    finally:
        os._exit(status)  # the parent's clean-up is not ours


def _wait(child: int, watched: set[signal.Signals]) -> int:
    """Pass signals on until it ends; its exit status as a shell would have it."""
    while True:
        came = signal.sigwaitinfo(watched)
        if came.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        elif came.si_code != FROM_KERNEL:
            os.kill(child, came.si_signo)  # not waited for yet: nobody else has its number


if __name__ == "__main__":
    sys.exit(main())
