"""Draws the logs of a work folder as PNGs: loss, reward, length of reasoning, expert load.

    python curves.py --work DIR --out FOLDER
"""
import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def lines(work, stage):
    file = Path(work) / "log" / f"{stage}.jsonl"
    return [json.loads(line) for line in file.open()] if file.exists() else []


def load_of(rows, layer):
    return [r["load"].get(layer) for r in rows]


def curves(work):
    """File name, title, y label, {name: (x, y)}."""
    sft = [r for r in lines(work, "sft") if "loss" in r]
    rl = [r for r in lines(work, "grpo") if "reward" in r]
    student = [r for r in lines(work, "distill") if "loss" in r]
    layers = sorted({layer for r in sft for layer in r["load"]})

    def of(rows, key):
        return [r["step"] for r in rows], [r[key] for r in rows]

    yield "loss", "Training loss", "cross entropy", {"SFT": of(sft, "loss"), "student": of(student, "loss")}
    checks = [r for r in lines(work, "grpo") if "validation" in r]
    yield "reward", "Reinforcement learning: more of what teaches", "mean", {
        k: of(rl, k) for k in ("reward", "accuracy", "groups_that_teach")} | {"validation, greedy": of(checks, "validation")}
    yield "length", "Length of an answer in reinforcement learning", "tokens", {"length": of(rl, "length")}
    yield "load", "Expert load in SFT", "max / mean", {
        f"layer {n}": ([r["step"] for r in sft], load_of(sft, n)) for n in layers}


def draw(work, out):
    Path(out).mkdir(parents=True, exist_ok=True)
    for name, title, label, drawn in curves(work):
        if not any(x for x, _ in drawn.values()):
            continue
        figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
        for legend, (x, y) in drawn.items():
            if x:
                axes.plot(x, y, label=legend, linewidth=1)
        axes.set(title=title, xlabel="step", ylabel=label)
        if name == "loss":
            axes.set_yscale("log")
        axes.legend()
        axes.grid(alpha=0.3)
        figure.savefig(Path(out) / f"{name}.png", dpi=110)
        plt.close(figure)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description="Draw the curves of a work folder.")
    p.add_argument("--work", default="build/recipe")
    p.add_argument("--out", required=True)
    a = p.parse_args()
    draw(a.work, a.out)
