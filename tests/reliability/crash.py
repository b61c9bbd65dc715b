"""SIGKILL while answers end: what a client saw to its end is counted, once."""

import asyncio
import random

from load import Traffic

USERS, TOKENS = 8, 4


async def life(service, key, seconds, sent, least):
    """One life of the service, as long as `least` answers take however slow it is; the ids of the answers that were seen whole."""
    traffic = Traffic()
    traffic.number += 100000 * len(sent)
    users = asyncio.gather(*(traffic.user(service.connection(key), float("inf"), TOKENS) for _ in range(USERS)))
    await asyncio.sleep(seconds)
    for _ in range(1200):
        if len(traffic.good()) >= least:
            break
        await asyncio.sleep(0.05)
    service.kill()
    users.cancel()
    await asyncio.gather(users, return_exceptions=True)
    sent.append(len(traffic.replies))
    return [r.headers["x-request-id"] for r in traffic.good()]


async def run(service_of, report, short):
    kills = 3 if short else 200
    service, rng = service_of("--parallel", "8"), random.Random(11)
    try:
        key = service.key("user", "--balance", "1000", "--concurrency", "0", established=True)
        service.sql("INSERT INTO prices VALUES('deepseek-chat', 1000000000, 500000000, 2000000000)")
        seen, sent = [], []
        for _ in range(kills):
            service.start()
            seen += await life(service, key, rng.uniform(0.15, 0.5), sent, 2 if short else 0)
        rows = [r for (r,) in service.sql("SELECT request FROM usage")]
        cost, balance = service.sql("SELECT coalesce(sum(cost), 0), (SELECT balance FROM keys) FROM usage")[0]
        lost = set(seen) - set(rows)
        report.line(kills=kills, answers_seen=len(seen), rows=len(rows))
        report.must("answers were seen", len(seen) > kills)
        report.must("none of them is lost", not lost, lost=len(lost))
        report.must("none is doubled", len(rows) == len(set(rows)) and len(rows) <= sum(sent) + USERS * kills)
        report.must("the balance is what the rows say", balance == 1000 * 10**9 - cost, balance=balance, cost=cost)
        report.must("the database is whole", service.sql("PRAGMA integrity_check") == [("ok",)])
    finally:
        service.remove()
