"""azure-cli in an environment of its own: fetched once and kept below .cache, for the tests of `bootstrap azure`.

    python -m scripts.azure_cli     exit status 0, also where it cannot be reached; 1 where it is not what was pinned

Only its parser is used, which needs no account. scripts/azure-cli.lock has azure-cli itself and what
it imports to parse the commands that we write; the clients of services that we do not call are left out.
It never gets into our own environment, and its packages are none of our dependencies. Later runs need no network.
A suite that finds no azure-cli is named as missing.

The lock anew: `uv pip compile --universal --python-version 3.11 --generate-hashes --exclude-newer '7 days'
--no-header --no-annotate --no-emit-index-url --no-emit-find-links` of `azure-cli==VERSION`, and of what comes out
the rows that the lock has now.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = "scripts/azure-cli.lock"
SECONDS = 600
_UNREACHABLE = re.compile(
    r"connection|timed out|time-?out|unreachable|name resolution|no matching distribution|proxy", re.IGNORECASE
)
"""What pip says when the packages are not to be had from here; anything else is a fault."""


class NotToBeHad(Exception):
    """Why there is no azure-cli here, in a few words."""


class NotAsPinned(Exception):
    """It was reached, and something is wrong with it or with us."""


def kept(root: Path = ROOT) -> Path:
    """Where it lies once it was fetched; for another lock or another Python there is another folder."""
    digest = hashlib.sha256((root / LOCK).read_bytes()).hexdigest()[:16]
    return root / ".cache" / f"azure-cli-{digest}-{sys.version_info.major}.{sys.version_info.minor}"


def program(root: Path = ROOT) -> Path | None:
    """The Python that can import it, None where there is none."""
    found = kept(root) / "bin" / "python"
    return found if found.is_file() else None


def fetch(root: Path = ROOT) -> None:
    """Make the environment, fill it, try it, and move it into place in one step.

    Raises:
        NotToBeHad: the packages cannot be reached from here.
        NotAsPinned: they are not the ones that were pinned, or do not work.
    """
    (root / ".cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / ".cache", prefix="azure-cli-") as scratch:
        made = Path(scratch, "environment")
        _run([sys.executable, "-m", "venv", str(made)])
        pip = [str(made / "bin" / "python"), "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check"]
        wanted = [
            "--no-cache-dir",
            "--no-compile",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--no-deps",
            "--retries",
            "1",
        ]
        _run([*pip, "install", *wanted, "--requirement", str(root / LOCK)])
        _run([str(made / "bin" / "python"), "-c", "import azure.cli.core, azure.cli.command_modules.keyvault"])
        made.rename(kept(root))


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"it did not come within {SECONDS} s") from None
    if done.returncode == 0:
        return
    raise judged((done.stdout + done.stderr).strip() or f"{command[0]} ended with {done.returncode}")


def judged(said: str) -> NotToBeHad | NotAsPinned:
    """What the words of an installer that failed mean."""
    if "HASH" not in said and _UNREACHABLE.search(said):
        return NotToBeHad("pip could not fetch it")
    return NotAsPinned(said)


def main() -> int:
    """Fetch it unless it is here. That it cannot be reached is said, and is no failure of the set-up."""
    if program() is not None:
        return 0
    try:
        print("keyturn: fetching azure-cli for its tests (360 MB on disk)", file=sys.stderr)
        fetch()
    except NotToBeHad as error:
        print(f"keyturn: no azure-cli, its tests will be named as missing: {error}", file=sys.stderr)
    except NotAsPinned as error:
        print(f"keyturn: azure-cli could not be set up: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
