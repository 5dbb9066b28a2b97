"""Runs every suite in one pytest on two workers, times each folder, and looks whether anything was left behind.

The last line is for scripts: `suites run=unit,live,... missing=name(reason),...`. A suite, or a file of
one, whose real parts are not on this machine is named there, and with CI set that is a failure (but see OPTIONAL).
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from scripts import leftovers, parts

ROOT = Path(__file__).resolve().parent.parent
SUITES = (
    "crash",
    "e2e",
    "serving",
    "cli",
    "live",
    "docker",
    "gates",
    "model",
    "contract",
    "postgres-17",
    "azure-cli",
    "key-vault-emulator",
    "mutants",
    "unit",
)
"""In the order in which they are given out: what takes long and waits much first, so that both workers end together."""

WORKERS = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
"""Most suites wait more than they compute, and two cores are what a machine has at least.

A file stays on one worker: some tell one story from test to test.
"""

NEEDS: Mapping[str, tuple[str, ...]] = {
    "contract": ("postgresql",),
    "live": ("postgresql",),
    "live/client/test_live_redis.py": ("redis-server",),
    "live/postgres/test_pgbouncer.py": ("pgbouncer",),
    "live/postgres/test_pooler.py": ("pgbouncer",),
    "live/postgres/test_pooler_rotation.py": ("pgbouncer",),
    "cli": ("postgresql",),
    "docker": ("docker-engine",),
    "docker/test_proxy.py": ("nginx",),
    "docker/test_units.py": ("systemd",),
    "postgres-17": ("postgresql-17",),
    "azure-cli": ("azure-cli",),
    "key-vault-emulator": ("azure-keyvault-emulator",),
    "crash": ("postgresql",),
    "serving": ("postgresql", "redis-server", "nginx"),
    "e2e": ("postgresql",),
    "crash/test_syscalls.py": ("ptrace",),
    "e2e/test_canary.py": ("pgbouncer",),
    "e2e/test_canary_caught.py": ("pgbouncer",),
    "e2e/test_demo.py": ("iproute2", "network-namespace"),
}
"""What a suite needs of the machine, and what one file of it needs beyond that."""

OPTIONAL = frozenset({"docker", "postgres-17", "azure-cli", "key-vault-emulator"})
"""Named where it is missing, but no failure: not every distribution, or place to run in, has what it needs."""


def has_tests(folder: Path) -> bool:
    """Whether there is a file of tests anywhere in `folder`."""
    return any(folder.rglob("test_*.py"))


def choose(root: Path, wanted: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The suites that can run here, and those that cannot, or files of those that can, with the reason."""
    run: list[str] = []
    missing: dict[str, str] = {}
    for suite in wanted or SUITES:
        if not has_tests(root / "tests" / suite):
            if wanted:
                missing[suite] = "no tests"
            continue
        if absent := _absent(suite):
            missing[suite] = absent
        else:
            run.append(suite)
    single = (
        name for name in NEEDS if "/" in name and name.partition("/")[0] in run and (root / "tests" / name).exists()
    )
    return run, missing | {name: absent for name in single if (absent := _absent(name))}


def _absent(name: str) -> str:
    """The parts of the machine that a suite or a file of tests needs and that are not there."""
    return "+".join(part for part in NEEDS.get(name, ()) if not parts.present(part))


def unknown_folders(root: Path) -> list[str]:
    """Folders of tests that no suite names: they would never run."""
    folders = (path for path in (root / "tests").glob("*/"))
    return sorted(path.name for path in folders if path.name not in SUITES and has_tests(path))


def closing_line(run: Sequence[str], missing: Mapping[str, str]) -> str:
    """The line that a script reads."""
    reasons = ",".join(f"{suite}({reason})" for suite, reason in missing.items())
    return f"suites run={','.join(run)} missing={reasons}"


def left_out(missing: Iterable[str]) -> list[str]:
    """The options that keep pytest from files whose parts are missing."""
    return [f"--ignore=tests/{name}" for name in missing if name.endswith(".py")]


def run_pytest(root: Path, suites: Sequence[str], options: Sequence[str]) -> tuple[int, list[str]]:
    """The exit code of pytest, and what it left behind. Every temporary file lies in one folder, which goes."""
    before = leftovers.tree_state(root)
    with tempfile.TemporaryDirectory(prefix="keyturn-", ignore_cleanup_errors=True) as scratch:
        Path(scratch).chmod(0o711)  # a database server under another user passes through, and lists nothing
        environment = {
            **os.environ,
            "TMPDIR": scratch,
            "HYPOTHESIS_STORAGE_DIRECTORY": str(Path(scratch, "hypothesis")),
        }
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "scripts.timing", *WORKERS, *options]
        command += [f"tests/{suite}" for suite in suites]
        status = subprocess.run(command, cwd=root, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
        left = [*leftovers.end_orphans(), *leftovers.in_folder(Path(scratch))]
    return status, [*left, *leftovers.new_in_tree(before, leftovers.tree_state(root))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when everything that ran passed and nothing was left behind."""
    parser = argparse.ArgumentParser(description="Run the suites.")
    parser.add_argument("suites", nargs="*", help=f"of {', '.join(SUITES)}; default: all that exist")
    parser.add_argument("--pytest", action="append", default=[], metavar="OPTION", help="passed on, may be repeated")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    given = parser.parse_args(arguments)
    with suppress(OSError):
        leftovers.adopt_orphans()
    run, missing = choose(given.root, given.suites)
    status, left = run_pytest(given.root, run, [*given.pytest, *left_out(missing)]) if run else (5, [])
    for line in (f"left behind: {line}" for line in left):
        print(line)
    for folder in (strangers := unknown_folders(given.root)):
        print(f"tests/{folder} belongs to no suite")
    print(closing_line(run, missing))
    red = status or left or strangers or (missing.keys() - OPTIONAL and os.environ.get("CI"))
    return (status or 1) if red else 0


if __name__ == "__main__":
    sys.exit(main())
