"""Which problems are held out: a fixed sixteenth of all contents, by hash."""
import hashlib


def held_out(task, key):
    """`key` is the canonical content of a question, without its phrasing; None is always trained on."""
    if key is None:
        return False
    return hashlib.sha256(f"{task}:{key!r}".encode()).digest()[0] < 16
