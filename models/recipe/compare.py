"""Two exported models on the same hard held-out problems: which answers one has right and the other wrong.

    python compare.py BEFORE AFTER FATHOM [--problems N] [--out FILE.json]

In C, w8a8: greedily, as `fathom run` samples by itself (temperature 0.6, top-p 0.95), and at temperature 1, the policy that reinforcement
learning improves. The problems are none of evaluate.py's and none of grpo.py's validation. p is the exact two-sided McNemar test: how
likely so large a difference is if each problem on which the models differ had been fixed or broken by chance."""
import argparse
import json
from math import comb
from pathlib import Path

import problems
import rollout
from evaluate import PROBLEMS, ROOM, held_out
from grpo import HARD, validation

SEED = 22


def unseen_hard(n):
    known = {p.question for p in held_out(PROBLEMS)} | {p.question for p, _ in validation(PROBLEMS)}
    found = [p for p in held_out(3 * n, SEED) if p.level in HARD and p.question not in known]
    return list({p.question: p for p in found}.values())[:n]


def mcnemar(fixed, broken):
    n = fixed + broken
    return min(1.0, 2 * sum(comb(n, k) for k in range(max(fixed, broken), n + 1)) / 2**n)


WAYS = {"greedy": (0, 1), "temperature 0.6, top-p 0.95": (0.6, 0.95), "temperature 1": (1, 1)}


def answers(a, model, asked):
    """Whether each answer is right, for each way of choosing tokens."""
    said = {way: rollout.ask(a.fathom, model, [(p, ()) for p in asked], 1, temperature, SEED, ROOM, a.threads, top_p)
            for way, (temperature, top_p) in WAYS.items()}
    return {way: [x["accuracy"] for x in found] for way, found in said.items()}


def share(values):
    return sum(values) / len(values)


def compared(asked, before, after):
    fixed, broken = sum(y > x for x, y in zip(before, after)), sum(y < x for x, y in zip(before, after))
    tasks = {t: [i for i, p in enumerate(asked) if p.task == t] for t in problems.TASKS}
    return {"before": share(before), "after": share(after), "fixed": fixed, "broken": broken, "p": mcnemar(fixed, broken),
            "tasks": {t: {"problems": len(of), "before": share([before[i] for i in of]), "after": share([after[i] for i in of])}
                      for t, of in tasks.items() if of}}


def main():
    p = argparse.ArgumentParser(description="Compare two exported models on hard held-out problems.")
    p.add_argument("before")
    p.add_argument("after")
    p.add_argument("fathom", help="the program")
    p.add_argument("--problems", type=int, default=4000)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--out")
    a = p.parse_args()
    asked = unseen_hard(a.problems)
    before, after = answers(a, a.before, asked), answers(a, a.after, asked)
    result = {"problems": len(asked)} | {way: compared(asked, before[way], after[way]) for way in WAYS}
    for way in WAYS:
        print(f"{way:30}" + ", ".join(f"{k} {v:.4g}" for k, v in result[way].items() if k != "tasks"))
    if a.out:
        Path(a.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
