"""Two exported models on the same hard held-out problems: which answers one has right and the other wrong.

    python compare.py BEFORE AFTER FATHOM [--problems N] [--out FILE.json]

Greedy, in C, w8a8. The problems are none of evaluate.py's and none of grpo.py's validation. p is the exact two-sided McNemar test: how
likely the difference is if each problem on which the models differ had been fixed or broken by chance."""
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


def main():
    p = argparse.ArgumentParser(description="Compare two exported models on hard held-out problems.")
    p.add_argument("before")
    p.add_argument("after")
    p.add_argument("fathom")
    p.add_argument("--problems", type=int, default=4000)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--out")
    a = p.parse_args()
    asked = unseen_hard(a.problems)
    before, after = ([x["accuracy"] for x in rollout.ask(a.fathom, m, [(p, ()) for p in asked], 1, 0, 0, ROOM, a.threads)]
                     for m in (a.before, a.after))
    fixed, broken = sum(y > x for x, y in zip(before, after)), sum(y < x for x, y in zip(before, after))
    tasks = {t: [(x, y) for p, x, y in zip(asked, before, after) if p.task == t] for t in problems.TASKS}
    result = {"problems": len(asked), "before": sum(before) / len(asked), "after": sum(after) / len(asked),
              "fixed": fixed, "broken": broken, "p": mcnemar(fixed, broken),
              "tasks": {t: {"problems": len(v), "before": sum(x for x, _ in v) / len(v), "after": sum(y for _, y in v) / len(v)}
                        for t, v in tasks.items() if v}}
    print(json.dumps(result, indent=1))
    if a.out:
        Path(a.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
