"""A program whose own times are known: each function turns the same empty loop so many times.

However fast processors are by then, shares stay. One function calls native code instead, which is
compared with such a loop before and after. Prints JSON: shares by qualified name.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator

TURNS = 20_000
ROUNDS = 60


def plain() -> None:
    """Works, and calls others that do."""
    for _ in range(3 * TURNS):
        pass
    recursive(4)
    for _ in generator():
        pass
    catching()


def recursive(depth: int) -> None:
    """Works in each of its activations."""
    for _ in range(TURNS):
        pass
    if depth > 1:
        recursive(depth - 1)


def generator() -> Iterator[int]:
    """Works between its yields."""
    for number in range(3):
        for _ in range(TURNS):
            pass
        yield number


def catching() -> None:
    """Catches what is raised two calls below."""
    try:
        passing()
    except ValueError:
        for _ in range(TURNS):
            pass


def passing() -> None:
    """Is left by an exception."""
    for _ in range(TURNS):
        pass
    raising()


def raising() -> None:
    """Works and raises."""
    for _ in range(2 * TURNS):
        pass
    raise ValueError


def native() -> None:
    """The time of native code that it calls is its own."""
    for _ in range(20):
        sum(range(TURNS // 10))


def in_thread() -> None:
    """Works in a thread of its own while the others wait for it: what competing for the GIL costs
    would be no turn of a loop."""
    for _ in range(2 * TURNS):
        pass


async def coroutine() -> None:
    """Works before and after it lets others run."""
    for _ in range(2):
        for _ in range(TURNS):
            pass
        await asyncio.sleep(0)


async def both() -> None:
    """Two at the same time."""
    await asyncio.gather(coroutine(), coroutine())


TURNS_OF = {
    "plain": 3,
    "recursive": 4,
    "generator": 3,
    "catching": 1,
    "passing": 1,
    "raising": 2,
    "in_thread": 2,
    "coroutine": 4,
}
"""How often it turns in a round, in `TURNS`."""


def fastest(work: Callable[[], None]) -> float:
    """Seconds of one call, of many."""
    took = []
    for _ in range(50):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return min(took)


def native_turns() -> float:
    """How many `TURNS` take as long as a call of `native`, by copies of it and of the loop."""

    def turns() -> None:
        for _ in range(TURNS):
            pass

    def calls() -> None:
        for _ in range(20):
            sum(range(TURNS // 10))

    return fastest(calls) / fastest(turns)


def main() -> None:
    """All of it, round by round."""
    before = native_turns()
    for _ in range(ROUNDS):
        plain()
        native()
        asyncio.run(both())
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()
    turns = TURNS_OF | {"native": 0.5 * (before + native_turns())}
    print(json.dumps({name: each / sum(turns.values()) for name, each in turns.items()}))


if __name__ == "__main__":
    main()
