"""Source `agent`: what `keyturn agent` pushes over its socket, and where this process's reports go.

The agent sends each generation by itself; nothing is asked again and again. Between two of them it says up to when it
vouches for what it sent, by the clock that both have in common.
"""

import os
import pwd
import random
import select
import time
from collections.abc import Callable, Mapping
from typing import Any

from keyturn.client.configuration import absolute
from keyturn.client.sources import Generation
from keyturn.client.sources.agent_line import Line
from keyturn.client.sources.agent_words import generation_of
from keyturn.core import strict_json
from keyturn.core.agent import (
    ASK,
    CHALLENGE,
    FRESH,
    GENERATION,
    MIN_EVERY_MS,
    REFUSED,
    REPORT,
    Hello,
    Message,
    Welcome,
    framed,
    nonce_of,
)
from keyturn.core.duration import parse_duration
from keyturn.core.errors import AdapterError, Corrupt, Denied, NotFound, Unavailable
from keyturn.core.secret import NAME
from keyturn.core.status import Status
from keyturn.system.processes import Identity

FIRST_RETRY, LONGEST_RETRY = 0.1, 2.0
AGAIN_WITHIN = 1.0
"""Seconds that a later connection, one question or one report may take."""
EVERY = 1.0
_PER_STALE, _SILENT_AFTER = 4, 5
_CLOCK_TOLERANCE = 1.0


def _now() -> float:
    """Seconds that also pass while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Agent:
    """One consumer behind an agent's socket.

    Args:
        table: `{"kind": "agent", "socket": "/run/..."}`, and if need be `consumer`, `user` (whose agent it may be,
            beside root's and our own) and `timeout` (for the first generation).
        secrets: the secrets to take; others that come are left alone.

    Raises:
        ValueError: the table is not like that.
    """

    def __init__(self, table: Mapping[str, Any], secrets: tuple[str, ...]) -> None:
        optional = {"consumer": None, "user": None, "timeout": "5s"}
        nullable = dict.fromkeys(("consumer", "user"), (str, type(None)))
        words = dict.fromkeys(("kind", "socket", "timeout"), str)
        given = strict_json.exactly({**optional, **table}, {**words, **nullable})
        if given["consumer"] is not None and not NAME.match(given["consumer"]):
            raise ValueError("source.consumer is not a name")
        self._path = absolute(given["socket"], "source.socket")
        self._consumer: str | None = given["consumer"]
        self._owners = _owners(given["user"])
        self._timeout = parse_duration(given["timeout"])
        self._secrets = secrets
        self._every = EVERY
        self._line: Line | None = None
        self._welcome: Welcome | None = None
        self._returned: Generation | None = None
        self._come: Generation | None = None
        self._refused: AdapterError | None = None
        self._nonce, self._good_at, self._heard_at = "", 0.0, 0.0
        self._asked, self._answered = 0, 0
        self._greeted = self._told = False
        self._began, self._retry_at, self._delay = 0.0, 0.0, FIRST_RETRY
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __del__(self) -> None:
        if hasattr(self, "_bell"):
            os.close(self._bell)

    def pace(self, max_stale: float) -> None:
        """Have the agent say often enough that what it sent still holds."""
        self._every = min(EVERY, max(MIN_EVERY_MS / 1000, max_stale / _PER_STALE))

    def changed(self) -> Generation | None:
        """What was pushed, None when that is what was returned last. The first call waits for it.

        Raises:
            NotFound: one of the secrets was not delivered.
            Denied: the socket is not the agent's, or the agent gives this process nothing.
            Corrupt, Unavailable: the agent does not answer, or not as it should.
        """
        if self._returned is None:
            self._first()
        elif self._line is None:
            self._again()
        else:
            self._drain(self._line)
        if self._refused is not None:
            raise self._refused
        come, self._come = self._come, None
        if come is None or come == self._returned:
            self._check_vouched()
            return None
        self._returned = come
        return come

    def ask(self) -> None:
        """Have the agent look now, and take what it sends. Raises as `changed` does."""
        line = self._line
        if line is None:
            return  # `changed` will connect, and gets the newest
        self._asked += 1
        line.send(framed(ASK, number=self._asked), AGAIN_WITHIN)
        self._until(line, lambda: self._answered == self._asked, AGAIN_WITHIN)

    def known(self) -> float:
        """Up to when what was returned is known to be what is delivered (CLOCK_BOOTTIME)."""
        return self._good_at

    def nonce(self) -> str:
        """The nonce to prove under, empty when there is none."""
        return self._nonce

    def wait(self, seconds: float) -> None:
        """Until something comes, `ring` is called, or the time is over."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        line = self._line
        if line is not None and (fd := line.fd) >= 0:
            poll.register(fd, select.POLLIN)
        if any(fd == self._bell for fd, _ in poll.poll(seconds * 1000)):
            os.eventfd_read(self._bell)

    def ring(self) -> None:
        """End the wait."""
        os.eventfd_write(self._bell, 1)

    def process(self) -> Identity:
        """This process as the agent sees it. Raises Unavailable while no agent was reached."""
        seen = self._welcome
        if seen is None:
            raise Unavailable(f"{self._path}: no agent was reached yet")
        return Identity(seen.host, seen.pid, seen.start, seen.boot, seen.namespace)

    def put(self, status: Status) -> None:
        """Send the report, if this consumer reports. Raises Unavailable when it did not go out."""
        line, welcome = self._line, self._welcome
        if line is None or welcome is None:
            raise Unavailable(f"{self._path}: not connected")
        if welcome.reports:
            line.send(framed(REPORT, status=strict_json.load(status.dump())), AGAIN_WITHIN)

    def forked(self) -> None:
        """Leave the connection to the parent, which it is of; the next look makes one of this process."""
        line, self._line, self._welcome = self._line, None, None
        if line is not None:
            line.leave()
        os.close(self._bell)
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._retry_at, self._delay = 0.0, FIRST_RETRY

    def close(self) -> None:
        """End the connection."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _first(self) -> None:
        """Connect, and wait until all that is wanted has come: an agent, and who delivers to it, may start later."""
        end = time.monotonic() + self._timeout
        while True:
            left = end - time.monotonic()
            try:
                line = self._line or self._connect(max(left, 0.01))
                self._until(line, lambda: self._come is not None, left)
            except Unavailable:
                if time.monotonic() >= end:
                    raise
                time.sleep(min(0.05, max(0.0, end - time.monotonic())))
            else:
                return

    def _again(self) -> None:
        """Connect anew, if it is time to."""
        now = _now()
        if now < self._retry_at:
            raise Unavailable(f"{self._path}: the agent does not answer", "keyturn agent")
        self._retry_at = now + self._delay * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, keeps no secret
        self._delay = min(LONGEST_RETRY, self._delay * 2)
        self._connect(AGAIN_WITHIN)
        self._delay = FIRST_RETRY
        self.ring()  # whoever waits has to wait for this line from now on

    def _connect(self, within: float) -> Line:
        """A line on which the agent has said all that it has to say at first."""
        self._greeted = self._told = False
        self._began = _now()
        line = self._line = Line(self._path, self._owners, within)
        every_ms = round(self._every * 1000)
        try:
            line.send(Hello(self._consumer, every_ms).framed(), within)
            self._until(line, lambda: self._told, within)
        except AdapterError:
            self.close()
            raise
        return line

    def _until(self, line: Line, is_so: Callable[[], bool], within: float) -> None:
        """Take what comes until that is so."""
        end = time.monotonic() + within
        while not is_so():
            left = end - time.monotonic()
            if left <= 0:
                raise self._too_late(within)
            line.readable(left)
            self._drain(line)

    def _too_late(self, within: float) -> AdapterError:
        """Why what was waited for did not come."""
        if self._returned is None and self._told:
            return self._refused or NotFound(f"{self._path}: nothing is delivered yet", "keyturn tick")
        self.close()
        return Unavailable(f"{self._path}: the agent did not answer within {within:g} s", "see what keyturn agent says")

    def _drain(self, line: Line) -> None:
        """Take what has come."""
        try:
            for message in line.messages():
                self._take(message)
                self._heard_at = _now()
        except AdapterError:
            self.close()
            raise
        except ValueError as error:
            self.close()
            raise Corrupt(f"{self._path}: {error}", "is that an agent of this version?") from None
        if self._told and _now() - self._heard_at > _SILENT_AFTER * self._every:
            self.close()
            raise Unavailable(f"{self._path}: the agent is silent", "keyturn agent")

    def _take(self, message: Message) -> None:
        """One message. Raises ValueError, AdapterError."""
        content = message.content
        if message.kind == REFUSED:
            raise Denied(f"{self._path}: {_shown(content['message'])}", _shown(content["remedy"]))
        if not self._greeted:
            self._welcome, self._greeted = self._greeting(message), True
        elif message.kind == GENERATION:
            self._refused = None
            try:
                self._come = generation_of(content, self._secrets, self._path)
            except NotFound as error:
                self._refused = error
        elif message.kind == CHALLENGE:
            self._nonce = nonce_of(message)
        elif message.kind == FRESH:
            self._good_at = min(content["good_at_ms"] / 1000, _now())
            self._answered, self._told = max(self._answered, content["number"]), True
        else:
            raise ValueError(f"{message.kind} came late")

    def _greeting(self, message: Message) -> Welcome:
        """The welcome in it, if both count the same time: what the agent vouches for means nothing else."""
        welcome = Welcome.of(message)
        if not self._began - _CLOCK_TOLERANCE <= welcome.now_ms / 1000 <= _now() + _CLOCK_TOLERANCE:
            raise Denied(f"{self._path}: the agent counts another time", "run both in one time namespace")
        return welcome

    def _check_vouched(self) -> None:
        """Whether the agent still vouches for what was returned."""
        age = _now() - self._good_at
        if age > _SILENT_AFTER * self._every:
            raise Unavailable(f"{self._path}: the agent cannot read what is delivered", "keyturn agent says why")


def _shown(words: object) -> str:
    """Words of the other side, as one line without control characters."""
    return ascii(words)[1:-1][:300]


def _owners(user: str | None) -> frozenset[int]:
    """Users whose agent it may be."""
    if user is None:
        return frozenset({0, os.geteuid()})
    try:
        number = int(user) if user.isascii() and user.isdigit() else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ValueError(f"source.user: there is no user {user!r:.80}") from None
    return frozenset({0, os.geteuid(), number})
