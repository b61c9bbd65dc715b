#!/usr/bin/env python3
"""The promises of the service about load, crashes and privacy, tried on a real one.

  tests/reliability/run.py                      all parts but the soak, about ten minutes
  tests/reliability/run.py overload crash       these parts
  tests/reliability/run.py --short PART...      seconds each, no verdict on times
  tests/reliability/run.py soak --seconds 600   another length than 30 minutes

Prints a JSON object a line, and fails when something that must hold did not. FATHOM_BIN is the program (build/fathom)."""

import argparse
import asyncio
import importlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from report import Report  # noqa: E402
from service import Service  # noqa: E402

PARTS = ["canary", "timing", "health", "disconnects", "idle", "overload", "crash", "soak"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--short", action="store_true", help="seconds a part, no verdict on times")
    parser.add_argument("--seconds", type=float, help="of the soak")
    parser.add_argument("--serve", default="", help="more options for fathom serve, in one text")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"{sorted(unknown)[0]} is not a part: {', '.join(PARTS)}")
    failed = 0
    for name in given.parts or [p for p in PARTS if p != "soak"]:
        report = Report(name)
        more = {"seconds": given.seconds} if name == "soak" else {}
        asyncio.run(importlib.import_module(name).run(lambda *o: Service(*o, *given.serve.split()), report, given.short, **more))
        report.line(verdict="failed" if report.failed else "passed")
        failed += report.failed
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
