"""`Secrets`: what an application opens once and asks ever after."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Self

from keyturn.client import forks, log, voice
from keyturn.client.adoption import Adoption, Holder
from keyturn.client.configuration import Configuration
from keyturn.client.handle import Handle
from keyturn.client.opening import find, source_of
from keyturn.client.rounds import Rounds, jittered
from keyturn.client.sources import Generation, Pushing, Source, end, pause_of
from keyturn.client.view import View, names_of
from keyturn.core.errors import AdapterError, Conflict, NotFound, Unavailable, UsageError

LOOK_EVERY = 0.25
"""Seconds between two looks at the source: a few system calls each."""
_LOOKS_PER_STALE = 6
_NETWORK_LOOKS_PER_STALE = 3
_BEFORE_DUE = 0.8
_PATIENCE = 10.0
"""Seconds that a read waits at most for a look that somebody else makes."""
_IDLE = 3600.0


def _now() -> float:
    """Seconds that also pass while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Secrets:
    """The secrets of one application in one process. Thread-safe and fork-safe.

    Reads take no lock and touch no file. A background thread looks at the source, and writes this
    process's status file. After `max_stale` seconds without a successful look, a read looks by
    itself, and fails if it cannot. A thread that does nothing else takes the values away from the handles
    before that time has come, so that their reads need no clock.

    Attributes:
        origin: what says where the secrets are: a file, or the words for the variables.
    """

    def __init__(self, configuration: Configuration, source: Source) -> None:
        self._configuration = configuration
        self.origin = configuration.origin
        self._source = source
        self._pushing = source if isinstance(source, Pushing) else None
        if self._pushing is not None:
            self._pushing.pace(configuration.max_stale)
        self._handles: dict[str, Handle] = {}
        self._hidden = False
        self._calls: dict[str, list[Callable[[str], None]]] = {name: [] for name in configuration.secrets}
        self._deliveries: tuple[Callable[[View], None], ...] = ()
        self._failure: AdapterError | None = None
        self._failed_at = 0.0
        self._foreign = ""
        self._reporting = True
        self._closed = False
        self._tick = min(LOOK_EVERY, configuration.max_stale / _LOOKS_PER_STALE)
        self._every = min(pause_of(source), configuration.max_stale / _NETWORK_LOOKS_PER_STALE)
        first = source.changed()
        if first is None:
            raise UsageError("this source was opened before", "open one for each Secrets")
        self._checked = self._known(_now())
        self._look_at = _now() + jittered(self._every)
        self._environment = first.environment
        self._views = dict(first.views)
        self._lock = threading.RLock()
        self._adoptions = {name: Adoption(view, self._lock, self._accepted) for name, view in first.views.items()}
        self._prepare()
        self._begin()
        forks.follow(self)

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """Read the configuration and the first generation, report, and start the background thread.

        Args:
            path: the configuration; without one, the first place that says something (`client.opening`).

        Raises:
            UsageError: the configuration cannot be used, or this process has it open already.
            AdapterError: a secret is missing, the source cannot be read, or the status directory
                cannot be written.
        """
        configuration = find(path)
        return cls(configuration, source_of(configuration))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> Handle:
        """A handle on a published name, on `secret.field`, or on a secret whose only field is `value`.

        Raises:
            NotFound: there is none of that name.
        """
        try:
            return self._handles[name]
        except KeyError:
            return self._handle(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The secrets that this application uses."""
        return self._configuration.secrets

    def bundle(self, secret: str) -> View:
        """All of one version of a secret.

        Raises:
            NotFound: this application does not use a secret of that name.
            Unavailable: the source could not be read for longer than `max_stale`.
        """
        if self._overdue():
            self._catch_up()
        try:
            return self._views[secret]
        except KeyError:
            raise NotFound(
                f"this application uses no secret {secret!r:.80}", f"there is {', '.join(self.names)}"
            ) from None

    def is_stale(self, secret: str) -> bool:
        """Whether something newer than what reads give may lie in the source."""
        return self._failure is not None or self._overdue() or self._adoptions[secret].pending

    def on_change(self, secret: str, call: Callable[[str], None]) -> None:
        """Have `call(version)` called, in a thread of the client, after each change of a secret."""
        with self._lock:
            self._calls[secret] = [*self._calls[secret], call]

    def on_delivery(self, call: Callable[[View], None]) -> None:
        """Have `call(view)` called for each version held now, and for each later one before anything uses it."""
        with self._looking:
            for standing in [adoption.standing() for adoption in self._adoptions.values()]:
                for view in (*standing.drained, *standing.used, standing.newest):
                    call(view)
            self._deliveries = (*self._deliveries, call)

    def hold(self, name: str, holder: Holder) -> View:
        """Register what lives on a secret; it begins with the version that is returned.

        Args:
            name: the secret, or one of its published names.
            holder: is asked to try each version before reads give it.

        Raises:
            NotFound: there is none of that name.
        """
        view = self._adoptions[self._find(name).secret].hold(holder)
        self._report_now()  # from here on no report says that the version is in use, until it was tried
        self._mover.wake()
        return view

    def release(self, name: str, holder: Holder) -> None:
        """Forget a holder that uses nothing any more."""
        self._adoptions[self._find(name).secret].release(holder)
        self._mover.wake()

    def refresh(self) -> None:
        """Look at the source now.

        Raises:
            AdapterError: it cannot be read; reads go on with what was there, until `max_stale`.
        """
        if self._closed:
            raise UsageError("these secrets are closed")
        with self._looking:
            self._look(ask=True)
        self._mover.wake()
        self._watcher.wake()

    def close(self) -> None:
        """Stop, and report that this process uses nothing any more. Close pools before this."""
        if self._closed:
            return
        self._closed = True
        forks.leave(self)
        with self._lock:
            self._show()
        self._watcher.stop()
        self._mover.stop()
        self._lease.stop()
        if self._report:
            standings = {name: adoption.closed() for name, adoption in self._adoptions.items()}
            with contextlib.suppress(AdapterError):
                self._report.write(standings, self._source.nonce(), drained=True)
        voice.leave(self._place, self)
        end(self._source)

    def _begin(self) -> None:
        """Report for the first time, and go on by ourselves."""
        self._place = voice.place_of(self._configuration.status_dir, self._configuration.source)
        voice.take(self._place, self)
        try:
            self._say()
            self._start()
        except BaseException:
            voice.leave(self._place, self)
            raise

    def _prepare(self) -> None:
        """What each process needs of its own."""
        self._looking, self._saying = threading.RLock(), threading.RLock()
        status_dir = self._configuration.status_dir
        self._report = None
        if status_dir or self._pushing:
            self._report = voice.report(self._pushing, status_dir, self._environment)
        self._said: object = None
        self._said_at = 0.0

    def _start(self) -> None:
        self._mover = Rounds("keyturn-move", self._move)
        self._watcher = Rounds("keyturn-watch", self._watch, self._pushing)
        self._lease = Rounds("keyturn-lease", self._lapse)  # waits for nobody, as both of the others may
        for rounds in (self._mover, self._watcher, self._lease):
            rounds.start()

    def _handle(self, name: str) -> Handle:
        """Make it, and show it what reads give now: there is one for each name."""
        handle = Handle(self, *self._meant(name), name)
        with self._lock:
            handle = self._handles.setdefault(name, handle)
            self._show()
        return handle

    def _meant(self, name: str) -> tuple[str, str]:
        """The secret, and the field or the published name in it."""
        secret, _, field = name.partition(".")
        if field and secret in self._views and field in self._views[secret].bundle:
            return secret, field
        view = self._find(name)
        if name in view.published:
            return view.secret, name
        if tuple(view.bundle) == ("value",):
            return name, "value"
        raise NotFound(f"the secret {name!r:.80} has several fields", f"ask for one: {name}.{min(view.bundle)}")

    def _find(self, name: str) -> View:
        """What the name, of a secret or published, belongs to."""
        views = self._views
        for view in (views.get(name), *views.values()):
            if view and (view.secret == name or name in view.published):
                return view
        raise NotFound(f"this application has no secret and no published name {name!r:.80}", names_of(views.values()))

    def _overdue(self, early: float = 0.0) -> bool:
        return self._closed or _now() - self._checked > self._configuration.max_stale - early

    def _show(self) -> None:
        """Under the lock: let the handles give what they may, or nothing before another look."""
        self._hidden = self._overdue(2 * self._tick)
        for handle in self._handles.values():
            handle.show(None if self._hidden else self._views.get(handle.secret))

    def _lapse(self) -> float:
        """One round: take the values away from the handles before they are too old. Seconds to the next."""
        if self._overdue(2 * self._tick):
            with self._lock:
                self._show()
        return self._tick

    def _catch_up(self) -> None:
        """Nobody looked for too long (a stopped process, a sleeping machine): look before answering."""
        if self._closed:
            raise UsageError("these secrets are closed")
        seconds, came = self._configuration.max_stale, _now()
        if not self._looking.acquire(timeout=min(seconds, _PATIENCE)):
            raise Unavailable(f"no look at the source succeeded for {seconds:g} s, and the one under way does not end")
        try:
            if self._failure is not None and self._failed_at >= came:
                raise Unavailable(self._failure.message)  # it failed for all who waited for it
            if self._overdue():
                self._look(ask=True)
        except AdapterError as error:
            raise Unavailable(f"no look at the source succeeded for {seconds:g} s: {error.message}") from None
        finally:
            self._looking.release()

    def _known(self, looked: float) -> float:
        """Up to when what was read is known to be what is delivered, after a look at that time."""
        return looked if self._pushing is None else min(looked, self._pushing.known())

    def _look(self, *, ask: bool = False) -> None:
        """Take what lies in the source; with `ask`, have one that pushes say what does now."""
        started = _now()
        self._look_at = started + jittered(self._every)
        try:
            if ask and self._pushing is not None:
                self._pushing.ask()
            generation = self._source.changed()
            if generation is not None:
                self._foreign = "" if generation.environment == self._environment else generation.environment
            if self._foreign:  # a source returns a generation once, and this one stays refused
                raise Conflict(f"the bundle is now of {self._foreign}, not of {self._environment}")
            if generation is not None:
                self._take(generation)
        except AdapterError as error:
            if self._failure is None:
                log.warning("the secrets may be stale: %s", error.message)
            self._failure, self._failed_at = error, _now()
            raise
        self._failure, self._checked = None, self._known(started)
        if self._hidden:
            with self._lock:
                self._show()

    def _take(self, generation: Generation) -> None:
        for name, view in generation.views.items():
            for call in self._deliveries:
                call(view)
            self._adoptions[name].deliver(view)

    def _accepted(self, view: View) -> None:
        """Let reads give this version: one assignment, so that no reader sees anything in between."""
        with self._lock:
            self._views = {**self._views, view.secret: view}
            self._show()
            calls = self._calls[view.secret]
        for call in calls:
            try:
                call(view.version)
            except Exception as error:  # noqa: BLE001 - the application's own code must not stop the client
                log.warning("on_change of %s failed: %s", view.secret, type(error).__name__)

    def _watch(self) -> float:
        """One round: look, and report if there is news or the heartbeat is due. Seconds to the next."""
        if _now() >= self._look_at:
            with contextlib.suppress(AdapterError), self._looking:
                self._look()
        if any(adoption.restless for adoption in self._adoptions.values()):
            self._mover.wake()
        self._report_now()
        return self._tick

    def _report_now(self) -> None:
        try:
            self._say()
        except AdapterError as error:
            if self._reporting:
                log.warning("this process cannot report: %s", error.message)
            self._reporting = False
        else:
            self._reporting = True

    def _say(self) -> None:
        """Write the status file, if there is news or the heartbeat is due."""
        if self._report is None:
            return
        with self._saying:
            standings = {name: adoption.standing() for name, adoption in self._adoptions.items()}
            nonce = self._source.nonce()
            news = (standings, nonce)
            if news != self._said or _now() - self._said_at >= self._report.interval * _BEFORE_DUE:
                self._report.write(standings, nonce)
                self._said, self._said_at = news, _now()

    def _move(self) -> float:
        """One round of trying and letting go. Seconds to the next."""
        changed = [adoption.step(_now()) for adoption in self._adoptions.values() if adoption.restless]
        if any(changed):
            self._watcher.wake()
        restless = any(adoption.restless for adoption in self._adoptions.values())
        return LOOK_EVERY if restless else _IDLE

    def before_fork(self) -> None:
        """Hold the locks, so that the child finds nothing half done."""
        self._looking.acquire()
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()
        self._looking.release()

    def after_fork_in_child(self) -> None:
        """New locks, new identity, new threads; what the parent's holders hold is not this process's."""
        self._lock = threading.RLock()
        for adoption in self._adoptions.values():
            adoption.forked(self._lock)
        if self._pushing is not None:
            self._pushing.forked()
        self._prepare()
        self._start()
