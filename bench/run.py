"""What `keyturn run` adds to a program: `keyturn run -- true` against `env -i true`, as whole processes.

`env` also becomes the program by execve(2): what is left between the two is what Keyturn takes to start, to read the
bundle, and to become another program. `--files` has a parent besides, and removes the files in the end.
"""

import json
import tempfile
from pathlib import Path

from bench.measure import Figure, Goal, Process, in_turn, seconds
from keyturn.client.configuration import SCHEMA
from keyturn.consumers.application import Application
from keyturn.core.consumer import Delivery
from keyturn.core.secret import Bundle, SecretValue

ROUNDS = 31
SECRETS = 10
GOAL = Goal(0.15)
PROGRAM = "/bin/true"
PYTHON = f"import os; os.execv({PROGRAM!r}, [{PROGRAM!r}])"


def served(folder: Path) -> Path:
    """The client file of a consumer with some secrets, each with a published name."""
    bundle = folder / "run" / "bundle"
    web = Application(name="web", service="clo", environment="test", bundle_dir=bundle, status_dir=None, grace=1.0)
    names = [f"secret-{number}" for number in range(SECRETS)]
    for name in names:
        url = SecretValue(f"postgresql://{name}:{'x' * 32}@db.internal:5432/clo")
        web.deliver(Delivery(name, "1", Bundle({"username": name, "password": "x" * 32}), 1, {f"{name}-url": url}))
    file = folder / "keyturn.client.json"
    source = {"kind": "bundle-dir", "path": str(bundle)}
    file.write_text(json.dumps({"schema": SCHEMA, "source": source, "secrets": names}))
    return file


def measure(scratch: Path) -> list[Figure]:
    """What each adds to `env -i true` of the same round; Python adds the first part of it."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        run = ("-m", "keyturn", "run", "--config", str(served(Path(folder))))
        things = {
            "env": Process("-i", PROGRAM, program="/usr/bin/env"),
            "python": Process("-c", PYTHON),
            "run": Process(*run, "--", PROGRAM),
            "run_files": Process(*run, "--files", "--", PROGRAM),
        }
        times = in_turn(things, ROUNDS)
    bare = times.pop("env")
    added = {name: [one - other for one, other in zip(taken, bare, strict=True)] for name, taken in times.items()}
    return [seconds(f"{name}_adds", taken, GOAL if name == "run" else None) for name, taken in added.items()]
