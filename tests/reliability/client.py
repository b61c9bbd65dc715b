"""A small HTTP/1.1 client on asyncio that notes when things came. Nothing but the standard library."""

import asyncio
import json
import socket
import struct
import time


class Reply:
    """One response: `first` and `total` are seconds after the request was sent; `ended`: it came whole."""

    def __init__(self):
        self.status, self.headers, self.body = 0, {}, b""
        self.first = self.total = None
        self.ended = False

    def json(self):
        return json.loads(self.body)

    def retry_after(self):
        return int(self.headers.get("retry-after", 0))


class Connection:
    """A connection that is kept, as the SDKs keep theirs; opened when first used."""

    def __init__(self, port, key=None):
        self.port, self.key, self.reader, self.writer = port, key, None, None

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)

    def close(self, reset=False):
        """Closes at once; with `reset` the other side sees an error rather than an end."""
        if self.writer is None:
            return
        if reset:
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort() if reset else self.writer.close()
        self.reader = self.writer = None

    def head(self, method, path, length):
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
        if self.key:
            lines.append(f"Authorization: Bearer {self.key}")
        if length is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {length}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def request(self, method, path, body=None, until_first=False):
        """Sends and reads one response. With `until_first` it returns after the first event of a stream, the rest unread."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        kept = self.writer is not None
        reply = await self.try_request(method, path, data, until_first)
        if kept and not reply.status:  # the server had closed a connection that was silent for long
            reply = await self.try_request(method, path, data, until_first)
        return reply

    async def try_request(self, method, path, data, until_first):
        reply, sent = Reply(), time.monotonic()
        try:
            if self.writer is None:
                await self.open()
            self.writer.write(self.head(method, path, None if data is None else len(data)) + (data or b""))
            await self.writer.drain()
            await self.read(reply, sent, until_first)
        except (ConnectionError, asyncio.IncompleteReadError, OSError):
            self.close()
        reply.total = time.monotonic() - sent
        return reply

    async def read(self, reply, sent, until_first):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        reply.status = int(head[0].split()[1])
        reply.headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in head[1:] if ":" in line)}
        parts = []
        if reply.headers.get("transfer-encoding") == "chunked":
            while True:
                size = int(await self.reader.readline(), 16)
                part = (await self.reader.readexactly(size + 2))[:size]
                if not size:
                    break
                parts.append(part)
                if reply.first is None and (b"content" in part or b"text" in part):
                    reply.first = time.monotonic() - sent
                    if until_first:
                        return
        else:
            parts.append(await self.reader.readexactly(int(reply.headers.get("content-length", 0))))
        reply.body = b"".join(parts)
        streamed = reply.headers.get("content-type", "").startswith("text/event-stream")
        reply.ended = not streamed or reply.body.rstrip().endswith(b"data: [DONE]")
        if reply.first is None:
            reply.first = time.monotonic() - sent
        if reply.headers.get("connection", "").lower() == "close":
            self.close()

    async def chat(self, text, tokens, stream=True, model="deepseek-chat", until_first=False):
        body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": tokens,
                "stream": stream, "temperature": 1.0, "seed": 7}
        return await self.request("POST", "/chat/completions", body, until_first)


def share(values, part):
    """The value that `part` of the values do not exceed: share(x, 0.99) is p99."""
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))] if values else float("nan")
