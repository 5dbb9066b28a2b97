"""The agent at work: one thread, one selector, nobody is waited for.

Each turn takes what came, looks at the directories where that is due, writes down the reports, and sends what there is
room for. A peer that is slow, stuck or hostile costs a bounded buffer and keeps nobody else waiting.
"""

import resource
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NoReturn

from keyturn.agent.doors import Door
from keyturn.agent.happened import FULL, JOINED, LEFT, STRANGER, TURNED_AWAY, UNREPORTED, Happened, Say
from keyturn.agent.peer import Gone, Peer
from keyturn.agent.reports import keep, spoken, welcomed
from keyturn.agent.shelf import Shelf
from keyturn.core.agent import ASK, CHALLENGE, FRESH, GENERATION, HELLO, REFUSED, WELCOME, Hello, Message, framed
from keyturn.core.errors import Denied
from keyturn.system.inotify import News
from keyturn.system.peers import peer_of, start_of_peer
from keyturn.system.processes import Identity, identity_of

LOOK_EVERY, LOOK_WITHOUT_NEWS = 1.0, 0.1
"""Seconds between two looks at a directory; and where the kernel gives no news of it, or it is not there yet."""
MAX_PEERS, MAX_PER_USER, MAX_STRANGERS = 4096, 1024, 1000
_SPARE = 16
"""Descriptors that no peer gets: directories must be opened, and processes looked at, while it is full."""
_ACCEPTED_AT_ONCE = 64
_TURN_OF_A_USER = 0.05
"""Seconds of one turn that the words of one user's processes take; the rest of them is heard in the next one."""
_PAUSE_WHEN_FULL = 1.0
_IN_ORDER = (WELCOME, GENERATION, CHALLENGE, FRESH)


def boottime() -> float:
    """Seconds that also pass while the machine sleeps; all processes of the host have the same."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Server:
    """All connections of one socket.

    Args:
        listener: a non-blocking socket that listens.
        doors: the consumers, by name.
        say: hears what happens.
        news: of directories, from the kernel.
        per_user: connections that one user may have.
        now: the clock.
    """

    def __init__(  # noqa: PLR0913 - what it works with, each by name
        self,
        listener: socket.socket,
        doors: Mapping[str, Door],
        say: Say,
        *,
        news: News | None = None,
        per_user: int = MAX_PER_USER,
        now: Callable[[], float] = boottime,
    ) -> None:
        self._listener = listener
        self._say = say
        self._now = now
        self._selector = selectors.DefaultSelector()
        self._news = news or News()
        self._per_user = per_user
        self._peers: set[Peer] = set()
        self._waiting: set[Peer] = set()
        self._paces: dict[str, float] = {}
        self._swept = 0.0
        self._unheard: set[str] = set()
        self._strangers: set[int] = set()
        self._unreported: set[str] = set()
        self._accept_at = 0.0
        self._taking = True
        self._shelves: dict[str, Shelf] = {}
        self.open(doors)
        self._selector.register(listener, selectors.EVENT_READ)
        if self._news.whole:
            self._selector.register(self._news.fd, selectors.EVENT_READ)

    @property
    def peers(self) -> int:
        """How many are connected."""
        return len(self._peers)

    def open(self, doors: Mapping[str, Door]) -> None:
        """Serve these consumers from now on. Who is connected has to come again; what is in memory stays."""
        for peer in tuple(self._peers):
            self._drop(peer)
        self._strangers.clear()
        former, now = self._shelves, self._now()
        self._unheard.clear()
        for door in doors.values():
            self._watch(door)
        self._doors = dict(doors)
        self._shelves = {
            name: former[name] if name in former and former[name].door == door else Shelf(door, now, self._say)
            for name, door in doors.items()
        }

    def wake_by(self, fd: int) -> None:
        """End a turn at once when something can be read from that descriptor, which the caller reads."""
        self._selector.register(fd, selectors.EVENT_READ)

    def turn(self, wait: float) -> bool:
        """Wait for news for that many seconds at most, then do all that is due. Whether anything came."""
        ready = self._selector.select(min(wait, self._pause()))
        spent: dict[int, float] = {}
        for key, events in ready:
            if key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.data, Peer) and (before := spent.get(key.data.who.uid, 0.0)) < _TURN_OF_A_USER:
                began = self._now()
                self._attend(key.data, events)
                spent[key.data.who.uid] = before + self._now() - began
        heard = self._news.heard()
        now = self._now()
        for shelf in self._shelves.values():
            if heard or now - shelf.looked >= self._interval(shelf):
                self._look(shelf)
        if now - self._swept >= self._pause():
            self._sweep(now)
        waiting, self._waiting = self._waiting, set()
        for peer in waiting & self._peers:
            self._serve(peer, now)
        if not self._taking and now >= self._accept_at:
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._taking = True
        return bool(ready)

    def drain(self, seconds: float) -> None:
        """Take nobody new; take and send what is under way, that long at most; then end all connections."""
        end = self._now() + seconds
        if self._taking:
            self._selector.unregister(self._listener)
            self._taking, self._accept_at = False, float("inf")
        while (self.turn(0.05) or any(peer.sending for peer in self._peers)) and self._now() < end:
            pass
        self.close()

    def close(self) -> None:
        """End all connections."""
        for peer in tuple(self._peers):
            self._drop(peer)
        self._selector.close()
        self._news.close()

    def _pause(self) -> float:
        """Seconds until the next turn has something to do by itself."""
        shortest = min(self._paces.values(), default=LOOK_EVERY)
        return min(shortest / 2, LOOK_WITHOUT_NEWS if self._unheard else LOOK_EVERY)

    def _interval(self, shelf: Shelf) -> float:
        """Seconds between two looks at its directory."""
        pace = self._paces.get(shelf.door.consumer, LOOK_EVERY)
        return min(pace, LOOK_WITHOUT_NEWS if shelf.door.consumer in self._unheard else LOOK_EVERY)

    def _sweep(self, now: float) -> None:
        """Have everybody served, also those who said nothing."""
        self._swept = now
        self._waiting |= self._peers
        self._paces.clear()
        for peer in self._peers:
            self._keep_pace(peer)

    def _keep_pace(self, peer: Peer) -> None:
        if peer.consumer:
            self._paces[peer.consumer] = min(peer.every, self._paces.get(peer.consumer, LOOK_EVERY))

    def _watch(self, door: Door) -> None:
        """Hear of its directory, if there is one now and the kernel has room for one more."""
        heard = self._news.watch(door.bundle_dir.parent)
        (self._unheard.discard if heard else self._unheard.add)(door.consumer)

    def _look(self, shelf: Shelf) -> None:
        self._watch(shelf.door)
        before = shelf.generation
        if not shelf.look(self._now()):
            return
        for peer in self._peers:
            if peer.consumer == shelf.door.consumer:
                peer.due |= {CHALLENGE} if shelf.generation is before else {GENERATION, CHALLENGE}
                self._waiting.add(peer)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connected, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor, no memory: it would come at once again and again
                self._say(Happened(FULL, "", f"nobody new is taken for a moment: {error.strerror}"))
                self._selector.unregister(self._listener)
                self._taking, self._accept_at = False, self._now() + _PAUSE_WHEN_FULL
                return
            self._take(connected)

    def _take(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        peer = Peer(connected, peer_of(connected), self._now())
        if not any(door.opens_for(peer.who) for door in self._doors.values()):
            connected.close()
            if peer.who.uid not in self._strangers and len(self._strangers) < MAX_STRANGERS:
                self._strangers.add(peer.who.uid)
                self._say(Happened(STRANGER, "", f"user {peer.who.uid} (process {peer.who.pid}) is no consumer"))
            return
        if why := self._no_room_for(peer):
            connected.close()
            self._say(Happened(FULL, "", why))
            return
        self._peers.add(peer)
        self._selector.register(connected, selectors.EVENT_READ, peer)

    def _no_room_for(self, peer: Peer) -> str:
        """Why it cannot be taken, empty when it can."""
        mine = sum(one.who.uid == peer.who.uid for one in self._peers)
        if mine >= self._per_user:
            return f"user {peer.who.uid} has {mine} connections: no more"
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if len(self._peers) >= MAX_PEERS or peer.connected.fileno() >= limit - _SPARE:
            return f"{len(self._peers)} processes are connected: no more"
        return ""

    def _attend(self, peer: Peer, events: int) -> None:
        self._waiting.add(peer)
        try:
            if events & selectors.EVENT_WRITE:
                peer.push(self._now())
            if events & selectors.EVENT_READ:
                for message in peer.messages():
                    self._hear(peer, message)
        except Gone as gone:
            self._drop(peer, gone.why)

    def _hear(self, peer: Peer, message: Message) -> None:
        if not peer.allowance.take(self._now()):
            raise Gone("it says too much")
        try:
            if message.kind == HELLO:
                self._welcome(peer, Hello.of(message))
            elif not peer.consumer or peer.process is None:
                raise Gone(f"{message.kind} came before hello")
            elif message.kind == ASK:
                self._look(self._shelves[peer.consumer])
                peer.asked = message.content["number"]
                peer.due.add(FRESH)
            else:
                peer.said = spoken(message, peer.process)
        except ValueError as error:
            raise Gone(str(error)) from None

    def _welcome(self, peer: Peer, hello: Hello) -> None:
        if peer.consumer:
            raise Gone("it said hello twice")
        allowed = [name for name, door in self._doors.items() if door.opens_for(peer.who)]
        if hello.consumer is None and len(allowed) != 1:
            self._refuse(peer, f"this process may be {', '.join(allowed)}", "say which: source.consumer")
        name = hello.consumer or allowed[0]
        if name not in allowed:
            self._refuse(peer, f"this process is not {name}", f"it may be {', '.join(allowed)}")
        try:
            start = start_of_peer(peer.connected, peer.who.pid)
            here = identity_of(peer.who.pid)
        except Denied as error:
            self._refuse(peer, error.message, error.remedy)
        except OSError as error:
            raise Gone(f"it cannot be looked at: {error.strerror}") from None
        peer.process = Identity(here.host, here.pid, start, here.boot, here.namespace)
        peer.consumer, peer.every = name, hello.every_ms / 1000
        peer.due |= set(_IN_ORDER)
        self._keep_pace(peer)
        self._say(Happened(JOINED, name, f"{peer.process.id} (user {peer.who.uid})"))

    def _refuse(self, peer: Peer, message: str, remedy: str) -> NoReturn:
        """Say why, and end it."""
        peer.put(framed(REFUSED, message=message, remedy=remedy), self._now())
        raise Gone(message)

    def _serve(self, peer: Peer, now: float) -> None:
        """Write down what it reported, and begin to send what is due."""
        self._keep(peer)
        if why := peer.overdue(now):
            self._drop(peer, why)
            return
        if peer.consumer and now - peer.fresh_at >= peer.every / 2:
            peer.due.add(FRESH)
        for kind in _IN_ORDER:
            if kind in peer.due and not peer.sending and not peer.deaf:
                peer.due.discard(kind)
                peer.put(self._frame(peer, kind, now), now)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.sending else 0)
        if self._selector.get_key(peer.connected).events != events:
            self._selector.modify(peer.connected, events, peer)

    def _frame(self, peer: Peer, kind: str, now: float) -> bytes:
        shelf = self._shelves[peer.consumer]
        if kind == WELCOME:
            assert peer.process is not None
            return welcomed(shelf.door, peer.process, now).framed()
        if kind == GENERATION:
            return shelf.generation
        if kind == CHALLENGE:
            return shelf.challenge
        number, peer.asked, peer.fresh_at = peer.asked, 0, now
        return framed(FRESH, good_at_ms=int(shelf.good_at(now) * 1000), number=number)

    def _keep(self, peer: Peer) -> None:
        if peer.said is None:
            return
        status, peer.said = peer.said, None
        why = keep(self._doors[peer.consumer], status)
        if why and peer.consumer not in self._unreported:
            self._say(Happened(UNREPORTED, peer.consumer, f"reports cannot be written: {why}"))
        (self._unreported.add if why else self._unreported.discard)(peer.consumer)

    def _drop(self, peer: Peer, why: str = "") -> None:
        if peer not in self._peers:
            return
        self._keep(peer)
        self._peers.discard(peer)
        with suppress(KeyError, ValueError):
            self._selector.unregister(peer.connected)
        peer.connected.close()
        name = peer.process.id if peer.process else f"process {peer.who.pid} (user {peer.who.uid})"
        if why:
            self._say(Happened(TURNED_AWAY, peer.consumer, f"{name}: {why}"))
        elif peer.consumer:
            self._say(Happened(LEFT, peer.consumer, name))
