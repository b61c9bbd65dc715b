"""/health answers while long prompts are computed."""

import asyncio
import time

from client import Connection, share
from load import ms

PROMPTS = 8


async def run(service_of, report, short):
    service = service_of("--parallel", "16")
    rounds = 1 if short else 6
    try:
        service.start()
        key = service.key("user", established=True)
        await service.settle()
        times, busy = [], 0
        for round_number in range(rounds):
            prompts = [" ".join(f"{round_number}{i}+{n}" for n in range(150)) for i in range(PROMPTS)]
            connections = [service.connection(key) for _ in prompts]
            tasks = [asyncio.create_task(c.chat(p, 8)) for c, p in zip(connections, prompts)]
            began = time.monotonic()
            while not all(t.done() for t in tasks):
                fresh = Connection(service.port)
                reply = await fresh.request("GET", "/health")
                fresh.close()
                report.failed += reply.status != 200
                times.append(reply.total)
                await asyncio.sleep(0.01)
            busy += time.monotonic() - began
            replies = [t.result() for t in tasks]
            report.must("the prompts are answered", all(r.status == 200 and r.ended for r in replies),
                        tokens=replies[0].json()["usage"]["prompt_tokens"] if replies[0].body[:1] == b"{" else None)
            for c in connections:
                c.close()
        report.line(load=f"{PROMPTS} long prompts at a time", health_requests=len(times), seconds=round(busy, 1),
                    p50_ms=ms(share(times, 0.5)), p99_ms=ms(share(times, 0.99)), most_ms=ms(max(times)))
        report.must("/health was asked meanwhile", len(times) > 3)
        if not short:
            report.within("/health p99 is at most 100 ms during a prefill", ms(share(times, 0.99)), 100)
    finally:
        service.remove()
