"""HTTP/1.1 with keep-alive, as much of it as an ASGI application and one honest client need."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


def parse_head(head: bytes) -> Message:
    """The ASGI scope of one request.

    Raises:
        ValueError: this is not an HTTP request.
    """
    request_line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, version = request_line.split(" ")
    path, _, query = target.partition("?")
    headers = []
    for line in lines:
        name, _, value = line.partition(":")
        headers.append((name.strip().lower().encode(), value.strip().encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": version.removeprefix("HTTP/"),
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
    }


class Exchange:
    """One request and its response: the `receive` and `send` of an ASGI application."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._status = 500
        self._headers: list[tuple[bytes, bytes]] = []

    async def receive(self) -> Message:
        """The request's body, which is empty here."""
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """Take the start of the response, then write it out with its body."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = list(message.get("headers", ()))
            return
        body = message.get("body", b"")
        lines = [b"HTTP/1.1 %d OK" % self._status, b"content-length: %d" % len(body)]
        for name, value in self._headers:
            lines.append(name + b": " + value)
        self._writer.write(b"\r\n".join((*lines, b"", body)))
        await self._writer.drain()


class HttpServer:
    """Serves one application on a port of the loopback interface."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it is closed."""
        try:
            while True:
                scope = parse_head(await reader.readuntil(b"\r\n\r\n"))
                exchange = Exchange(writer)
                await self._application(scope, exchange.receive, exchange.send)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass
        finally:
            writer.close()
