"""What one run of a job says of itself (docs/formats/run.md).

A run writes it, Keyturn reads it and trusts none of it: it is read into this shape or not at all,
and what counts is proved with the proof key of the version.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from keyturn.core import strict_json
from keyturn.core.clock import parse_rfc3339
from keyturn.core.generation import version
from keyturn.core.proof import FAILED, IN_USE, SUCCEEDED, Acknowledgement
from keyturn.core.secret import NAME, SecretValue

SCHEMA = "keyturn/run/1"
MAX_BYTES = 64 * 1024
LAST_FAILED = "failed.json"
_RUN = re.compile(r"[0-9a-f]{32}\Z")
_HEX = re.compile(r"[0-9a-f]{64}\Z")
_DIGEST = 32
_SHORT = 8


class Outcome(StrEnum):
    """How it stands with a run; the words are also the states under which it proves its versions."""

    RUNNING = IN_USE
    SUCCEEDED = SUCCEEDED
    FAILED = FAILED


@dataclass(frozen=True, slots=True)
class Used:
    """The version that lay there when the run began, and the proof that it was read."""

    version: str
    proof: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `run` is random; `ended` is None while it is under way. Times are RFC 3339."""

    run: str
    host: str
    pid: int
    start: str
    boot: str
    namespace: str
    started: str
    ended: str | None
    outcome: Outcome
    secrets: Mapping[str, Used]

    @property
    def instance(self) -> str:
        """Its process: `<host>-<pid>-<start>`."""
        return f"{self.host}-{self.pid}-{self.start}"

    @property
    def id(self) -> str:
        """Its process, and which of that one's runs."""
        return f"{self.instance}-{self.run[:_SHORT]}"

    @property
    def file(self) -> str:
        """Its name in the status directory.

        A run under way has one of its own. A success has one for the versions it ran on, so that no
        later run on other versions takes it away; only the last failure is kept.
        """
        if self.outcome is Outcome.FAILED:
            return LAST_FAILED
        if self.outcome is Outcome.RUNNING:
            return f"{self.instance}-{self.run}.json"
        versions = strict_json.dump({name: used.version for name, used in self.secrets.items()})
        return f"succeeded-{hashlib.sha256(versions).hexdigest()[:_DIGEST]}.json"

    def words(self, environment: str, secret: str, used: str) -> Acknowledgement:
        """What it proves of the version `used`. Its own random name is the nonce: it answers nobody's question."""
        return Acknowledgement(environment, secret, used, self.instance, self.run, self.outcome)

    def proven(self, environment: str, secret: str, proof_key: SecretValue) -> bool:
        """Whether its proof for that secret is right."""
        used = self.secrets[secret]
        return self.words(environment, secret, used.version).proven(used.proof, proof_key)

    def dump(self) -> bytes:
        """As it is written."""
        return strict_json.dump({"schema": SCHEMA, **asdict(self)})

    @classmethod
    def parse(cls, text: bytes) -> "Run":
        """The run that `dump` wrote.

        Raises:
            ValueError: another schema, shape or content; says which part.
        """
        words: dict[str, type] = dict.fromkeys(
            ("schema", "run", "host", "start", "boot", "namespace", "started", "outcome"), str
        )
        shape: dict[str, type | tuple[type, ...]] = {**words, "pid": int, "secrets": dict, "ended": (str, type(None))}
        content: dict[str, Any] = strict_json.exactly(strict_json.load(text), shape)
        if content.pop("schema") != SCHEMA:
            raise ValueError(f"schema is not {SCHEMA}")
        content["outcome"] = Outcome(content["outcome"])
        content["secrets"] = {name: _used(name, used) for name, used in content["secrets"].items()}
        run = cls(**content)
        _check(run)
        return run


def _check(run: Run) -> None:
    for moment in (run.started, run.ended):
        if moment is not None:
            parse_rfc3339(moment)
    if (run.ended is None) != (run.outcome is Outcome.RUNNING):
        raise ValueError("a run has an end if and only if it is not under way")
    if not _RUN.match(run.run):
        raise ValueError("run is not 32 hex digits")
    if run.pid < 1 or not run.instance.isprintable() or "/" in run.instance:
        raise ValueError("host, pid and start are those of no process")


def _used(name: str, value: object) -> Used:
    content = strict_json.exactly(value, {"version": str, "proof": str})
    if not NAME.match(name):
        raise ValueError("a secret's name is not a name")
    if not _HEX.match(content["proof"]):
        raise ValueError("a proof is 64 hex digits")
    return Used(version(content["version"]), content["proof"])
