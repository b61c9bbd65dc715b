"""A real `fathom serve` with a state folder of its own, its keys, and what it says about itself."""

import asyncio
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

from client import Connection


class Service:
    def __init__(self, *options):
        self.folder = tempfile.mkdtemp(prefix="fathom-reliability-")
        self.database = os.path.join(self.folder, "state", "fathom.db")
        self.binary = os.environ.get("FATHOM_BIN", "build/fathom")
        self.options, self.process, self.port = list(options), None, None
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most if most != resource.RLIM_INFINITY else 65536, most))

    def start(self):
        """Returns when it answers; its output goes to files in the folder."""
        out = open(os.path.join(self.folder, "stdout"), "ab")
        err = open(os.path.join(self.folder, "stderr"), "ab")
        before = out.tell()
        self.hurry(0)
        environment = dict(os.environ, TMPDIR=self.folder, STATE_DIRECTORY=os.path.join(self.folder, "state"))
        self.process = subprocess.Popen([self.binary, "serve", "--port", "0", *self.options], stdout=out, stderr=err,
                                        env=environment, cwd=os.environ.get("FATHOM_CWD", "."))
        self.hurry(-10)
        for _ in range(6000):
            with open(out.name, "rb") as f:
                f.seek(before)
                found = re.search(rb"listening on http://127.0.0.1:(\d+)\n", f.read())
            if found:
                self.port = int(found.group(1))
                return self
            if self.process.poll() is not None:
                raise RuntimeError("the service ended: " + open(err.name).read()[-2000:])
            time.sleep(0.01)
        raise RuntimeError("the service does not say where it listens")

    @staticmethod
    def hurry(nice):
        """Clients stand for other machines: their clocks must not wait for the service's CPUs. Where this is not allowed times come out longer."""
        try:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        except PermissionError:
            pass

    def logged(self, status):
        """Seconds that requests with this status took, by the service's own log."""
        with open(os.path.join(self.folder, "stderr")) as f:
            lines = [json.loads(line) for line in f if line.startswith("{")]
        return [line["ms"] / 1000 for line in lines if line.get("status") == status]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """The exit status after SIGTERM."""
        self.process.terminate()
        return self.process.wait(60)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder)

    def key(self, name, *options, established=False):
        """A new key; an established one was first active yesterday. Wait for `settle` before a running service must know it."""
        text = subprocess.run([self.binary, "key", "add", name, "--database", self.database, *options], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode().strip()
        if established:
            day_ago = int(time.time()) - 86400
            self.sql("UPDATE keys SET first_active = ?, last_active = ? WHERE name = ?", day_ago, day_ago, name)
        return text

    async def settle(self):
        await asyncio.sleep(0.7)

    def sql(self, statement, *values):
        with sqlite3.connect(self.database, timeout=20) as db:
            rows = db.execute(statement, values).fetchall()
        db.close()
        return rows

    async def metrics(self, connection):
        """All of /metrics without labels as numbers; one with labels is summed."""
        reply = await connection.request("GET", "/metrics")
        if reply.status != 200:
            raise RuntimeError(f"/metrics: {reply.status}")
        values = {}
        for line in reply.body.decode().splitlines():
            if not line.startswith("#") and line:
                name, value = re.sub(r"\{.*\}", "", line).split()
                values[name] = values.get(name, 0) + float(value)
        return values

    def connection(self, key):
        return Connection(self.port, key)

    def footprint(self):
        """Resident bytes, open files, threads."""
        pid = self.process.pid
        with open(f"/proc/{pid}/statm") as f:
            resident = int(f.read().split()[1]) * resource.getpagesize()
        return resident, len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))
