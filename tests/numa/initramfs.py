#!/usr/bin/env python3
"""tests/numa/initramfs.py PROGRAM >FILE: a root for a guest, as a cpio archive (newc): PROGRAM as /init, and the libraries that it loads."""
import os
import subprocess
import sys


def entry(out, number, name, mode, data=b""):
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
    out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))


def libraries(program):
    """Paths as the loader asks for them."""
    for line in subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout.splitlines():
        words = line.split()
        path = words[2] if "=>" in words else words[0]
        if path.startswith("/"):
            yield path


def main():
    program, out = sys.argv[1], sys.stdout.buffer
    files = {"/init": program} | {path: path for path in libraries(program)}
    folders = {"/proc", "/sys", "/dev", "/tmp"}
    for path in files:
        while (path := os.path.dirname(path)) != "/":
            folders.add(path)
    number = 0
    for path in sorted(folders):
        entry(out, number := number + 1, path[1:], 0o040755)
    for path, source in sorted(files.items()):
        with open(source, "rb") as f:
            entry(out, number := number + 1, path[1:], 0o100755, f.read())
    entry(out, 0, "TRAILER!!!", 0)


main()
