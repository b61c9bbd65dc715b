"""Checks with names: each prints "ok NAME", "FAIL NAME: why" or "skip NAME: why", as the C tests do."""

import json
import os
import traceback

CHECKS = []


def check(name):
    def keep(function):
        CHECKS.append((name, function))
        return function

    return keep


def expect(condition, *seen):
    if not condition:
        raise AssertionError(" ".join(repr(s) for s in seen))


def raises(error, call, **members):
    """Calls, expects `error` with these members, and returns it."""
    try:
        result = call()
    except error as e:
        for name, value in members.items():
            expect(getattr(e, name) == value, name, getattr(e, name), "expected", value, str(e))
        return e
    raise AssertionError(f"{error.__name__} expected, got {result!r}")


def run_all(only=""):
    failed = 0
    for name, function in CHECKS:
        if only not in name:
            continue
        try:
            function()
            print("ok", name, flush=True)
        except Exception as e:  # every failure is one line; the place is in it
            place = traceback.extract_tb(e.__traceback__)[-1]
            text = " ".join(str(e).split())[:800]
            frames = [f for f in traceback.extract_tb(e.__traceback__) if "/tests/clients/" in f.filename or f.filename.endswith("clients.py")]
            line = frames[-1].lineno if frames else place.lineno
            print(f"FAIL {name}: {type(e).__name__} at line {line}: {text}", flush=True)
            failed += 1
    return 1 if failed else 0


URL = os.environ["FATHOM_URL"]
KEY = os.environ["FATHOM_KEY"]


def as_json(text):
    return json.loads(text)
