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

import fp8
from export import read
from model import Layout
from problems import any_task, make
from prompts import Prompts

CLOSE = 1e-4  # relative RMS of arithmetic that is the same but for rounding
FIRST = 8  # rows that have met no flip yet
NOISE = 2e-7  # about a last bit


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


def relative(got, want):
    return ((got - want).square().mean() / want.square().mean()).sqrt().item()


def main():
    """In w8a8 a last bit can move an activation's code, and later rows differ by what that code weighs. So the first
    rows must agree closely, and all rows no worse than torch with itself where its activations move by a last bit.
    A model that learned next to nothing has such flips from its first row on: --untrained leaves the first rows out,
    and with them what finds a matrix of the wrong type."""
    p = argparse.ArgumentParser(description="Compare an exported model in fathom with model.py.")
    p.add_argument("exported")
    p.add_argument("fathom")
    p.add_argument("--untrained", action="store_true")
    a = p.parse_args()
    prompts, rng = Prompts(a.exported), random.Random(7)
    problem = make(any_task(rng), rng, "heldout")
    ids = prompts.prompt(problem.question) + prompts.completion(problem)
    model = read(a.exported)
    for numerics in ("w8a16", "w8a8"):
        want = torch_logits(model, numerics, ids)
        got = fathom_logits(a.fathom, a.exported, numerics, ids)
        first, all_rows, limit = relative(got[:FIRST], want[:FIRST]), relative(got, want), CLOSE
        if numerics == "w8a8":
            exact = fp8.activation
            fp8.activation = lambda x: exact(x * (1 + NOISE * torch.randn_like(x)))
            limit = max(CLOSE, 2 * relative(torch_logits(model, numerics, ids), want))
            fp8.activation = exact
        print(f"{numerics}: relative RMS {first:.1e} in the first {FIRST} rows, "
              f"{all_rows:.1e} in {len(ids)} (limit {limit:.1e})")
        strict = numerics == "w8a16" or not a.untrained
        if strict and first > CLOSE or all_rows > limit:
            raise SystemExit(f"{numerics}: fathom and torch differ")


if __name__ == "__main__":
    main()
