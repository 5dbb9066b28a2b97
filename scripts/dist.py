"""Builds the wheel and the sdist twice, compares the bytes, looks inside, and puts them into dist/.

The last line is for scripts: `dist files=N reproducible=yes|no strangers=N`.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path

from scripts.gates.tree import files
from scripts.run_tests import ROOT

NEVER_SHIPPED = frozenset({"tests", "scripts", "examples", "docs", "bench", ".ci"})


def commit_time(root: Path) -> str:
    """Seconds since 1970 of the last commit: the time that every file in an archive gets."""
    command = ["git", "-C", str(root), "log", "-1", "--format=%ct"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "315532800"


def build(root: Path, scratch: Path) -> dict[str, Path]:
    """Both archives, made from a fresh copy of the checkout: name to place."""
    source, out = scratch / "source", scratch / "out"
    for path in files(root):
        place = source / path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": commit_time(root)}
    subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True)
    return {path.name: path for path in sorted(out.iterdir())}


def contents(archive: Path) -> list[str]:
    """Names in a wheel, or in an sdist without its first folder."""
    if archive.suffix == ".whl":
        return zipfile.ZipFile(archive).namelist()
    with tarfile.open(archive) as opened:
        return [name.partition("/")[2] for name in opened.getnames()]


def strangers(archive: Path) -> list[str]:
    """Names in an archive that only a checkout should have."""
    return [name for name in contents(archive) if name.partition("/")[0] in NEVER_SHIPPED]


def digest(archive: Path) -> str:
    """SHA-256 as hex."""
    return sha256(archive.read_bytes()).hexdigest()


def main(root: Path = ROOT) -> int:
    """Exit status 0 when both builds are the same and hold nothing but the product."""
    with tempfile.TemporaryDirectory(prefix="keyturn-") as scratch:
        first, second = build(root, Path(scratch, "first")), build(root, Path(scratch, "second"))
        same = {name: digest(path) for name, path in first.items()} == {
            name: digest(path) for name, path in second.items()
        }
        wrong = [f"{name} holds {stranger}" for name, path in first.items() for stranger in strangers(path)]
        (root / "dist").mkdir(exist_ok=True)
        for name, path in first.items():
            shutil.copyfile(path, root / "dist" / name)
            print(f"{digest(path)}  dist/{name}")
    for line in wrong:
        print(line)
    print(f"dist files={len(first)} reproducible={'yes' if same else 'no'} strangers={len(wrong)}")
    return int(not same or bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
