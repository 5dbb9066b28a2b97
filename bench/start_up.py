"""What it costs to start: the client's import and the command, as whole processes, against a bare `python -c pass`."""

import tempfile
from pathlib import Path

from bench.measure import Figure, in_turn, process, ratio, seconds
from keyturn.testing.large import install
from keyturn.testing.past import Size

ROUNDS = 15
SMALL = Size(3, 300)


def measure(scratch: Path) -> list[Figure]:
    """Each of them, and Python without anything."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        manifest = install(Path(folder), SMALL)
        things = {
            "python": process("-c", "pass"),
            "import_client": process("-c", "import keyturn.client"),
            "version": process("-m", "keyturn", "--version"),
            "status_json": process("-m", "keyturn", "--manifest", str(manifest), "status", "--json"),
        }
        times = in_turn(things, ROUNDS)
    bare = times.pop("python")
    figures = [ratio(f"{name}_over_python", taken, bare) for name, taken in times.items()]
    return [*figures, *(seconds(f"{name}_process", taken) for name, taken in times.items())]
