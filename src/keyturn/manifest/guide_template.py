"""The manifest that `keyturn init --from-guide` writes: every name of the guide, each declared as it should be.

Its text is `guide.toml`, where `#! KIND` stands for what this version does not do for that kind: that comes from the
table of kinds, so that it is true of the version that wrote the manifest.
"""

import re
from importlib.resources import files
from string import Template

from keyturn.core.kinds import mints, rotates

_LIMITS = re.compile(r"^#! ([a-z-]+)\n", re.MULTILINE)
_CONSUMER = re.compile(r"^\[consumers\.([a-z-]+)\]", re.MULTILINE)


def guide_tables(*, run: str, here: str) -> str:
    """The tables behind [stores.main]: secrets, consumers and the profile of a developer.

    Args:
        run: where the consumers' directories are, as it stands between the quotes of a basic string.
        here: where the manifest is, in the same form.
    """
    text = _LIMITS.sub(lambda match: _limits(match[1]), _text())
    return Template(text).substitute(run=run, here=here)


def guide_consumers() -> tuple[str, ...]:
    """Each has a directory of its own below the one for all of them."""
    return tuple(_CONSUMER.findall(_text()))


def _text() -> str:
    return files("keyturn.manifest").joinpath("guide.toml").read_text(encoding="utf-8")


def _limits(kind: str) -> str:
    if rotates(kind):
        return ""
    first = "`provision` makes a first one, `import` takes yours" if mints(kind) else "`import` or `set` takes yours"
    return f"# Kept and delivered: {first}. Rotating kind {kind} is not available in this version.\n"
