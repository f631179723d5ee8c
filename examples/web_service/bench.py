"""An ASGI service under load from a client in the same command: requests per second.

    python bench.py --concurrency 8    the event loop is always busy: its Python limits throughput
    python bench.py --concurrency 1    one request at a time: half of a request is waiting

What is true at which load is written down in truth.json.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
from multiprocessing.connection import Connection

from service.access_log import AccessLog
from service.app import SearchApp
from service.client import Load, run_client
from service.http_server import HttpServer
from service.store import Store


def parse_arguments() -> argparse.Namespace:
    """The command line; the defaults give a run of about a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--concurrency", type=int, default=8, help="requests under way at a time")
    parser.add_argument("--requests", type=int, default=200)
    return parser.parse_args()


async def serve_until_done(load: Load) -> float:
    """Serve until the client has what it wanted; its requests per second."""
    log = AccessLog()
    server = HttpServer(SearchApp(Store(), log))
    port = await server.start()
    ours, theirs = multiprocessing.Pipe(duplex=False)
    client = multiprocessing.get_context("spawn").Process(
        target=run_client, name="client", args=(port, load, theirs)
    )
    client.start()
    theirs.close()
    log.start()
    rate = await asyncio.to_thread(receive, ours)
    client.join()
    log.stop()
    await server.stop()
    return rate


def receive(result: Connection) -> float:
    """The client's result, as soon as it is there."""
    rate: float = result.recv()
    return rate


def main() -> None:
    """Serve, measure, report."""
    arguments = parse_arguments()
    load = Load(arguments.requests, arguments.concurrency, warmup=arguments.requests // 7)
    rate = asyncio.run(serve_until_done(load))
    print(f"throughput: {rate:.2f} requests/s")


if __name__ == "__main__":
    main()
