"""Makes every adapter fail with values in its hands, and writes each error with its traceback.

    python -m tests.e2e.errors MANIFEST FOLDER

For the canary. Each way is a line `== name`; one that does not fail ends it with status 1.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from keyturn.cli.outside import checkpoints_of
from keyturn.core.consumer import Delivery
from keyturn.core.rotator import Answer
from keyturn.core.secret import Bundle
from keyturn.manifest import load
from keyturn.system.postgres import Server, connect
from keyturn.testing.installation import ADMIN_NAME, SECRET_NAME
from keyturn.wiring import Assembly

HEAD = "== "


def main() -> int:
    """0 when all of them failed."""
    manifest, folder = load(Path(sys.argv[1])), Path(sys.argv[2])
    with closing(Assembly(manifest)) as assembly:
        ways = of_values(assembly.bundle(SECRET_NAME).reveal())
        ways |= {**of_stores(assembly), **of_targets(assembly), **of_consumers(assembly, folder)}
        missed = [name for name, way in ways.items() if not fails(name, way)]
    sys.stdout.write(f"did not fail: {missed}\n" if missed else "")
    return 1 if missed else 0


def fails(name: str, way: Callable[[], object]) -> bool:
    """Whether it does; the error in every form in which a program tells of it."""
    try:
        way()
    except Exception as error:
        sys.stdout.write(f"{HEAD}{name}: {error!r} {error}\n{traceback.format_exc()}")
        logging.getLogger("keyturn.errors").debug("failed: %s", error, exc_info=error)
        return True
    return False


def of_values(sealed: bytes) -> dict[str, Callable[[], object]]:
    """A bundle of what is no bundle."""
    return {
        "a torn bundle": lambda: Bundle.parse(sealed[:-1]),
        "a bundle with more": lambda: Bundle.parse(sealed.replace(b'{"fields"', b'{"more":1,"fields"')),
        "a control character": lambda: Bundle({"password": sealed.decode() + "\0"}),
        "a field without a name": lambda: Bundle({"": sealed.decode()}),
    }


def of_stores(assembly: Assembly) -> dict[str, Callable[[], object]]:
    """The vault and the escrow: names and versions that are not there, a second content of one attempt."""
    store, bundle, admin = assembly.store(SECRET_NAME), assembly.bundle(SECRET_NAME), assembly.bundle(ADMIN_NAME)

    def twice() -> None:
        store.stage(SECRET_NAME, bundle, "an-attempt")
        store.stage(SECRET_NAME, admin, "an-attempt")

    return {
        "no such version": lambda: store.read(SECRET_NAME, "no-such"),
        "two contents of one attempt": twice,
        "too large": lambda: store.stage(SECRET_NAME, Bundle({"value": "x" * 65537}), "large"),
        "promoted from another": lambda: store.promote(SECRET_NAME, "an-attempt", "no-such"),
    }


def one_letter_more(username: str, password: str) -> Bundle:
    """A log-in that is refused."""
    return Bundle({"username": username, "password": f"{password}x"})


def of_targets(assembly: Assembly) -> dict[str, Callable[[], object]]:
    """Log-ins that are refused, and servers that are not there or not the right ones."""
    table: Any = assembly.manifest.secrets[SECRET_NAME]
    options = table.target
    (host, port), *_ = options.endpoints
    place = Server(host, port, options.dbname, "canary", sslrootcert=str(options.sslrootcert))
    bundle = assembly.bundle(SECRET_NAME)
    wrong, name = one_letter_more(bundle["username"].reveal(), bundle["password"].reveal()), options.roles[0]

    def refused() -> None:
        probed = assembly.rotator(SECRET_NAME).accepts(wrong)
        raise LookupError(probed if probed.answer is Answer.REFUSED else None)

    return {
        "a wrong password": lambda: connect(place, wrong),
        "asked of the rotator": refused,
        "no such database": lambda: connect(replace(place, dbname="no such"), bundle),
        "nobody listens": lambda: connect(replace(place, port=1), bundle),
        "no authority": lambda: connect(replace(place, sslrootcert="/dev/null"), bundle),
        "a statement that fails": lambda: connect(place, bundle).execute("SELECT 1/0, current_user"),
        "a role that is not ours": lambda: connect(place, bundle).execute(f"ALTER ROLE {name} SUPERUSER"),
    }


def of_consumers(assembly: Assembly, folder: Path) -> dict[str, Callable[[], object]]:
    """Deliveries that cannot be made, and a program that cannot be told."""
    bundle = assembly.bundle(SECRET_NAME)
    views = assembly.published(SECRET_NAME, bundle)
    delivery = Delivery(SECRET_NAME, "9", bundle, 10**9, views)
    consumers = {one.name: one for one in assembly.consumers(SECRET_NAME)}
    (folder / "outside").rename(folder / "outside-moved")

    def untold() -> None:
        (folder / "reload").write_text("#!/bin/sh\nenv; exit 1\n")
        consumers["web"].deliver(delivery)

    def unsignalled() -> None:
        (folder / "worker.pid").write_text("4194303\n")
        consumers["worker"].deliver(delivery)

    def in_the_way() -> None:
        bundle_dir = folder / "run" / "bundle"
        bundle_dir.unlink()
        bundle_dir.touch(mode=0o600)
        consumers["clo-api"].deliver(delivery)

    def nowhere() -> None:
        raise LookupError(*(one.failure for one in checkpoints_of(assembly).send()))

    return {
        "the reload fails": untold,
        "no process to signal": unsignalled,
        "a file in the way": in_the_way,
        "two values of one file": lambda: consumers["web"].deliver(
            replace(delivery, version="10", published={"database-password": bundle["username"]})
        ),
        "no place for checkpoints": nowhere,
    }


if __name__ == "__main__":
    sys.exit(main())
