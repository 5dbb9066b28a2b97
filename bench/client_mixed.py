"""Whether a reader ever sees parts of two versions, or none: several processes read while another one delivers.

Half of the reads are those of an application (`secrets.bundle`), half open the directory anew each time.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.delivering import SECRET, configuration, consistent, delivering
from bench.measure import Figure, Goal
from keyturn.client import Secrets
from keyturn.client.sources.bundle_dir import BundleDirectory
from keyturn.core.errors import AdapterError

READERS, READS = 4, 40_000  # each of them twice: 320,000 in all
GOAL = Goal(0.0)


def measure(scratch: Path) -> list[Figure]:
    """How many reads were wrong, of all; the number of reads stands where others have their rounds."""
    with tempfile.TemporaryDirectory(dir=scratch) as home, delivering(Path(home), 0.0):
        command = [sys.executable, "-m", "bench.client_mixed", home, str(READS)]
        readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(READERS)]
        told = [reader.communicate()[0].split() for reader in readers]
    if any(reader.returncode for reader in readers):
        raise RuntimeError("a reader ended before its time")
    reads, wrong, versions = (sum(int(one[n]) for one in told) for n in range(3))
    if versions < READERS * 100:
        raise RuntimeError(f"only {versions} changes were seen")
    return [
        Figure("reads_mixed_or_missing", wrong, "reads", reads, 0.0, GOAL),
        Figure("changes_seen_meanwhile", versions, "versions", reads, 0.0),
    ]


def main(home: Path, reads: int) -> None:
    """Read, and print how many reads were made, how many were wrong, and how many versions were seen."""
    table = {"kind": "bundle-dir", "path": str(home / "run" / "bundle")}
    wrong, versions = 0, set[str]()
    with Secrets.open(configuration(home)) as secrets:
        for _ in range(reads):
            view = secrets.bundle(SECRET)
            wrong += not consistent(view)
            try:
                generation = BundleDirectory(table, (SECRET,)).changed()
            except AdapterError:
                generation = None
            wrong += generation is None or not consistent(generation.views[SECRET])
            versions |= {view.version} | ({generation.views[SECRET].version} if generation else set())
    print(2 * reads, wrong, len(versions))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
