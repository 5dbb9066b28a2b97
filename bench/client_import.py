"""What importing the client costs, as a whole process, against importing the SDK that the guide takes."""

import statistics
import subprocess
import sys
from pathlib import Path

from bench.measure import Figure, Goal, Process, in_turn, ratio

ROUNDS = 21
GOAL_CPU, GOAL_MEMORY = Goal(0.25), Goal(0.5)
AZURE = "import azure.identity, azure.keyvault.secrets"
CLIENT = "import keyturn.client"
BUNDLE = "import keyturn.client, keyturn.client.sources.bundle_dir, keyturn.client.report, logging"
PEAK = "; print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
"""Not `ru_maxrss`: it counts what the parent had before the exec."""


def measure(_: Path) -> list[Figure]:
    """User and system time, and the most memory that each took; `reporting` is all that an application loads later."""
    things = {"azure": Process("-c", AZURE), "client": Process("-c", CLIENT), "reporting": Process("-c", BUNDLE)}
    in_turn(things, ROUNDS)
    cpu = {name: process.cpu[1:] for name, process in things.items()}
    memory = {name: [_peak(text) for _ in range(5)] for name, text in (("azure", AZURE), ("client", CLIENT))}
    return [
        ratio("import_client_cpu_over_azure", cpu["client"], cpu["azure"], GOAL_CPU),
        ratio("import_reporting_client_cpu_over_azure", cpu["reporting"], cpu["azure"]),
        ratio("import_client_memory_over_azure", memory["client"], memory["azure"], GOAL_MEMORY),
        Figure("import_client_cpu", statistics.median(cpu["client"]), "s", ROUNDS, 0.0),
    ]


def _peak(text: str) -> float:
    """KiB."""
    said = subprocess.run([sys.executable, "-c", text + PEAK], capture_output=True, text=True, check=True)
    return float(said.stdout)
