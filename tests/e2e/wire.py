"""A line to PostgreSQL that ends TLS with the server's own certificate and keeps all that went over it in clear."""

import asyncio
import ssl
import struct
import threading
from types import TracebackType
from typing import Self

from keyturn.testing.postgres_server import PostgresServer

HOST = "127.0.0.1"
PIECE = 65536
TLS_WANTED, GSS_WANTED = 80877103, 80877104
"""Request codes (PostgreSQL, "Message Formats": SSLRequest, GSSENCRequest)."""


class Wire:
    """Forwards `127.0.0.1:port` to a server for as long as the `with` block lasts.

    The certificate is the server's, so that a client that verifies it, and binds its log-in to it
    (SCRAM-SHA-256-PLUS, RFC 5929 tls-server-end-point), sees no difference.

    Attributes:
        port: where clients connect to.
        sent: what clients sent, as the server read it.
        answered: what the server answered.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._target = server.port
        self._inward = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._inward.load_cert_chain(server.data / "server.crt", server.data / "server.key")
        self._outward = ssl.create_default_context(cafile=server.ca_file)
        self._ready, self._loop, self.port = threading.Event(), asyncio.new_event_loop(), 0
        self._thread = threading.Thread(target=self._run)
        self._sent, self._answered = bytearray(), bytearray()
        self.errors: list[BaseException] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def sent(self) -> bytes:
        """All that clients sent so far."""
        return bytes(self._sent)

    @property
    def answered(self) -> bytes:
        """All that the server answered so far."""
        return bytes(self._answered)

    def _run(self) -> None:
        listening = self._loop.run_until_complete(asyncio.start_server(self._serve, HOST, 0))
        self.port = int(listening.sockets[0].getsockname()[1])
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            listening.close()
            self._loop.run_until_complete(self._end())
            self._loop.close()

    async def _end(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        out = None
        try:
            first = await self._begun(reader, writer)
            answers, out = await asyncio.open_connection(HOST, self._target)
            if not first:
                out.write(struct.pack("!ii", 8, TLS_WANTED))
                await answers.readexactly(1)
                await out.start_tls(self._outward, server_hostname=HOST)
            out.write(first)
            await asyncio.gather(self._pass(reader, out, self._sent), self._pass(answers, writer, self._answered))
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # one side has left, and the other one sees that
        except Exception as error:  # noqa: BLE001 - a line that failed has kept nothing, and the test must say so
            self.errors.append(error)
        finally:
            for one in (writer, out):
                if one is not None:
                    one.close()

    async def _begun(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Up to TLS; the first packet of who does without (a CancelRequest), else nothing."""
        while True:
            packet = await reader.readexactly(8)
            self._sent += packet
            length, code = struct.unpack("!ii", packet)
            if code == TLS_WANTED:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(self._inward)
                return b""
            if code != GSS_WANTED:
                return packet + await reader.readexactly(length - 8)
            writer.write(b"N")

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
        while piece := await reader.read(PIECE):
            kept += piece
            writer.write(piece)
            await writer.drain()
        writer.close()
