"""The emulators of a Key Vault and of Entra ID, as real programs behind our own front, for tests only.

azure-keyvault-emulator validates real tokens (RS256 by the issuer's keys, audience, expiry) of entra-emulator. What it
does otherwise than Azure is written in docs/adr/0022-key-vault-servers-for-tests.md. Both speak plain HTTP here, on
ports of loopback; clients see the front's TLS (`keyturn.testing.key_vault_front`).
"""

import contextlib
import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections import UserDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from keyturn.core.errors import NotFound, Unavailable
from keyturn.core.secret import Bundle
from keyturn.testing.entra import Identity
from keyturn.testing.key_vault_contents import Role
from keyturn.testing.key_vault_front import Front, Incoming, Outgoing
from keyturn.testing.tls_server import HOST, ReservedPort
from keyturn.testing.watcher import Watcher

PROGRAMS = ("azure-keyvault-emulator", "entra-emulator")
TENANT = "6f89cf12-978b-4d23-ac18-9ef0c127cf87"
"""The one tenant that entra-emulator is seeded with."""
START_SECONDS = 60.0
ANSWER_SECONDS = 60.0
_PASSED_ON = ("Content-Type", "WWW-Authenticate", "Retry-After")


class KeyVaultEmulator(Front):
    """The pair for as long as the `with` block lasts, in memory; nothing of it is left behind.

    Args:
        programs: the directory of both programs.
        purge_protection: nothing that was deleted can be purged.

    Attributes:
        client_id: an application that may do what `roles` says.
        client_secret: its secret, in the field `value`.
        roles: client id to what it may do; setting one tells the emulator.

    Raises:
        NotFound: the programs are not there.
        Unavailable: one of them does not start.
    """

    def __init__(self, programs: Path, *, purge_protection: bool = False) -> None:
        for name in PROGRAMS:
            if not os.access(programs / name, os.X_OK):
                raise NotFound(f"there is no {name} in the directory of the emulators", "scripts/setup.sh")
        super().__init__(TENANT)
        self._vault, self._entra = (_Program(programs / name) for name in PROGRAMS)
        self._purge_protection = purge_protection
        self.roles = _Roles(self._vault)
        self.client_id, self.client_secret = "", Bundle({"value": ""})
        self._name = "emulator.vault.azure.net"

    def __enter__(self) -> Self:
        try:
            self._start()
            super().__enter__()
            self.client_id, self.client_secret = self.register(Role.OFFICER)
            self.empty()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._vault.end()
            self._entra.end()

    def register(self, role: Role) -> Identity:
        """Another application, with that role."""
        app = self._entra.tell("/admin/api/apps", {"displayName": "keyturn test", "isConfidential": True})
        made = self._entra.tell(f"/admin/api/apps/{app['id']}/secrets", {"displayName": "keyturn test"})
        identity = Identity(app["id"], Bundle({"value": made["secretText"]}))
        self.roles[identity.client_id] = role
        return identity

    def answer(self, asked: Incoming) -> Outgoing:
        """What the emulator says that the path belongs to."""
        wanted = {name: text for name, text in asked.headers.items() if name.lower() not in {"connection", "host"}}
        if asked.path.startswith(f"/{TENANT}/"):
            return self._entra.ask(asked.method, asked.target, asked.content, wanted)
        links = {"Host": self._name, "X-Forwarded-Proto": "https"}
        reply = self._vault.ask(asked.method, asked.target, asked.content, {**wanted, **links})
        # a client follows this link; ids keep the name of the vault, as those of Azure do
        there, here = (f'"nextLink":"{url}/'.encode() for url in (f"https://{self._name}", self.url))
        return reply._replace(content=reply.content.replace(there, here))

    def empty(self) -> None:
        """Another vault of the same emulator, which holds nothing; every fault is forgotten, every role as at first."""
        self.mend()
        self._name = f"keyturn-{secrets.token_hex(4)}.vault.azure.net"
        self.roles.clear()
        self.roles[self.client_id] = Role.OFFICER
        self.requests.clear()

    def signed_in(self, asked: Incoming) -> bool:
        """Whether it has a token; the emulator looks whether it is good."""
        return "Authorization" in asked.headers

    def _start(self) -> None:
        entra, issuer = self._entra, f"{self.authority}/{TENANT}/v2.0"
        settings = {"HOST": HOST, "PORT": str(entra.port), "PUBLIC_ORIGIN": self.authority, "TLS_ENABLED": "false"}
        entra.start((), {**settings, "ENTRA_DATA_DIR": "", "LOG_LEVEL": "error"})
        arguments = (
            *("--addr", f"{HOST}:{self._vault.port}", "--disable-tls", "--data-dir", ""),
            *("--entra-issuer", issuer),
            *("--entra-jwks-url", f"http://{HOST}:{entra.port}/{TENANT}/discovery/v2.0/keys"),
            *(("--purge-protection",) if self._purge_protection else ()),
        )
        self._vault.start(arguments, {})


class _Program:
    """One emulator as a process, in an empty directory and environment of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = Path(tempfile.mkdtemp(prefix=f"keyturn-{path.name}-"))
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        self._log = self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: Watcher | None = None

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it and wait until it listens; a watcher ends it if this process is killed."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own list of arguments, no shell
                [self._path, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={"HOME": str(self._folder), **environment},
                start_new_session=True,
            )
        self._watcher = Watcher(self._process.pid, self._folder)
        until = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1):
                return
            time.sleep(0.01)
        raise Unavailable(f"{self._path.name} did not start: {' '.join(self._log.read_text()[-400:].split())}")

    def end(self) -> None:
        """Kill it: it holds nothing that should be kept."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._watcher is not None:
            self._watcher.dismiss()
        self._process = self._watcher = None
        self._reserved.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, method: str, target: str, content: bytes, headers: Mapping[str, str]) -> Outgoing:
        """One request on a connection of its own."""
        with contextlib.closing(http.client.HTTPConnection(HOST, self.port, timeout=ANSWER_SECONDS)) as line:
            line.request(method, target, content or None, dict(headers))
            reply = line.getresponse()
            kept = {name: text for name in _PASSED_ON if (text := reply.getheader(name)) is not None}
            return Outgoing(reply.status, reply.read(), kept)

    def tell(self, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401  # whatever JSON it answers
        """Post to its own surface of control."""
        reply = self.ask("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        if reply.status not in {200, 201}:
            raise Unavailable(f"{self._path.name} answered {reply.status} at {path}")
        return json.loads(reply.content)


class _Roles(UserDict[str, Role]):
    """Client id to role; each change is told to the emulator as a whole."""

    def __init__(self, vault: _Program) -> None:
        super().__init__()
        self._vault = vault

    def __setitem__(self, client_id: str, role: Role) -> None:
        super().__setitem__(client_id, role)
        self._vault.tell("/_emulator/permissions", {known: _RIGHTS[role] for known, role in self.data.items()})


_RIGHTS: Mapping[Role, list[str]] = {
    Role.OFFICER: ["*"],
    Role.READER: ["secrets/get", "secrets/list"],
    Role.NOTHING: [],
}
