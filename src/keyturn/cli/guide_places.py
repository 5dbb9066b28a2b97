"""The directories of `keyturn init --from-guide`: the guide's own, and those that consumers read."""

import stat
from dataclasses import dataclass
from pathlib import Path

from keyturn.core.errors import Denied, NotFound, UsageError
from keyturn.manifest.guide import CONFIG, SECRETS
from keyturn.manifest.guide_template import guide_consumers
from keyturn.system.files import OPEN_TO_OTHERS, make_directory, typed_errors

RUN = Path("/run/keyturn")


@dataclass(frozen=True, slots=True)
class Laid:
    """Where consumers read, what was made, and what there is to say of what was there."""

    run: Path
    made: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def lay_out(here: Path, run: Path) -> Laid:
    """Make each directory that is not there, 0700; one that is there is left as it is, and looked at.

    Raises:
        UsageError: consumers' directories cannot be made there.
        AdapterError: the guide's own cannot be made.
    """
    own, read = (here / SECRETS, here / CONFIG), (run, *(run / name for name in guide_consumers()))
    made = [path for path in own if make_directory(path)]
    try:
        made += [path for path in read if make_directory(path)]
    except (Denied, NotFound) as error:
        raise UsageError(error.message, "name a place that this user can write, best on a tmpfs: --run PATH") from None
    notes = (_open(path) for path in (*own, *read) if path not in made)
    return Laid(run, tuple(made), tuple(note for note in notes if note))


def _open(path: Path) -> str:
    with typed_errors(str(path)):
        mode = stat.S_IMODE(path.stat().st_mode)
    return f"{path} is {mode:04o}, others can look into it: chmod 700 {path}" if mode & OPEN_TO_OTHERS else ""
