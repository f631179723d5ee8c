"""Eight coroutines that take jobs from a queue. Unit: a job."""

import asyncio


def score(job):
    total = job
    for index in range(3_000):
        total = (total * 31 + index) % 1_000_003
    return total


async def look_up(job):
    await asyncio.sleep(0.002)
    return job * 3


async def handle(job):
    return score(await look_up(job))


async def worker(jobs):
    while True:
        await handle(await jobs.get())
        jobs.task_done()


async def main():
    jobs = asyncio.Queue(maxsize=32)
    workers = [asyncio.create_task(worker(jobs)) for _ in range(8)]
    for job in range(100_000):
        await jobs.put(job)
    await jobs.join()
    for one in workers:
        one.cancel()


asyncio.run(main())
