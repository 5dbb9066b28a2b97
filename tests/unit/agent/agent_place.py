"""An application whose processes get everything from an agent, and agents: in a thread, and as the real command."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from keyturn.agent.doors import doors
from keyturn.agent.happened import Happened
from keyturn.agent.server import Server
from keyturn.core.agent import FROM_AGENT, MAX_FROM_AGENT, Frames, Hello, Message, Welcome
from keyturn.manifest import load
from keyturn.system.listening import listening
from tests.unit.client.place import Place as Directories
from tests.unit.client.place import until

MANIFEST = """\
[service]
name = "clo"
environment = "test"

[keyturn]
state = "{home}/state"
agent_socket = "{socket}"

[stores.main]
kind = "local"
vault_id = "00000000000000000000000000000000"

[secrets.database]
kind = "manual"
owner = "platform@example.com"
purpose = "the API reads and writes deals"
fields = ["username", "password"]
publish.database-url = {{ template = "postgresql://{{username}}:{{password}}@localhost/clo" }}
consumers = ["clo-api"]

[secrets.api-key]
kind = "manual"
owner = "platform@example.com"
purpose = "a key"
consumers = ["clo-api"{other}]

[consumers.clo-api]
kind = "application"
bundle_dir = "{home}/run/bundle"
status_dir = "{home}/run/status"
expect = 1
{whose}
{outage}
"""
OTHER = """
[consumers.clo-jobs]
kind = "application"
bundle_dir = "{home}/jobs/bundle"
expect = 1
grace = "1m"
{whose}
"""
_numbers = count(1)
ME = f'agent_user = "{os.geteuid()}"'


def short_directory(owner: object) -> Path:
    """A directory whose name is short enough for a socket in it; gone with its owner."""
    made = Path(tempfile.mkdtemp(prefix="k"))
    weakref.finalize(owner, shutil.rmtree, made)
    return made


class Place(Directories):
    """The same deliveries, behind an agent.

    Args:
        home: a folder of the test.
        whose: the line of the manifest that says whose the consumer is.
        outage: the line that says how long its content may be used unread.
        other: whose a second consumer is, if there is one; nothing is delivered to it.
        max_stale: of the client file.
    """

    def __init__(
        self, home: Path, *, whose: str = ME, outage: str = "", other: str = "", max_stale: str = "30s"
    ) -> None:
        super().__init__(home, max_stale=max_stale)
        self.home = home
        self.socket = short_directory(self) / "agent.sock"
        self.manifest = home / "keyturn.toml"
        home.chmod(0o755)
        self.declare(whose=whose, outage=outage, other=other)
        self.client(secrets=["database", "api-key"], max_stale=max_stale)

    def declare(self, *, whose: str = ME, outage: str = "", other: str = "") -> None:
        """Write the manifest anew."""
        text = MANIFEST.format(
            home=self.home, socket=self.socket, whose=whose, outage=outage, other=', "clo-jobs"' if other else ""
        )
        self.manifest.write_text(text + (OTHER.format(home=self.home, whose=other) if other else ""))

    def client(self, *, secrets: list[str], max_stale: str = "30s", **source: object) -> None:
        """Write the client file anew."""
        content = {
            "schema": "keyturn/client/1",
            "source": {"kind": "agent", "socket": str(self.socket), "timeout": "5s", **source},
            "max_stale": max_stale,
            "secrets": secrets,
        }
        self.file.write_text(json.dumps(content))

    def agent(self, **more: Any) -> "InThread":
        """An agent in a thread of this process; `more` is for its server."""
        return InThread(self, more)

    def command(self, *more: str) -> "Command":
        """The real command, in a process of its own."""
        return Command(self, *more)


class InThread:
    """A server that turns in a thread, and what it told."""

    def __init__(self, place: Place, more: dict[str, Any]) -> None:
        self._place, self._more = place, more
        self._ending = threading.Event()
        self._ready = threading.Event()
        self.heard: list[Happened] = []
        self.server: Server | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join(15)
        assert not self._thread.is_alive()

    def whats(self) -> list[str]:
        """What happened, in order."""
        return [one.what for one in self.heard]

    def _run(self) -> None:
        opened, _ = doors(load(self._place.manifest))
        with listening(self._place.socket, 0o666) as listener:
            self.server = Server(listener, opened, self.heard.append, **self._more)
            self._ready.set()
            while not self._ending.is_set():
                self.server.turn(0.02)
            self.server.drain(1.0)


class Command:
    """`keyturn agent` as a process."""

    def __init__(self, place: Place, *more: str, **environment: str) -> None:
        self._place = place
        self.log = place.home / f"agent-{next(_numbers)}.log"
        words = [sys.executable, "-m", "keyturn", "--manifest", str(place.manifest), "agent", *more]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **environment}
            )

    def __enter__(self) -> Self:
        until(lambda: b"ready" in self.log.read_bytes() or self.process.poll() is not None, 30)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(15)

    def kill(self) -> None:
        """As a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Raw:
    """A client that says whatever a test wants."""

    def __init__(self, place: Place, path: str = "") -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        try:
            self.socket.connect(path or str(place.socket))
        except OSError:
            self.socket.close()
            raise
        self._frames = Frames(FROM_AGENT, MAX_FROM_AGENT)
        self._come: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def hello(self, consumer: str | None = None, every_ms: int = 1000) -> Self:
        """Say hello."""
        self.socket.sendall(Hello(consumer, every_ms).framed())
        return self

    def message(self, kind: str) -> Message:
        """The next message of that type; others before it are skipped."""
        while True:
            while self._come:
                message = self._come.pop(0)
                if message.kind == kind:
                    return message
            piece = self.socket.recv(65536)
            assert piece, f"ended before {kind} came"
            self._come += self._frames.feed(piece)

    def welcome(self) -> Welcome:
        """What the agent says first."""
        return Welcome.of(self.message("welcome"))

    def ended(self) -> bool:
        """Whether the agent ends the connection soon; what came before is thrown away."""
        end = time.monotonic() + 10
        with suppress(ConnectionResetError):
            while self.socket.recv(65536):
                if time.monotonic() > end:
                    return False
        return True


def event(line: str) -> dict[str, Any]:
    """One line of `--json=events`."""
    found: dict[str, Any] = json.loads(line)
    return found
