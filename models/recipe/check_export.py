"""Holds an exported model to torch: fathom's logits against those of model.py, in both modes.

    python check_export.py EXPORTED FATHOM
"""
import argparse
import random
import subprocess
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from export import read
from model import Layout
from problems import any_task, make
from prompts import Prompts

LARGEST = {"w8a16": 1e-4, "w8a8": 3e-2}  # relative RMS; in w8a8 a last bit can move an activation's code


def fathom_logits(fathom, model, numerics, ids):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "logits.safetensors"
        subprocess.run([fathom, "logits", "--model", model, "--numerics", numerics, "--ids", ",".join(map(str, ids)),
                        "--all", "--out", out], check=True, stdout=subprocess.DEVNULL)
        return load_file(out)["logits"]


def torch_logits(model, numerics, ids):
    model.numerics.fp8 = numerics == "w8a8"
    with torch.no_grad():
        return model.lm_head(model(torch.tensor(ids), Layout([len(ids)]))).float()


def main():
    p = argparse.ArgumentParser(description="Compare an exported model in fathom with model.py.")
    p.add_argument("exported")
    p.add_argument("fathom")
    a = p.parse_args()
    prompts, rng = Prompts(a.exported), random.Random(7)
    problem = make(any_task(rng), rng, "heldout")
    ids = prompts.prompt(problem.question) + prompts.completion(problem)
    model = read(a.exported)
    for numerics, largest in LARGEST.items():
        want = torch_logits(model, numerics, ids)
        got = fathom_logits(a.fathom, a.exported, numerics, ids)
        off = ((got - want).square().mean() / want.square().mean()).sqrt().item()
        same = (got.argmax(-1) == want.argmax(-1)).float().mean().item()
        print(f"{numerics}: relative RMS {off:.1e}, same likeliest token {same:.1%}, {len(ids)} positions")
        if off > largest:
            raise SystemExit(f"{numerics}: {off:.1e} is more than {largest:.0e}")


if __name__ == "__main__":
    main()
