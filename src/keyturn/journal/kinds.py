"""The kinds of records. A name, once given away, keeps its meaning for as long as journals exist.

How a kind may grow: an optional field may be added to its data; any other change is a new version
of the kind, and a reader that knows only the former one treats it as unknown. A kind is never
removed from this table and its name is never given to something else.

`critical` decides what an older Keyturn does with a kind that it does not know: a critical one
makes the stream read-only for it, any other is carried along. So everything that changes what may
be done next at a target or a store is critical. What an ignorant reader may overlook at the price
of waiting longer (an excused consumer, an approval) is not.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from keyturn.core.errors import UsageError

NAME = re.compile(r"[a-z]+(?:_[a-z]+)*(?:\.(?:[a-z]+(?:_[a-z]+)*|\*))?\Z")
"""A family and a word, or a word alone; `family.*` stands for every word of an open family."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One reserved kind, or one open family (`system.*`): its version and whether it is critical."""

    name: str
    version: int
    critical: bool


class Registry:
    """Kinds by name. A name that is taken is refused."""

    def __init__(self) -> None:
        self._kinds: dict[str, Kind] = {}

    def reserve(self, name: str, *, critical: bool, version: int = 1) -> Kind:
        """Give the name away.

        Raises:
            UsageError: it is not a name, it is taken, or an open family covers it.
        """
        if not NAME.match(name) or version < 1:
            raise UsageError(f"{name!r:.80} version {version} is not a kind of record")
        family = f"{name.partition('.')[0]}."
        if name in self._kinds or f"{family}*" in self._kinds:
            raise UsageError(f"the kind {name} is taken", "choose a name that no journal has held")
        if name.endswith(".*") and any(taken.startswith(family) for taken in self._kinds):
            raise UsageError(f"the family {name} has kinds of its own", "choose another family")
        self._kinds[name] = Kind(name, version, critical)
        return self._kinds[name]

    def find(self, name: str) -> Kind | None:
        """The kind of that name, or the open family that it belongs to; None when it is unknown."""
        if not NAME.match(name) or name.endswith(".*"):
            return None
        return self._kinds.get(name) or self._kinds.get(f"{name.partition('.')[0]}.*")

    def knows(self, name: str, version: int) -> bool:
        """Whether a record of that kind and version can be understood here."""
        kind = self.find(name)
        return kind is not None and version <= kind.version

    def fingerprint(self) -> str:
        """A digest of the table: what one version of Keyturn knows, to tell it from another."""
        lines = sorted(f"{kind.name} {kind.version} {kind.critical}" for kind in self)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())


_CRITICAL = """
    secret.declared secret.adopted secret.imported secret.owner_changed secret.exception_granted secret.retired
    version.staged version.promoted version.seen version.retired version.suspended version.compromised version.destroyed
    version.copying version.copied
    rotation.planned rotation.claimed rotation.intended rotation.done rotation.failed rotation.outcome_unknown
    rotation.held rotation.reverted rotation.aborted rotation.drift rotation.closed
    freeze.* vault.* containment.* snapshot gap
"""
_OBSERVED = """
    delivery.sent delivery.observed delivery.rejected target.probed disuse.observed access.read access.denied
    finding.opened finding.resolved alert.queued alert.delivered alert.failed drill.run consumer.excused
    observation.made attestation.made attestation.expired checkpoint.made
    incident.* approval.* review.* system.*
"""

KINDS = Registry()
"""The reserved kinds of this version."""

for _name in _CRITICAL.split():
    KINDS.reserve(_name, critical=True)
for _name in _OBSERVED.split():
    KINDS.reserve(_name, critical=False)
