"""A folder with a manifest, and `az` on the path."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import azure_cli
from tests.azure_subscription import MANIFEST, Azure
from tests.cli.conftest import Keyturn

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def az(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which `az` is the recording one."""
    folder = tmp_path_factory.mktemp("az")
    program = folder / "az"
    program.write_text(f"#!{sys.executable} -IS\n{(HERE / 'az_client.py').read_text()}")
    program.chmod(0o700)
    python = azure_cli.program()
    assert python is not None
    process = subprocess.Popen(
        [python, HERE / "recording_az.py", folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            plain = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
            yield {**plain, "PATH": f"{folder}:{os.environ['PATH']}", "RECORDING_AZ": str(folder / "az.sock")}
        finally:
            process.terminate()
    shutil.rmtree(folder)


@pytest.fixture
def azure(az: dict[str, str], tmp_path: Path) -> Azure:
    """A subscription with nothing in it."""
    return Azure.empty(tmp_path, az)


@pytest.fixture
def keyturn(tmp_path: Path) -> Keyturn:
    """The command in a folder with a manifest."""
    manifest = tmp_path / "keyturn.toml"
    manifest.write_text(MANIFEST.format(folder=tmp_path / "state"))
    return Keyturn(tmp_path, manifest)
