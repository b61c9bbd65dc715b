"""Verdicts: what must hold, and whether it did; one JSON object a line on standard output."""

import json


class Report:
    def __init__(self, part):
        self.part, self.failed = part, 0

    def line(self, **figures):
        print(json.dumps({"part": self.part, **figures}), flush=True)

    def must(self, what, holds, **figures):
        """`what` is a sentence."""
        self.failed += not holds
        self.line(must=what, holds=bool(holds), **figures)

    def within(self, what, value, limit, unit="ms"):
        self.must(what, value <= limit, value=round(value, 3), limit=limit, unit=unit)
