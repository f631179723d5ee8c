"""A client that keeps a fixed number of requests under way, in a process of its own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection


@dataclass(frozen=True)
class Load:
    """How many requests, how many at a time, and how many of them before the measured window."""

    requests: int
    concurrency: int
    warmup: int


class Client:
    """Sends requests over keep-alive connections and notes when each was answered."""

    def __init__(self, port: int, load: Load) -> None:
        self._port = port
        self._load = load
        self._next = 0
        self._answered: list[float] = []

    async def run(self) -> float:
        """Send all requests; returns requests per second in the window."""
        await asyncio.gather(*(self.connection() for _ in range(self._load.concurrency)))
        window = self._answered[self._load.warmup :]
        return (len(window) - 1) / (window[-1] - window[0])

    async def connection(self) -> None:
        """One connection's requests, one after the other."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while self._next < self._load.requests:
            self._next += 1
            await self.request(reader, writer, self._next)
            self._answered.append(time.monotonic())
        writer.close()
        await writer.wait_closed()

    async def request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, query: int
    ) -> bytes:
        """One request; the body of its answer."""
        writer.write(b"GET /search?q=%d HTTP/1.1\r\nhost: localhost\r\n\r\n" % query)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head:
            raise ConnectionError(f"unexpected answer: {head!r}")
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return await reader.readexactly(length)


def run_client(port: int, load: Load, result: Connection) -> None:
    """The client's process."""
    result.send(asyncio.run(Client(port, load).run()))
    result.close()
