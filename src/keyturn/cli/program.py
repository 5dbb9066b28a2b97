"""What `keyturn run` does once its words are understood. It waits for no import that a start does not need."""

import os
import sys
from collections.abc import Mapping
from typing import NoReturn

from keyturn.cli import say
from keyturn.cli.delivered import Delivered, delivered
from keyturn.cli.quick import GRACE, Words
from keyturn.cli.settings import DEBUG, Settings, settings
from keyturn.core.duration import parse_duration
from keyturn.core.errors import KeyturnError, UsageError
from keyturn.core.secret import SecretValue
from keyturn.system.processes import harden
from keyturn.system.programs import OWN_FAILURE, become

KEPT = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LANGUAGE", "TZ", "TMPDIR", "PWD"})
"""What --pristine leaves of the environment, and every LC_ name."""

STOPPED = 130


def main(words: Words) -> NoReturn:
    """Run it as the whole of this process."""
    harden()
    say.whole()
    status = _run(words)
    say.let_go()
    sys.exit(status)


def _run(words: Words) -> int:
    try:
        return start(words, settings(words.manifest, words.profile))
    except KeyturnError as failure:
        say.error(failure)
    except KeyboardInterrupt:
        say.note("stopped")
        return STOPPED
    except Exception as failure:  # noqa: BLE001 - the last place: never a traceback
        say.unforeseen(failure, debug=bool(os.environ.get(DEBUG)))
    return OWN_FAILURE


def start(words: Words, chosen: Settings) -> int:
    """Be that program, or watch it; its exit status where it ended, or could not be started.

    Raises:
        KeyturnError: nothing was started, and why.
    """
    found = delivered(chosen, words.consumer, words.config, words.only)
    values = found.variables(found.first(), bounded=not words.files)
    around = inherited(os.environ, values, pristine=words.pristine, files=words.files)
    grace = _seconds(words.grace)
    if words.watch or words.files:
        return _stay(words, found, values, around, grace)
    failed = become(words.argv, {**around, **{name: value.reveal() for name, value in values.items()}})
    say.note(f"{say.ERROR}{failed.why}")
    say.note(f"{say.NOW}{failed.now}")
    return failed.status


def _stay(
    words: Words, found: Delivered, values: Mapping[str, SecretValue], around: Mapping[str, str], grace: float
) -> int:
    """With a parent, whose machinery only those wait for who need it."""
    from keyturn.cli.watching import Found, in_environment, in_files, watched
    from keyturn.system.fleeting import Fleeting

    newest = Found(found.source, lambda seen: found.variables(seen, bounded=not words.files), values)
    if not words.files:
        return watched(words.argv, in_environment(around), newest, grace)
    with Fleeting() as folder:
        return watched(words.argv, in_files(folder, around), newest, grace, restarts=words.watch)


def inherited(
    environ: Mapping[str, str], found: Mapping[str, SecretValue], *, pristine: bool, files: bool = False
) -> dict[str, str]:
    """What the program gets of the environment that we have.

    Raises:
        UsageError: a variable of ours has a twin there, a value or the name of a file: which one would it take?
    """
    around = {name: text for name, text in environ.items() if not pristine or name in KEPT or name.startswith("LC_")}
    for name in found:
        twin, ours = (name, f"{name}_FILE") if files else (f"{name}_FILE", name)
        if twin in around and (files or twin not in found):
            raise UsageError(f"{twin} is set, and {ours} would be too", f"unset {twin}, or --pristine")
        if files and ours in found:
            raise UsageError(f"{ours} would be a value, and the place of {name}", "rename one of them")
    return around


def _seconds(grace: str) -> float:
    try:
        return parse_duration(grace)
    except ValueError as error:
        raise UsageError(f"--grace: {error}", f"--grace {GRACE}") from None
