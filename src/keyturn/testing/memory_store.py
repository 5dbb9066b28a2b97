"""Doubles of a store and an escrow: in memory, strict like the real ones, and able to fail on request."""

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from keyturn.core.errors import AdapterError, Conflict, Disabled, InvalidName, NotFound, TooLarge, UsageError
from keyturn.core.secret import Bundle, check_name
from keyturn.core.version import Version, VersionState


@dataclass(frozen=True, slots=True)
class _Fault:
    method: str
    error: AdapterError
    after: bool


class _Faults:
    """What is to go wrong, each once: before the effect, or after it (the reply is lost)."""

    def __init__(self) -> None:
        self._waiting: list[_Fault] = []

    def plan(self, method: str, error: AdapterError, *, after: bool) -> None:
        self._waiting.append(_Fault(method, error, after))

    @contextmanager
    def around(self, method: str) -> Iterator[None]:
        fault = next((fault for fault in self._waiting if fault.method == method), None)
        if fault is not None:
            self._waiting.remove(fault)
            if not fault.after:
                raise fault.error
        yield
        if fault is not None:
            raise fault.error


class MemoryStore:
    """A double of `Store` for tests: nothing is kept, and `kind` says so.

    It passes the same contract suite as the real stores (`keyturn.testing.store_contract`).

    Args:
        cas: whether it compares and swaps. Without, `late` performs a write that was sent before.
    """

    kind = "memory"
    max_bytes = 1024 * 1024

    def __init__(self, *, cas: bool = True) -> None:
        self.cas = cas
        self._lock = threading.RLock()
        self._versions: dict[str, list[Version]] = {}
        self._bundles: dict[str, Bundle] = {}
        self._faults = _Faults()

    def fail(self, method: str, error: AdapterError, *, after: bool = False) -> None:
        """Let the next call of `method` raise `error`: before its effect, or after it."""
        self._faults.plan(method, error, after=after)

    def backup(self) -> "MemoryStore":
        """Another one, which holds what this one holds now."""
        copied = MemoryStore(cas=self.cas)
        copied._versions = {name: list(rows) for name, rows in self._versions.items()}
        copied._bundles = dict(self._bundles)
        return copied

    def read(self, name: str, version: str) -> Bundle:
        """The content of exactly that version. Raises NotFound, Disabled."""
        with self._call("read"):
            found = self._find(name, version)
            if found.state is VersionState.RETIRED:
                raise Disabled(f"version {version} of {name!r} is retired")
            return self._bundles[version]

    def current(self, name: str) -> str | None:
        """The id of the current version, None before the first."""
        with self._call("current"):
            found = self._current(name)
            return found.id if found else None

    def versions(self, name: str) -> tuple[Version, ...]:
        """All versions, oldest first."""
        with self._call("versions"):
            return tuple(self._of(name))

    def names(self) -> tuple[str, ...]:
        """All names that hold a version, sorted."""
        with self._call("names"):
            return tuple(sorted(self._versions))

    def currents(self) -> Mapping[str, str]:
        """The id of the current version of every name that has one."""
        with self._call("currents"):
            heads = {name: self._current(name) for name in sorted(self._versions)}
            return {name: head.id for name, head in heads.items() if head}

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        """Keep `bundle` as pending. Raises Conflict when the attempt holds other bytes, TooLarge."""
        with self._call("stage"):
            if not attempt:
                raise InvalidName("an attempt needs a name")
            if len(bundle.reveal()) > self.max_bytes:
                raise TooLarge(f"a bundle of more than {self.max_bytes} bytes")
            known = self._attempted(name, attempt)
            if known is None:
                fresh = Version(secrets.token_hex(16), attempt, VersionState.PENDING, datetime.now(UTC))
                self._versions.setdefault(name, []).append(fresh)
                self._bundles[fresh.id] = bundle
                return fresh.id
            if self._bundles[known.id] != bundle:
                raise Conflict(f"attempt {attempt} of {name!r} holds another content")
            return known.id

    def promote(self, name: str, attempt: str, expect_current: str | None) -> str:
        """Make the attempt's version current. Raises Conflict, NotFound, Disabled."""
        with self._call("promote"):
            head, former = self._attempted(name, attempt), self._current(name)
            if head is None:
                raise NotFound(f"{name!r} has no version of attempt {attempt!r:.80}")
            if head == former:
                return head.id
            if head.state is VersionState.RETIRED:
                raise Disabled(f"version {head.id} of {name!r} is retired")
            if (former.id if former else None) != expect_current:
                raise Conflict(f"{name!r} has another current version than the one that was expected")
            if former is not None:
                self._mark(name, former, VersionState.PREVIOUS)
            self._mark(name, head, VersionState.CURRENT)
            return head.id

    def late(self, name: str, version: str) -> None:
        """A promote that was sent long ago is performed now, whatever became of that version since."""
        assert not self.cas
        with self._lock:
            former = self._current(name)
            if former is not None:
                self._mark(name, former, VersionState.PREVIOUS)
            self._mark(name, self._find(name, version), VersionState.CURRENT)

    def retire(self, name: str, version: str) -> bool:
        """Switch the version off. Raises Conflict when it is current, NotFound."""
        with self._call("retire"):
            found = self._find(name, version)
            if found.state is VersionState.CURRENT:
                raise Conflict(f"version {version} is the current one of {name!r}")
            self._mark(name, found, VersionState.RETIRED)
            return True

    @contextmanager
    def _call(self, method: str) -> Iterator[None]:
        with self._lock, self._faults.around(method):
            yield

    def _of(self, name: str) -> list[Version]:
        try:
            return self._versions.get(check_name(name), [])
        except UsageError as error:
            raise InvalidName(error.message, error.remedy) from None

    def _find(self, name: str, version: str) -> Version:
        for known in self._of(name):
            if known.id == version:
                return known
        raise NotFound(f"{name!r} has no version {version!r:.80}")

    def _attempted(self, name: str, attempt: str) -> Version | None:
        return next((known for known in self._of(name) if known.attempt == attempt), None)

    def _current(self, name: str) -> Version | None:
        return next((known for known in self._of(name) if known.state is VersionState.CURRENT), None)

    def _mark(self, name: str, version: Version, state: VersionState) -> None:
        rows = self._versions[name]
        rows[rows.index(version)] = replace(version, state=state)


class DirectMemoryStore(MemoryStore):
    """The same, and it takes a content whole (`keyturn.core.store.Direct`)."""

    def put(self, name: str, bundle: Bundle, attempt: str, expect_current: str | None) -> str:
        """Make `bundle` current at once. Raises Conflict, Disabled, InvalidName, TooLarge."""
        with self._call("put"):
            known, former = self._attempted(name, attempt), self._current(name)
            expected = known is not None and known == former
            if not expected and (former.id if former else None) != expect_current:
                raise Conflict(f"{name!r} has another current version than the one that was expected")
            self.stage(name, bundle, attempt)
            return self.promote(name, attempt, expect_current)


class MemoryEscrow:
    """A double of `Escrow` for tests: nothing is kept."""

    def __init__(self) -> None:
        self._kept: dict[str, Bundle] = {}
        self._lock = threading.RLock()
        self._faults = _Faults()

    def fail(self, method: str, error: AdapterError, *, after: bool = False) -> None:
        """Let the next call of `method` raise `error`: before its effect, or after it."""
        self._faults.plan(method, error, after=after)

    def seal(self, attempt: str, bundle: Bundle) -> Bundle:
        """Keep `bundle` for the attempt, unless it holds one already; return the one that is kept."""
        with self._lock, self._faults.around("seal"):
            return self._kept.setdefault(attempt, bundle)

    def seal_all(self, bundles: Mapping[str, Bundle]) -> Mapping[str, Bundle]:
        """The same for several attempts: all are kept, or none."""
        with self._lock, self._faults.around("seal_all"):
            return {attempt: self._kept.setdefault(attempt, bundle) for attempt, bundle in bundles.items()}

    def unseal(self, attempt: str) -> Bundle | None:
        """The candidate of that attempt, None when there is none."""
        with self._lock, self._faults.around("unseal"):
            return self._kept.get(attempt)

    def discard(self, attempt: str) -> None:
        """Forget the candidate; nothing happens when there is none."""
        with self._lock, self._faults.around("discard"):
            self._kept.pop(attempt, None)
