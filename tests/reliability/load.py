"""Traffic: people who ask, read and ask again, and floods that do not care what they are told."""

import asyncio
import random
import time

from client import share


def question(number):
    """A prompt of its own, so that no cache makes one request cheaper than another."""
    return f"What is {number} * {number % 89 + 11}?"


class Traffic:
    """Replies of some users, gathered while it runs. `sums` more in a prompt make requests that cost the service more than the client."""

    def __init__(self, sums=0):
        self.replies, self.number, self.sums = [], random.randrange(1000, 10**8), sums

    def next_question(self):
        self.number += 1
        return " ".join(f"{self.number + i}+{i}" for i in range(self.sums)) + question(self.number)

    async def user(self, connection, until, tokens, pause=0.0):
        """Asks until the time is over, each time after the answer to the last."""
        while time.monotonic() < until:
            reply = await connection.chat(self.next_question(), tokens)
            reply.at = time.monotonic()
            self.replies.append(reply)
            if reply.status != 200:
                await asyncio.sleep(0.05)
            if pause:
                await asyncio.sleep(pause)

    async def users(self, service, keys, seconds, tokens, each=1, pause=0.0):
        """`each` users for each key."""
        until = time.monotonic() + seconds
        connections = [service.connection(k) for k in keys for _ in range(each)]
        await asyncio.gather(*(self.user(c, until, tokens, pause) for c in connections))
        for c in connections:
            c.close()
        return self

    async def flood(self, service, keys, seconds, tokens, rate, patience=0):
        """Sends `rate` requests a second, each on a connection of its own, whatever comes back; then waits up to `patience` seconds for
        an answer, if there was none."""
        start, sent, open_tasks = time.monotonic(), 0, set()

        async def one(key):
            connection = service.connection(key)
            reply = await connection.chat(self.next_question(), tokens)
            connection.close()
            self.replies.append(reply)

        while (now := time.monotonic() - start) < seconds:
            while sent < now * rate:
                task = asyncio.create_task(one(keys[sent % len(keys)]))
                open_tasks.add(task)
                task.add_done_callback(open_tasks.discard)
                sent += 1
            await asyncio.sleep(0.005)
        while open_tasks and not self.good() and time.monotonic() - start < seconds + patience:
            await asyncio.sleep(0.05)
        for task in open_tasks:
            task.cancel()
        await asyncio.gather(*open_tasks, return_exceptions=True)
        return self

    def good(self):
        return [r for r in self.replies if r.status == 200 and r.ended]

    def refused(self):
        return [r for r in self.replies if r.status in (429, 503)]

    def figures(self):
        good = self.good()
        return {"requests": len(self.replies), "answered": len(good),
                "p50_ms": ms(share([r.total for r in good], 0.5)), "p99_ms": ms(share([r.total for r in good], 0.99)),
                "first_token_p99_ms": ms(share([r.first for r in good], 0.99))}


def ms(seconds):
    return round(1000 * seconds, 1)
