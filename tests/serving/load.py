"""`python -m tests.serving.load --port N --ca FILE --log FILE --rate R --seed N < users.json`: users at work.

Each user has one keep-alive TLS connection, logs in, and then looks (GET /me), writes (POST /deals) and now and
then logs in anew. The first one asks for one slow report after the other, so that there is always a statement under
way; reports are in no latency. Tokens and sessions are good for the whole run: each 401 is a user who was logged out.
Nothing is tried twice, with one exception that Chromium makes as well: on a connection that was used before and on
which nothing came back, the request is sent once more on a fresh one. nginx closes idle connections at each reload
(trac.nginx.org 1022). Such requests are counted as `resent`.

Ends at SIGTERM. A JSON line every 0.25 s: `requests`, `resent` and `users` since the start, the rest since the last:

    {"at": 12.5, "requests": 190, "resent": 0, "users": 20, "ms": [4.1, 3.8], "events": []}

An event is a request that did not end as it should: `failed`, `logged_out` or `wrong` (an answer that does not know
of a write that was acknowledged). The last line has `acknowledged` and `unsure`, writes by user.
"""

import argparse
import http.client
import json
import random
import signal
import ssl
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from keyturn.core.secret import SecretValue
from keyturn.testing.nginx_server import UPSTREAM

LOG_EVERY = 0.25
SECONDS = 20.0
LOG_INS, WRITES = 0.08, 0.33
"""Of a hundred requests, 8 log in and 25 write; the others look."""
REPORT = "/report"
NOTHING_CAME = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)


class Counts:
    """What all users of this process have done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: Counter[str] = Counter()
        self._ms: list[float] = []
        self._events: list[dict[str, Any]] = []
        self.acknowledged: Counter[str] = Counter()
        self.unsure: Counter[str] = Counter()

    def add(self, what: str, count: int = 1) -> None:
        """Count."""
        with self._lock:
            self._totals[what] += count

    def took(self, seconds: float, path: str) -> None:
        """A request came to its end, this or that way."""
        with self._lock:
            self._totals["requests"] += 1
            if path != REPORT:
                self._ms.append(round(seconds * 1000, 1))

    def event(self, kind: str, what: str, how: str, upstream: str = "") -> None:
        """Something did not end as it should."""
        with self._lock:
            self._events.append(
                {"at": round(time.monotonic(), 3), "kind": kind, "what": what, "how": how, "upstream": upstream}
            )

    def line(self, *, final: bool = False) -> str:
        """What goes to the log."""
        with self._lock:
            totals = {name: self._totals[name] for name in ("requests", "resent", "users")}
            said = {"at": round(time.monotonic(), 3), **totals, "ms": self._ms, "events": self._events}
            self._ms, self._events = [], []
        if final:
            said |= {"acknowledged": dict(self.acknowledged), "unsure": dict(self.unsure)}
        return json.dumps(said) + "\n"


class User:
    """One user with a browser."""

    def __init__(self, name: str, password: SecretValue, counts: Counts, place: tuple[int, ssl.SSLContext]) -> None:
        port, context = place
        self.name, self._password, self._counts = name, password, counts
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context)
        self._used = False
        self._headers: dict[str, str] = {}

    def work(self, ending: threading.Event, every: float, seed: str) -> None:
        """Act at that pace until the end; without a pace, ask for reports."""
        draw = random.Random(seed)  # noqa: S311 - which request comes next is no secret
        due = time.monotonic() + draw.random() * every
        while not ending.wait(max(0.0, due - time.monotonic())):
            due = max(due + every, time.monotonic() - every)
            if every or not self._headers:
                self.act(draw.random())
            else:
                self._ask("GET", REPORT, 200)
        self._connection.close()

    def act(self, drawn: float) -> None:
        """One request."""
        if not self._headers or drawn < LOG_INS:
            self._log_in()
        elif drawn < WRITES:
            self._write()
        else:
            self._look()

    def _log_in(self) -> None:
        answer = self._ask("POST", "/login", 200, form(self.name, self._password.reveal()))
        if answer is None:
            return
        if not self._headers:
            self._counts.add("users")
        token, session = answer["token"], answer["session"]
        self._headers = {"Authorization": f"Bearer {token}", "Cookie": f"session={session}"}

    def _look(self) -> None:
        known = self._counts.acknowledged[self.name]
        answer = self._ask("GET", "/me", 200)
        if answer is not None and (answer["name"] != self.name or answer["deals"] < known):
            self._counts.event("wrong", "GET /me", "an acknowledged write is not there")

    def _write(self) -> None:
        known = self._counts.acknowledged[self.name]
        answer = self._ask("POST", "/deals", 201, {"title": "x" * 40})
        if answer is None:
            self._counts.unsure[self.name] += 1
            return
        self._counts.acknowledged[self.name] = known + 1
        if answer["deals"] <= known:
            self._counts.event("wrong", "POST /deals", "an acknowledged write is not there")

    def _ask(self, method: str, path: str, expected: int, body: dict[str, str] | None = None) -> dict[str, Any] | None:
        started = time.monotonic()
        try:
            status, answer, upstream = self._sent(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._used = False
            self._counts.event("failed", f"{method} {path}", type(error).__name__)
            return None
        finally:
            self._counts.took(time.monotonic() - started, path)
        if status == expected:
            return answer
        if status == http.HTTPStatus.UNAUTHORIZED:
            self._counts.add("users", -1 if self._headers else 0)
            self._headers = {}
            self._counts.event("logged_out", f"{method} {path}", str(answer.get("detail", "")), upstream)
        else:
            self._counts.event("failed", f"{method} {path}", str(status), upstream)
        return None

    def _sent(self, method: str, path: str, body: dict[str, str] | None) -> tuple[int, dict[str, Any], str]:
        try:
            response = self._once(method, path, body)
        except NOTHING_CAME:
            self._connection.close()
            if not self._used:
                raise
            self._used = False
            self._counts.add("resent")
            if path == "/deals":
                self._counts.unsure[self.name] += 1
            response = self._once(method, path, body)
        self._used = True
        return self._read(response)

    def _once(self, method: str, path: str, body: dict[str, str] | None) -> http.client.HTTPResponse:
        headers = {**self._headers, "Content-Type": "application/json"} if body else self._headers
        self._connection.request(method, path, json.dumps(body) if body else None, headers)
        return self._connection.getresponse()

    def _read(self, response: http.client.HTTPResponse) -> tuple[int, dict[str, Any], str]:
        content = response.read()
        if response.will_close:
            self._used = False
        upstream = response.headers.get(UPSTREAM, "")
        if response.headers.get_content_type() != "application/json":
            return response.status, {}, upstream  # nginx's own pages
        answer: dict[str, Any] = json.loads(content)
        if cookie := response.headers.get("Set-Cookie"):
            answer["session"] = cookie.partition(";")[0].partition("=")[2]
        return response.status, answer, upstream


def form(name: str, password: str) -> dict[str, str]:
    """What is sent to log in."""
    return {"name": name, "password": password}


def main() -> int:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--rate", type=float, required=True, help="requests in a second, all users together")
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    passwords: dict[str, str] = json.loads(sys.stdin.readline())
    counts, place = Counts(), (given.port, ssl.create_default_context(cafile=given.ca))
    users = [User(name, SecretValue(password), counts, place) for name, password in passwords.items()]
    paces = [0.0, *[(len(users) - 1) / given.rate] * (len(users) - 1)]
    threads = [
        threading.Thread(target=user.work, args=(ending, every, f"{given.seed} {user.name}"))
        for user, every in zip(users, paces, strict=True)
    ]
    for thread in threads:
        thread.start()
    with Path(given.log).open("w", buffering=1) as log:
        while not ending.wait(LOG_EVERY):
            log.write(counts.line())
        for thread in threads:
            thread.join()
        log.write(counts.line(final=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
