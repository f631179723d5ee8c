"""A search service: an ASGI application, a small HTTP server for it, and a client."""
