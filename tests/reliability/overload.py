"""Ten times what the service can do, for a minute, from keys that are new: those who were there before keep their latency."""

import asyncio

from client import share
from load import Traffic, ms

USERS, NEWCOMERS = 4, 40


async def run(service_of, report, short):
    seconds, calm, sums, tokens, patience = (5, 3, 1, 4, 60) if short else (60, 30, 16, 32, 0)
    service = service_of("--parallel", "16")
    try:
        service.start()
        users = [service.key(f"user{i}", established=True) for i in range(USERS)]
        crowd = [service.key(f"newcomer{i}", "--concurrency", "0") for i in range(NEWCOMERS)]
        await service.settle()
        most = await Traffic(sums).users(service, users, min(calm, 10), tokens, each=4)
        capacity = len(most.good()) / min(calm, 10)
        report.line(load="16 at once", requests_per_s=round(capacity, 1), **most.figures())
        before = await Traffic(sums).users(service, users, calm, tokens)
        report.line(load="unloaded", **before.figures())
        rate = 10 * capacity
        during, flood = await asyncio.gather(Traffic(sums).users(service, users, seconds, tokens),
                                             Traffic(sums).flood(service, crowd, seconds, tokens, rate, patience))
        report.line(load="the old keys in the flood", **during.figures())
        refused = flood.refused()
        report.line(load=f"the flood, {rate:.0f} requests/s", **flood.figures(), refused=len(refused),
                    refused_p99_ms=ms(share([r.total for r in refused], 0.99)),
                    refused_most_ms=ms(max((r.total for r in refused), default=float("nan"))),
                    refused_p99_ms_in_the_log=ms(share(service.logged(503), 0.99)))
        report.must("no request of an old key is refused", len(during.good()) == len(during.replies) > 0,
                    answered=len(during.good()), requests=len(during.replies))
        report.must("newcomers are refused", refused)
        report.must("every refusal says when to come again", all(1 <= r.retry_after() <= 60 for r in refused))
        report.must("newcomers have a share", flood.good(), answered=len(flood.good()))
        if not short:
            now, then = during.figures(), before.figures()
            report.within("p99 of old keys is at most twice the unloaded one", now["p99_ms"] / then["p99_ms"], 2, "times")
            report.within("a refusal takes at most 50 ms (p99)", ms(share([r.total for r in refused], 0.99)), 50)
    finally:
        service.remove()
