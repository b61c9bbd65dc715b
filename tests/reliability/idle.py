"""1,000 clients that are connected and silent, 200 that are slow: those who work do not feel it."""

import asyncio

from client import Connection
from load import Traffic

USERS, TOKENS = 4, 32


async def idle_client(service, key, made):
    """Connected, having asked something once; then silent."""
    connection = Connection(service.port, key)
    reply = await connection.request("GET", "/health")
    made.append((connection, reply.status == 200))


async def slow_head(service, key):
    """A header a byte a time."""
    connection = Connection(service.port, key)
    await connection.open()
    head = connection.head("POST", "/chat/completions", 100000) * 40
    for i in range(len(head)):
        connection.writer.write(head[i:i + 1])
        await asyncio.sleep(0.5)


async def slow_body(service, key):
    connection = Connection(service.port, key)
    await connection.open()
    connection.writer.write(connection.head("POST", "/chat/completions", 100000))
    for _ in range(10000):
        connection.writer.write(b" ")
        await asyncio.sleep(0.5)


async def slow_reader(service, key):
    """Asks for a list again and again and takes a byte of the answers a time."""
    connection = Connection(service.port, key)
    await connection.open()
    for _ in range(200):
        connection.writer.write(connection.head("GET", "/models", None))
    while await connection.reader.read(1):
        await asyncio.sleep(0.5)


async def run(service_of, report, short):
    idle, slow, seconds = (200, 40, 2) if short else (1000, 200, 30)
    service = service_of("--parallel", "16")
    try:
        service.start()
        keys = [service.key(f"user{i}", established=True) for i in range(USERS)]
        other = service.key("slow")
        await service.settle()
        before = await Traffic().users(service, keys, seconds, TOKENS)
        report.line(load="unloaded", **before.figures())
        made = []
        await asyncio.gather(*(idle_client(service, other, made) for _ in range(idle)))
        kinds = [slow_head, slow_body, slow_reader]
        tasks = [asyncio.create_task(kinds[i % 3](service, other)) for i in range(slow)]
        await asyncio.sleep(1)
        during = await Traffic().users(service, keys, seconds, TOKENS)
        report.line(load=f"{idle} idle and {slow} slow clients", **during.figures())
        report.must("every idle client was let in", len(made) == idle and all(ok for _, ok in made), clients=len(made))
        report.must("every request of the others is answered", len(during.good()) == len(during.replies) > 0,
                    answered=len(during.good()), requests=len(during.replies))
        if not short:
            report.within("p99 of active keys is at most twice the unloaded one",
                          during.figures()["p99_ms"] / before.figures()["p99_ms"], 2, "times")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection, _ in made:
            connection.close()
        report.must("it ends when told", service.stop() == 0)
    finally:
        service.remove()
