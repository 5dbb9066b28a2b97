"""One replica for tests and the rolling restart: an HTTP server that reads what it serves once, at its start.

    python replica_process.py PORT FILE READY [PREPARING]

`/` answers with the content of FILE as it was at the start. READY is made when it listens, `PREPARING` seconds after
its start (imports, migrations, caches). SIGHUP is counted in READY. It ends on SIGTERM when what is under way is done.
"""

import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Reply(BaseHTTPRequestHandler):
    """What was read at the start, whatever is asked for."""

    content = b""

    def do_GET(self) -> None:  # the name that http.server asks for
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> int:
    """Serve until SIGTERM; 0."""
    port, file, ready = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    preparing = float(sys.argv[4]) if sys.argv[4:] else 0.0
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    signal.signal(signal.SIGHUP, lambda *_: ready.write_text(ready.read_text() + "told\n"))
    Reply.content = file.read_bytes() if file.exists() else b"nothing"
    time.sleep(preparing)
    server = ThreadingHTTPServer(("127.0.0.1", port), Reply)
    server.daemon_threads = False
    serving = threading.Thread(target=server.serve_forever, args=(0.02,))
    serving.start()
    ready.write_text("")
    while not ending.wait(1.0):
        pass
    server.shutdown()
    server.server_close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
