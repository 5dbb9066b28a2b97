"""A private Redis for tests: the real program, on loopback only, with one user for applications."""

import contextlib
import hashlib
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.exceptions import ConnectionError as NoConnection

from keyturn.core.errors import NotFound, Unavailable
from keyturn.core.secret import SecretValue
from keyturn.testing.watcher import Watcher, start_on_a_free_port

START_SECONDS = 15.0
USER = "app"

_CONFIGURATION = """
bind 127.0.0.1
port {port}
dir {directory}
save ""
appendonly no
daemonize no
user default off
user admin on #{digest} ~* &* +@all
"""


def program() -> str:
    """The path of `redis-server`. Raises NotFound when it is not installed."""
    found = shutil.which("redis-server")
    if found is None:
        raise NotFound("no redis-server is installed", "apt-get install redis-server")
    return found


class RedisServer:
    """A server that lives as long as the `with` block; nothing of it is left behind.

    Its configuration goes in by standard input, with digests of passwords only. User `app` has those
    passwords that it was given last, and no more.
    """

    host = "127.0.0.1"

    def __init__(self) -> None:
        self._program = program()
        self._password = SecretValue(secrets.token_urlsafe(24))
        self.directory = Path(tempfile.mkdtemp(prefix="keyturn-redis-"))
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: Watcher | None = None

    def __enter__(self) -> Self:
        try:
            start_on_a_free_port(self._start_at, self.stop)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def passwords(self, *passwords: SecretValue) -> None:
        """Let user `app` log in with these, and with no other; sessions that are open stay."""
        digests = [f"#{_digest(password)}" for password in passwords]
        self.rule("on", "resetpass", *digests, "~*", "&*", "+@all", "-acl")

    def rule(self, *rules: str) -> None:
        """Change user `app` by rules of ACL SETUSER."""
        with self._admin() as admin:
            admin.execute_command("ACL", "SETUSER", USER, *rules)  # type: ignore[no-untyped-call]  # redis-py has no types there

    def sessions(self) -> set[str]:
        """The ids of the connections that user `app` has open."""
        with self._admin() as admin:
            return {str(one["id"]) for one in admin.client_list() if one["user"] == USER}

    def cut(self) -> None:
        """Cut all connections of user `app`."""
        with self._admin() as admin:
            admin.execute_command("CLIENT", "KILL", "USER", USER)  # type: ignore[no-untyped-call]  # redis-py has no types there

    def refused(self) -> int:
        """How many log-ins were refused since the start."""
        with self._admin() as admin:
            entries: list[dict[str, Any]] = admin.acl_log()
        return sum(int(entry["count"]) for entry in entries if entry["reason"] == "auth")

    def stop(self) -> None:
        """Stop it at once, as a crash would: its clients lose their connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._watcher is not None:
            self._watcher.dismiss()
            self._watcher = None

    @contextlib.contextmanager
    def _admin(self) -> Iterator[Redis]:
        with Redis(
            self.host, self.port, username="admin", password=self._password.reveal(), decode_responses=True
        ) as admin:
            yield admin

    def _start_at(self, port: int) -> None:
        self.port = port
        self._start()

    def _start(self) -> None:
        text = _CONFIGURATION.format(port=self.port, directory=self.directory, digest=_digest(self._password))
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own list of arguments, no shell
                [self._program, "-"], stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as configuration:
            configuration.write(text.encode())
        self._watcher = Watcher(self._process.pid, self.directory)
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        until = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError, NoConnection), self._admin() as admin:
                admin.ping()
                return
            time.sleep(0.01)
        tail = (self.directory / "redis.log").read_text(errors="replace")[-400:]
        raise Unavailable(f"redis-server did not start: {' '.join(tail.split())}")


def _digest(password: SecretValue) -> str:
    return hashlib.sha256(password.reveal().encode()).hexdigest()
