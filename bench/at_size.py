"""The commands that people wait for, as whole processes, with 1,000 secrets and 100,000 events.

Peers: `python -c pass` (what any command in this language costs), and a program that reads the same status rows by
hand and prints a line for each. `tick` is measured with fewer secrets, because filling the vault takes its time.
"""

import hashlib
import json
import sqlite3
import tempfile
from pathlib import Path

from bench.measure import Figure, Goal, Process, Timed, in_turn, ratio, seconds, timed
from keyturn.core.clock import SystemClock
from keyturn.core.strict_json import dump
from keyturn.journal import audit
from keyturn.testing.large import install
from keyturn.testing.past import Size

SIZE, FEW = Size(1000, 100_000), Size(100, 10_000)
STATUS_GOAL = Goal(0.5)
VERIFY_GOAL = Goal(3.0, at_least=True)
ROUNDS = 5

BY_HAND = """
import json, sqlite3, sys
for stream, content in sqlite3.connect(sys.argv[1]).execute("SELECT stream, content FROM projection ORDER BY stream"):
    row = json.loads(content)
    current = row["current"]
    print(stream, "is on version", current and current["version"], "since", current and current["since"])
"""

COMMANDS = {
    "status": ("status",),
    "status_one": ("status", "secret-0500"),
    "list": ("list",),
    "history_one": ("history", "secret-0500"),
    "plan_one": ("plan", "secret-0500"),
}


def keyturn(manifest: Path, *words: str) -> tuple[str, ...]:
    """The words of one command on that manifest."""
    return ("-m", "keyturn", "--manifest", str(manifest), *words)


def reparsed(journal: Path) -> None:
    """The naive form of a verification: read each record, write it again, and compare the hash of that."""
    before: dict[str, str] = {}
    rows = sqlite3.connect(f"file:{journal}?mode=ro", uri=True).execute(
        "SELECT stream, seq, hash, stored FROM records ORDER BY stream, seq"
    )
    for stream, seq, named, stored in rows:
        record = json.loads(stored)
        written = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
        sound = hashlib.sha256(written).hexdigest() == named and record["seq"] == seq
        if not sound or record["prev"] != before.get(stream, "0" * 64):
            raise RuntimeError(f"{stream}#{seq}")
        before[stream] = named


def measure(scratch: Path) -> list[Figure]:
    """All of them in turn."""
    with tempfile.TemporaryDirectory(dir=scratch) as large, tempfile.TemporaryDirectory(dir=scratch) as small:
        manifest = install(Path(large), SIZE)
        state = Path(large) / "state"
        commands = {name: Process(*keyturn(manifest, *words)) for name, words in COMMANDS.items()}
        things: dict[str, Timed] = {**commands}
        things["python"] = Process("-c", "pass")
        things["by hand"] = Process("-c", BY_HAND, str(state / "journal.db"))
        things["verify"] = timed(lambda: audit.verify(state / "journal.db", state / "high-water.json"))
        things["reparsed"] = timed(lambda: reparsed(state / "journal.db"))
        things["tick"] = Process(*keyturn(ticking(Path(small)), "tick"))
        times = in_turn(things, ROUNDS)
    figures = [seconds(f"{name}_process", times[name], STATUS_GOAL if name == "status" else None) for name in COMMANDS]
    figures += [seconds(f"{name}_cpu", one.cpu[1:]) for name, one in commands.items()]
    figures += [seconds(f"tick_process_{FEW.secrets}_secrets", times["tick"])]
    figures += [ratio(f"{name}_over_python", times[name], times["python"]) for name in COMMANDS]
    figures += [ratio("status_over_rows_by_hand", times["status"], times["by hand"])]
    figures += [ratio("reparsed_over_audit_verify", times["reparsed"], times["verify"], VERIFY_GOAL)]
    return [*figures, seconds(f"audit_verify_{SIZE.events}_events", times["verify"])]


def ticking(folder: Path) -> Path:
    """An installation in which nothing is due: the vault is as the journal says, each target was just looked at."""
    manifest = install(folder, FEW, stored=True)
    now = SystemClock().now()
    look = {"boot": now.boot, "monotonic_ms": int(now.monotonic * 1000)}
    looks = folder / "state" / "looks.json"
    looks.write_bytes(dump(dict.fromkeys(FEW.names(), look)))
    looks.chmod(0o600)
    return manifest
