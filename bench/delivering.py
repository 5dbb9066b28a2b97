"""An application that secrets are delivered to without rest, for benches of the client: `python -m bench.delivering`.

As a process of its own it takes no time of the readers' interpreter, as Keyturn takes none of an application's.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from keyturn.client import View
from keyturn.consumers.application import Application
from keyturn.core.consumer import Delivery
from keyturn.core.secret import Bundle, SecretValue

SECRET, NAME = "database", "database-url"
FIELDS = {"username": "user-", "password": "password-", NAME: "postgresql://"}


def consistent(view: View) -> bool:
    """Whether all parts say that they are of the version that the view is of."""
    return all(view[name] == SecretValue(text + view.version) for name, text in FIELDS.items())


def configuration(home: Path) -> Path:
    """The client file of the application."""
    return home / "keyturn.client.json"


def prepared(home: Path) -> Application:
    """The application, with its client file and a first version."""
    run = home / "run"
    application = Application(
        name="clo-api", service="clo", environment="bench", bundle_dir=run / "bundle", status_dir=None, expect=1
    )
    deliver(application, 1)
    content = {
        "schema": "keyturn/client/1",
        "source": {"kind": "bundle-dir", "path": str(run / "bundle")},
        "secrets": [SECRET],
    }
    configuration(home).write_text(json.dumps(content))
    return application


def deliver(application: Application, number: int) -> None:
    """A version whose every part says which it is."""
    version = f"v{number}"
    bundle = Bundle({"username": f"user-{version}", "password": f"password-{version}"})
    application.deliver(Delivery(SECRET, version, bundle, number, {NAME: SecretValue(f"postgresql://{version}")}))


@contextmanager
def delivering(home: Path, pause: float) -> Iterator[None]:
    """Another version every `pause` seconds, by another process, for as long as the block lasts.

    Raises:
        RuntimeError: the process ended by itself.
    """
    prepared(home)
    command = [sys.executable, "-m", "bench.delivering", str(home), str(pause)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            if not process.stdout.readline():
                raise RuntimeError("nothing is delivered")
            yield
        finally:
            process.communicate()
        if process.returncode:
            raise RuntimeError(f"what delivers ended with {process.returncode}")


def main(home: Path, pause: float) -> None:
    """Deliver until the standard input is closed."""
    application, ending = prepared(home), threading.Event()

    def listen() -> None:
        sys.stdin.read()
        ending.set()

    threading.Thread(target=listen, daemon=True).start()
    for number in count(2):
        deliver(application, number)
        if number == 2:  # noqa: PLR2004 - the first one was there before
            print("delivering", flush=True)
        if ending.wait(pause):
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
