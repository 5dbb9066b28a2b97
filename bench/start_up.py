"""What it costs to start: the client's import and the command, as whole processes, against a bare `python -c pass`."""

import tempfile
from pathlib import Path

from bench.measure import Figure, Process, in_turn, ratio, seconds
from keyturn.testing.large import install
from keyturn.testing.past import Size

ROUNDS = 15
SMALL = Size(3, 300)


def measure(scratch: Path) -> list[Figure]:
    """Each of them, and Python without anything."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        manifest = install(Path(folder), SMALL)
        things: dict[str, Process] = {
            "python": Process("-c", "pass"),
            "import_client": Process("-c", "import keyturn.client"),
            "version": Process("-m", "keyturn", "--version"),
            "status_json": Process("-m", "keyturn", "--manifest", str(manifest), "status", "--json"),
        }
        times = in_turn(things, ROUNDS)
    bare = times.pop("python")
    figures = [ratio(f"{name}_over_python", taken, bare) for name, taken in times.items()]
    return [*figures, *(seconds(f"{name}_process", taken) for name, taken in times.items())]
