"""Clients that go away free their places."""

import asyncio
import time

from load import ms, question

PLACES = 8


async def one_round(service, key, watch, number):
    """As many running and as many waiting; all leave at once. Seconds until nothing runs or waits, and how many there were."""
    connections = [service.connection(key) for _ in range(2 * PLACES)]
    started = [asyncio.create_task(c.chat(question(number + i), 900, until_first=True)) for i, c in enumerate(connections)]
    there = 0
    for _ in range(400):
        m = await service.metrics(watch)
        there = m["fathom_running"] + m["fathom_waiting"]
        if m["fathom_running"] == PLACES and m["fathom_waiting"] == PLACES:
            break
        await asyncio.sleep(0.005)
    for i, c in enumerate(connections):
        c.close(reset=i % 2 == 1)
    left = time.monotonic()
    while True:
        m = await service.metrics(watch)
        if m["fathom_running"] + m["fathom_waiting"] == 0 or time.monotonic() - left > 10:
            break
        await asyncio.sleep(0.002)
    took = time.monotonic() - left
    for task in started:
        task.cancel()
    await asyncio.gather(*started, return_exceptions=True)
    return took, there


async def run(service_of, report, short):
    wanted = 32 if short else 500
    service = service_of("--parallel", str(PLACES))
    try:
        service.start()
        key = service.key("user", "--concurrency", "0", established=True)
        watch = service.connection(service.key("watch", "--rights", "metrics"))
        await service.settle()
        times, clients = [], 0
        while clients < wanted:
            took, there = await one_round(service, key, watch, 1000 + 100 * clients)
            times.append(took)
            clients += there or 1
        report.line(disconnects=int(clients), worst_ms=ms(max(times)), mean_ms=ms(sum(times) / len(times)))
        report.must("all places are free again", max(times) < 10)
        reply = await service.connection(key).chat(question(1), 8)
        report.must("and are given to others", reply.status == 200 and reply.ended)
        if not short:
            report.within("a place is free at most 200 ms after its client left", ms(max(times)), 200)
    finally:
        service.remove()
