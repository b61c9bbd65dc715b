"""The work folder: checkpoints that are whole or absent, and logs of JSON lines."""
import json
import os
import time
from pathlib import Path

import torch

KEPT = 2


class Store:
    def __init__(self, work, stage):
        self.folder = Path(work) / stage
        self.log_file = Path(work) / "log" / f"{stage}.jsonl"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)

    def checkpoints(self):
        return sorted(self.folder.glob("step-*.pt"))

    def load(self):
        """The newest checkpoint, or None."""
        found = self.checkpoints()
        return torch.load(found[-1], weights_only=True) if found else None

    def save(self, step, state):
        path = self.folder / f"step-{step:07d}.pt"
        part = path.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, path)
        for old in self.checkpoints()[:-KEPT]:
            old.unlink()

    def log(self, **fields):
        line = json.dumps({"time": round(time.time(), 1), **fields})
        with self.log_file.open("a") as f:
            f.write(line + "\n")
        print(line, flush=True)
