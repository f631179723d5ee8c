"""The index behind the service: answers after a fixed time, whoever else is asking."""

from __future__ import annotations

import asyncio

LATENCY_S = 0.004


class Store:
    """Knows, for each query, which documents might match."""

    def __init__(self) -> None:
        self._index = [
            [(query * 7 + place * 3) % 997 for place in range(64)] for query in range(64)
        ]

    async def candidates(self, query: int) -> list[int]:
        """Documents for a query, after the index has been asked over the network."""
        await asyncio.sleep(LATENCY_S)
        return self._index[query % len(self._index)]
