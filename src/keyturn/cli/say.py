"""How the command speaks.

Rules of errors and hints:

* stdout is data, stderr is everything else: progress, notes, questions, errors.
* An error is one line that says what, and one line that says what now: a command where there is one.
  A manifest with several problems has one line for each of them, with its place.
* What is said of a failure names the thing that failed, never a value of a secret.
* Never a traceback. An error that nobody foresaw is named by its class alone, because its text is
  not ours and might hold anything; `KEYTURN_DEBUG=1` adds the places in the code, without values.
* What others wrote (a database's words, an instance's name) cannot move the cursor or colour the
  screen: unprintable characters are shown escaped.
* `NO_COLOR` is honoured; without a terminal there is no colour and no moving display either.
* A question without a terminal is an error that names the flag which answers it.
"""

import os
import sys
import traceback
from contextlib import suppress
from typing import NoReturn

from keyturn.core.errors import KeyturnError, UsageError
from keyturn.core.finding import Finding, Severity

PIPE = 141
"""As a shell names a process that SIGPIPE ended."""

ERROR, NOW = "error: ", "now:   "
_SIGNS = {
    Severity.INFO: "note",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "CRITICAL",
    Severity.UNKNOWN: "UNKNOWN",
}


def clean(text: str) -> str:
    """`text` on one screen line: what is not printable is escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def data(line: str) -> None:
    """One line on stdout."""
    sys.stdout.write(f"{clean(line)}\n")


def note(line: str) -> None:
    """One line on stderr. A terminal that went away, or a full disk, stops nothing that is under way."""
    with suppress(OSError):
        sys.stderr.write(f"{clean(line)}\n")
        sys.stderr.flush()


def whole() -> None:
    """Streams that the caller closed lead nowhere, so that no file of ours gets their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8")
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8")


def error(failure: KeyturnError) -> None:
    """What happened, and what to do now."""
    for line in failure.message.splitlines():
        note(f"{ERROR}{line}")
    if failure.remedy:
        note(f"{NOW}{failure.remedy}")


def finding_lines(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """Two lines for each finding, the second with its remedy."""
    lines = []
    for one in findings:
        lines.append(f"{_SIGNS[one.severity]}: {one.subject}: {one.message} [{one.reason}]")
        lines += [f"  now: {one.remedy}"] if one.remedy else []
    return tuple(lines)


def unforeseen(failure: BaseException, *, debug: bool) -> None:
    """An error that is not ours: its class, and where it came from if asked for."""
    note(f"{ERROR}something that Keyturn did not foresee: {type(failure).__name__}")
    note(f"{NOW}keyturn doctor; KEYTURN_DEBUG=1 shows where in the code it came from")
    if debug:
        for frame in traceback.extract_tb(failure.__traceback__):
            note(f"  {frame.filename}:{frame.lineno} in {frame.name}")


def ask(question: str, flag: str) -> str:
    """A line that a person types.

    Raises:
        UsageError: there is no terminal; `flag` is what answers instead.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"there is no terminal to ask: {question}", f"say it with {flag}")
    sys.stderr.write(f"{question} ")
    sys.stderr.flush()
    return sys.stdin.readline().rstrip("\n")


def unread() -> None:
    """Whoever read our stdout has left: what else we write goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def let_go() -> None:
    """Before Python ends: what a full disk did not take is given up, for the failure was told or cannot be."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def gone() -> NoReturn:
    """End quietly when whoever read our output has left (`keyturn list | head -1`)."""
    unread()
    sys.exit(PIPE)
