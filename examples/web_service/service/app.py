"""The application: find the candidates, rank them, answer with a page of results."""

from __future__ import annotations

from service.access_log import AccessLog
from service.http_server import Message, Receive, Send
from service.ranking import rank
from service.rendering import render
from service.store import Store


class SearchApp:
    """ASGI application; ``/search?q=NUMBER`` is all it knows."""

    def __init__(self, store: Store, log: AccessLog) -> None:
        self._store = store
        self._log = log

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await receive()
        if scope["path"] != "/search":
            await self.respond(send, 404, b'{"error": "not found"}')
            return
        query = self.query_of(scope)
        candidates = await self._store.candidates(query)
        body = render(query, rank(query, candidates))
        self._log.note(scope["path"], len(body))
        await self.respond(send, 200, body)

    def query_of(self, scope: Message) -> int:
        """The number searched for."""
        name, _, value = scope["query_string"].partition(b"=")
        return int(value) if name == b"q" else 0

    async def respond(self, send: Send, status: int, body: bytes) -> None:
        """Send a complete response."""
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
