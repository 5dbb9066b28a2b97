"""Why it is not done, in one sentence: waiting for whom, since when, until when, and what you can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from keyturn.core.clock import parse_rfc3339, rfc3339
from keyturn.core.duration import format_duration
from keyturn.core.kinds import MANUAL, begins, rotates
from keyturn.rotation.labels import label
from keyturn.rotation.report import Report


@dataclass(frozen=True, slots=True)
class Subject:
    """One secret: its row in the journal, the report of its open rotation, its policy (seconds).

    `at_work`: a worker holds the secret's lock at this moment.
    """

    name: str
    kind: str
    row: Mapping[str, Any]
    report: Report | None
    deadline: float
    window: float
    every: float | None = None
    at_work: bool = False


def sentence(subject: Subject, now: datetime) -> str:
    """The sentence."""
    row = subject.row
    if row.get("drift"):
        return _drift(subject, row["drift"])
    if row.get("rotation"):
        held = row.get("held")
        if held is not None and held["by"] != "deadline":
            return _held(subject, held)
        return _open(subject, row["rotation"], now)
    if row.get("current"):
        return _done(subject, row["current"], now)
    return f"{subject.name} has no version yet: keyturn {begins(subject.kind)} {subject.name}"


def _drift(subject: Subject, drift: Mapping[str, Any]) -> str:
    return (
        f"{subject.name} stands still since {drift['since']}, because the world matches nothing that was decided "
        f"({drift['reason']}), until a person has looked: keyturn doctor, then keyturn resume {subject.name}"
    )


def _held(subject: Subject, held: Mapping[str, Any]) -> str:
    return (
        f"{subject.name} is held by {held['by']} since {held['since']} ({held['reason']}), "
        f"until somebody resumes it: keyturn resume {subject.name}, {_back(subject)}"
    )


def _open(subject: Subject, rotation: Mapping[str, Any], now: datetime) -> str:
    step, report = rotation["step"], subject.report
    since = report.steps[-1].ended if report and report.steps else rotation["since"]
    who = f"{rotation['worker'] or 'somebody'} is at it" if subject.at_work else "nobody is at it"
    return (
        f"{subject.name} is {label(step)} since {since}{_waits(subject, rotation)}, "
        f"{_until(subject, step, since, now)} "
        f"({who}): {_can(subject, step)}"
    )


def _waits(subject: Subject, rotation: Mapping[str, Any]) -> str:
    failed, report = rotation["failed"], subject.report
    if failed:
        return f", waiting because {failed['message']} ({failed['code']}, since {failed['since']})"
    holdouts = report.holdouts if report and rotation["step"] == "settle" else ()
    return f", waiting for {'; '.join(holdouts)}" if holdouts else ""


def _until(subject: Subject, step: str, since: str, now: datetime) -> str:
    last = subject.row.get("last")
    if step == "plan" and last and _later(last["at"], subject.window) > now:
        return f"until its slot has rested after the last rotation ({rfc3339(_later(last['at'], subject.window))})"
    if step != "settle":
        return "until that step has its proof"
    late = rfc3339(_later(since, subject.deadline))
    return f"until all of them have moved and the old one was seen unused (a finding from {late} on, never an end)"


def _later(time: str, seconds: float) -> datetime:
    return parse_rfc3339(time) + timedelta(seconds=seconds)


def _can(subject: Subject, step: str) -> str:
    choices = [] if subject.at_work else [f"keyturn resume {subject.name}"]
    report = subject.report
    if step == "settle" and report and report.holdouts:
        consumer = next(shown.consumer for shown in report.consumers if shown.holdouts)
        choices.append(f"keyturn consumer excuse {consumer} --secret {subject.name} --until 2h --reason TEXT")
    return ", ".join([*choices, _back(subject)])


def _back(subject: Subject) -> str:
    """The way back, as long as there is one."""
    report = subject.report
    done = {one.step for one in report.steps} if report else set()
    if "control:old" in done or (report and report.direction != "forward"):
        return f"keyturn status {subject.name}"
    return f"keyturn {'revert' if 'promote' in done else 'abort'} {subject.name}"


def _done(subject: Subject, current: Mapping[str, Any], now: datetime) -> str:
    age = max(0.0, (now - parse_rfc3339(current["since"])).total_seconds())
    words = f"{subject.name} is on version {current['version']} since {current['since']} ({format_duration(age)})"
    last = subject.row.get("last")
    if last:
        words += f"; its last rotation {last['outcome']} at {last['at']}"
        words += f", the old version was {last['death']}" if last["death"] else ""
    words += _by_hand(subject)
    if subject.every is None:
        return words
    left = subject.every - age
    when = f"due in {format_duration(left)}" if left > 0 else f"due since {format_duration(-left)}"
    return f"{words}; {when}"


def _by_hand(subject: Subject) -> str:
    """Who changes it, where Keyturn does not."""
    if subject.kind == MANUAL:
        return "; a person changes it"
    return "" if rotates(subject.kind) else f"; a person changes it: {not_rotated(subject.kind)}"


def not_rotated(kind: str) -> str:
    """What this version does not do for a kind, in words."""
    return f"rotating kind {kind} is not available in this version"
