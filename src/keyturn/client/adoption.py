"""How one process moves from one version of a secret to another: try the new, switch, let go of the old.

Reads give the accepted version. A version that is delivered is accepted at once where nothing holds
the secret open, else when every holder has tried it. What a holder turns down stays where it is, the
old one stays in use, and the reason is reported.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from threading import RLock
from typing import Protocol

from keyturn.client import log
from keyturn.client.view import View
from keyturn.core.errors import AdapterError, Unavailable
from keyturn.core.rejection import Rejection

FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
KEPT_DRAINED = 3
_MAX_REASON = 120


class Holder(Protocol):
    """Something that lives on a secret: a pool, a session, a signer. Called by one thread at a time.

    One that is `inherited = True` has in a forked child what it had in the parent, and is a holder there, too.
    """

    def try_new(self, view: View) -> None:
        """Use this version once, aside, while everything goes on with the one before.

        Raises:
            Unavailable: it could not be tried (no server); it is tried again, and not reported.
            Exception: it will not do; it is reported as rejected by class name and SQLSTATE.
        """

    def switch(self, view: View) -> None:
        """Use this version from now on; it was tried. Must not fail."""

    def settle(self) -> Collection[str]:
        """Let go of what is not current, where that can be done now; the versions still in use."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one secret stands in this process, for a report.

    `loaded` was delivered and is not in use (None: nothing waits); `used` are in use, the one that
    was taken first comes first; `drained` were in use.
    """

    newest: View
    oldest: View | None
    loaded: View | None
    used: tuple[View, ...]
    drained: tuple[View, ...]
    rejection: Rejection | None


class Adoption:
    """One secret in one process.

    Args:
        view: the first version.
        lock: guards all state; never held while a holder is called.
        on_accept: called, without the lock, with each version that reads now give.
    """

    def __init__(self, view: View, lock: RLock, on_accept: Callable[[View], None]) -> None:
        self._lock = lock
        self._on_accept = on_accept
        self._delivered = view
        self._accepted = view
        self._holders: list[Holder] = []
        self._untried: list[Holder] = []
        self._used = {view.version: view}
        self._drained: dict[str, View] = {}
        self._rejection: Rejection | None = None
        self._retry_at = 0.0
        self._delay = FIRST_RETRY

    @property
    def accepted(self) -> View:
        """The version that reads give."""
        return self._accepted

    @property
    def pending(self) -> bool:
        """Whether another version is delivered than reads give."""
        return self._delivered != self._accepted

    @property
    def restless(self) -> bool:
        """Whether there is something to try, or something to let go of."""
        return bool(self.pending or self._untried or len(self._used) > 1)

    def deliver(self, view: View) -> None:
        """Take note of what lies in the source now."""
        with self._lock:
            if view == self._delivered:
                return
            self._delivered = view
            self._rejection = None
            self._retry_at, self._delay = 0.0, FIRST_RETRY
            if self._holders or not self.pending:
                return
            self._accept(view)
        self._on_accept(view)

    def hold(self, holder: Holder) -> View:
        """Register a holder; it begins with the version that is returned, which it has to try first."""
        with self._lock:
            self._holders.append(holder)
            self._untried.append(holder)
            self._retry_at = 0.0
            return self._accepted

    def release(self, holder: Holder) -> None:
        """Forget a holder that uses nothing any more."""
        with self._lock:
            self._holders = [one for one in self._holders if one is not holder]
            self._untried = [one for one in self._untried if one is not holder]

    def step(self, now: float) -> bool:
        """Do what can be done now; `now` in seconds of any clock. Whether the standing changed."""
        before = self.standing()
        if (self.pending or self._untried) and now >= self._retry_at:
            self._try(now)
        if len(self._used) > 1:
            self._settle()
        return self.standing() != before

    def standing(self) -> Standing:
        """Where it stands."""
        with self._lock:
            waits = self.pending or self._untried
            used = () if self._untried and len(self._used) == 1 else tuple(self._used.values())
            return Standing(
                newest=self._delivered,
                oldest=used[0] if used else None,
                loaded=self._delivered if waits else None,
                used=used,
                drained=tuple(self._drained.values()),
                rejection=self._rejection,
            )

    def closed(self) -> Standing:
        """Where it stands when this process uses nothing any more."""
        with self._lock:
            versions = {**self._drained, **self._used, self._delivered.version: self._delivered}
            return Standing(self._delivered, None, None, (), tuple(versions.values()), self._rejection)

    def forked(self, lock: RLock) -> None:
        """Begin anew in a child process: it has no threads, and must not use what its parent holds.

        What is inherited is in the child's memory as well: its versions stay in use until it lets go of them.
        """
        self._lock = lock
        self._holders = [one for one in self._holders if _inherited(one)]
        self._untried = [one for one in self._untried if _inherited(one)]
        if self._holders:
            self._drained = {}
            return
        self._used, self._drained = {self._accepted.version: self._accepted}, {}
        if self.pending:
            self._accept(self._delivered)
            self._drained = {}
            self._on_accept(self._accepted)

    def _try(self, now: float) -> None:
        with self._lock:
            candidate, fresh = self._delivered, self.pending
            asked = tuple(self._holders if fresh else self._untried)
        try:
            for holder in asked:
                holder.try_new(candidate)
        except Unavailable:
            self._turned_down(candidate, None, now)
        except Exception as error:  # noqa: BLE001 - whatever a holder raises, the old version stays in use
            self._turned_down(candidate, error, now)
        else:
            self._approved(candidate, asked, fresh=fresh)

    def _turned_down(self, candidate: View, error: Exception | None, now: float) -> None:
        with self._lock:
            if candidate != self._delivered:
                return
            self._retry_at = now + self._delay
            self._delay = min(self._delay * 2, LONGEST_RETRY)
            if error is not None:
                self._rejection = Rejection(candidate.version, reason(error))
        if error is not None:
            log.warning("version %s of %s rejected: %s", candidate.version, candidate.secret, reason(error))

    def _approved(self, candidate: View, asked: tuple[Holder, ...], *, fresh: bool) -> None:
        with self._lock:
            if candidate != self._delivered:
                return  # another one was delivered while this one was tried
            known = {id(one) for one in asked}
            self._untried = [one for one in self._untried if id(one) not in known]
            if not fresh:
                self._rejection = None if not self._untried else self._rejection
                return
            if not known.issuperset(map(id, self._holders)):
                return  # a holder came while the others tried: the next step asks it as well
            self._accept(candidate)
            holders = tuple(self._holders)
        self._on_accept(candidate)
        for holder in holders:
            try:
                holder.switch(candidate)
            except Exception as error:  # noqa: BLE001 - the others must not stay behind; what it uses, `settle` says
                log.error("a holder of %s failed to switch: %s", candidate.secret, reason(error))

    def _accept(self, view: View) -> None:
        """Under the lock. The version goes to the end of those in use: the others are older."""
        self._used.pop(view.version, None)
        self._drained.pop(view.version, None)
        self._used[view.version] = view
        self._accepted, self._rejection = view, None
        self._retry_at, self._delay = 0.0, FIRST_RETRY
        if not self._holders:
            self._let_go({view.version})

    def _settle(self) -> None:
        with self._lock:
            holders, accepted = tuple(self._holders), self._accepted
        in_use = {accepted.version}
        for holder in holders:
            in_use.update(holder.settle())
        with self._lock:
            if accepted is self._accepted:
                self._let_go(in_use)

    def _let_go(self, in_use: Collection[str]) -> None:
        for version in [version for version in self._used if version not in in_use]:
            self._drained[version] = self._used.pop(version)
        for version in list(self._drained)[:-KEPT_DRAINED]:
            del self._drained[version]


def _inherited(holder: Holder) -> bool:
    return bool(getattr(holder, "inherited", False))


def reason(error: Exception) -> str:
    """Why a version was turned down, in words that can hold no value.

    That is the class and its SQLSTATE; the message only of our own errors, which never hold one.
    """
    words = type(error).__name__
    if isinstance(error, AdapterError):
        words = error.message
    elif state := getattr(error, "sqlstate", None):
        words = f"{words} {state}"
    return "".join(letter if letter.isprintable() else "?" for letter in words)[:_MAX_REASON]
