"""Writes values in every way in which a program writes things: `python -m tests.e2e.speak MANIFEST CLIENT`.

For the canary: with the package as it is nothing of a value is written, with a package whose values
show themselves most ways write it. Each way is a line `== name` and what was written after it.
"""

import sys
from pathlib import Path

from keyturn.client import Secrets
from keyturn.manifest import load
from keyturn.testing.installation import SECRET_NAME
from keyturn.wiring import Assembly
from tests.unit.core.test_secret_value import SHOWS

HEAD = "== "


def main() -> None:
    """Write a bundle's values, a view, a handle, and errors and log records that hold them."""
    assembly = Assembly(load(Path(sys.argv[1])))
    bundle = assembly.bundle(SECRET_NAME)
    views = assembly.published(SECRET_NAME, bundle)
    with Secrets.open(sys.argv[2]) as secrets:
        held = [bundle, bundle["password"], dict(bundle), dict(views), secrets["database-url"], secrets, assembly]
        for name, show in SHOWS.items():
            sys.stdout.write(f"{HEAD}{name}\n" + "".join(f"{show(one)}\n" for one in held))
    assembly.close()


if __name__ == "__main__":
    main()
