"""Mixed traffic for a long time: nothing grows."""

import asyncio
import random
import time

from load import question

USERS = 12


async def user(service, key, until, rng):
    """Good requests, wrong ones, and some that are left half-way."""
    while time.monotonic() < until:
        connection = service.connection(key if rng.random() < 0.9 else "sk-fathom-wrong")
        for _ in range(rng.randrange(1, 6)):
            kind = rng.random()
            text = question(rng.randrange(10**6)) * rng.randrange(1, 8)
            if kind < 0.6:
                await connection.chat(text, rng.randrange(1, 60), stream=kind < 0.3)
            elif kind < 0.8:
                await connection.chat(text, 300, until_first=True)
                connection.close(reset=kind < 0.7)
            elif kind < 0.9:
                await connection.request("POST", "/chat/completions", b'{"messages": [' * rng.randrange(1, 50))
            else:
                await connection.request("GET", "/models")
        connection.close()


async def at_rest(service, watch):
    """Waits until nothing runs and nobody else is connected."""
    for _ in range(400):
        m = await service.metrics(watch)
        if m["fathom_running"] + m["fathom_waiting"] + m["fathom_usage_rows_waiting"] == 0 and m["fathom_connections"] == 1:
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    return m


async def run(service_of, report, short, seconds=None):
    seconds = seconds or (4 if short else 1800)
    service, pieces = service_of("--parallel", "8"), 2 if short else 30
    try:
        service.start()
        key = service.key("user", "--concurrency", "0", established=True)
        watch = service.connection(service.key("watch", "--rights", "metrics"))
        await service.settle()
        points = []
        for piece in range(pieces):
            until = time.monotonic() + seconds / pieces
            await asyncio.gather(*(user(service, key, until, random.Random(piece * USERS + u)) for u in range(USERS)))
            m = await at_rest(service, watch)
            resident, files, threads = service.footprint()
            points.append((resident, files, threads))
            report.line(minute=round((piece + 1) * seconds / pieces / 60, 1), resident_mb=round(resident / 1e6, 1),
                        files=files, threads=threads, requests=int(m["fathom_requests_total"]))
            report.must("everybody left", m["fathom_running"] + m["fathom_waiting"] == 0)
        report.must("no file stays open", points[-1][1] <= points[0][1] + 2, first=points[0][1], last=points[-1][1])
        report.must("no thread stays", points[-1][2] == points[0][2], first=points[0][2], last=points[-1][2])
        if not short:
            settled = points[len(points) // 5][0]  # caches are full by then
            report.within("memory grows by at most 2 % after the first fifth", 100 * (points[-1][0] / settled - 1), 2, "%")
        report.must("it ends when told", service.stop() == 0)
    finally:
        service.remove()
