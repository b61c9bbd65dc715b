"""What one key asked makes nothing faster for another."""

import json
import random

from load import ms

TOKENS = 1


def prompt(number):
    rng = random.Random(number)
    return " ".join(f"{rng.randrange(1000)}+{rng.randrange(1000)}" for _ in range(60))


async def ask(connection, text):
    reply = await connection.chat(text, TOKENS, stream=False)
    return reply.total, reply.json()["usage"]["prompt_cache_hit_tokens"]


def difference(a, b):
    """How many standard errors the ranks of `a` are below those of `b` (Mann-Whitney, normal approximation): above 0, a is faster."""
    ranked = sorted([(v, 0) for v in a] + [(v, 1) for v in b])
    rank_sum = sum(i + 1 for i, (_, which) in enumerate(ranked) if which == 0)
    n, m = len(a), len(b)
    u = rank_sum - n * (n + 1) / 2
    return (n * m / 2 - u) / (n * m * (n + m + 1) / 12) ** 0.5


async def run(service_of, report, short):
    rounds = 4 if short else 150
    service = service_of("--parallel", "4")
    try:
        service.start()
        one, other = (service.connection(service.key(name, established=True)) for name in ("one", "other"))
        await service.settle()
        fresh, again, shared, hits = [], [], [], {"again": 0, "shared": 0}
        for i in range(rounds):
            known, new = prompt(2 * i), prompt(2 * i + 1)
            await ask(one, known)
            seconds, hit = await ask(one, known)
            again.append(seconds)
            hits["again"] += hit
            for text, times in ((known, shared), (new, fresh)) if i % 2 else ((new, fresh), (known, shared)):
                seconds, hit = await ask(other, text)
                times.append(seconds)
                hits["shared"] += hit
        report.line(rounds=rounds, mean_ms=json.loads(json.dumps({"new prompt": ms(sum(fresh) / rounds), "a prompt of another key":
                    ms(sum(shared) / rounds), "a prompt of this key": ms(sum(again) / rounds)})), cached_tokens=hits)
        report.must("a key's own prompt comes from the cache", hits["again"] > 0)
        report.must("another key's does not", hits["shared"] == 0)
        if not short:
            report.must("the clock tells what comes from the cache", difference(again, fresh) > 4,
                        standard_errors=round(difference(again, fresh), 2))
            report.within("the clock tells nothing of other keys", abs(difference(shared, fresh)), 3, "standard errors")
    finally:
        service.remove()
