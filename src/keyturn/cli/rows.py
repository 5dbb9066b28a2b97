"""The status row of a secret in the journal, as the commands use it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keyturn.checks.rotations import Standing
from keyturn.core.clock import parse_rfc3339
from keyturn.core.kinds import mints, rotates
from keyturn.manifest.secret import SecretTable
from keyturn.rotation.labels import label

NEVER: Mapping[str, Any] = {}


def age(row: Mapping[str, Any], now: datetime) -> float | None:
    """Seconds since the current version became current; None without one."""
    current = row.get("current")
    return None if current is None else max(0.0, (now - parse_rfc3339(current["since"])).total_seconds())


def standing(name: str, table: SecretTable, row: Mapping[str, Any], now: datetime) -> Standing:
    """The facts of the check `rotations`."""
    rotation, held, drift = row.get("rotation"), row.get("held"), row.get("drift")
    failed = rotation and rotation["failed"]
    return Standing(
        secret=name,
        rotatable=rotates(table.kind),
        mints=mints(table.kind),
        age=age(row, now),
        every=table.rotate.every,
        open_step=label(rotation["step"]) if rotation else "",
        held=f"held by {held['by']}: {held['reason']}" if held else "",
        undeclared=bool(held and held.get("undeclared")),
        drift=str(drift["reason"]) if drift else "",
        failing=f"{label(failed['effect'])}: {failed['message']}" if failed else "",
        gap=row.get("gap") is not None,
        unsupported=row.get("unsupported") or "",
    )


def stage(row: Mapping[str, Any]) -> str:
    """One word for where a secret stands: none, ok, open, held or drift."""
    if row.get("drift"):
        return "drift"
    if row.get("rotation"):
        return "held" if row.get("held") else "open"
    return "ok" if row.get("current") else "none"
