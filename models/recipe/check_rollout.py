"""Holds what `fathom rollout` judged to the rewards that the recipe trains with.

    python check_rollout.py prompts N [SEED]      writes N prompts for it, of all tasks
    python check_rollout.py check PROMPTS FILE    compares; needs nothing but Python"""
import json
import random
import sys
from statistics import mean, stdev

import problems


def line(problem, earlier=()):
    """A problem as `fathom rollout` reads it; `task` is for us."""
    said = [{"role": role, "content": text} for turn in earlier for role, text in zip(("user", "assistant"), turn)]
    return {"messages": said, "question": problem.question, "target": problem.target,
            "rule": "answer" if problem.task == "chat" else "boxed", "task": problem.task}


def prompts(n, seed):
    rng = random.Random(seed)
    for _ in range(n):
        print(json.dumps(line(problems.make(problems.any_task(rng), rng, "train"), problems.earlier(rng, "train"))))


def check(asked, answers):
    groups = {}
    for x in answers:
        p = asked[x["prompt"]]
        want = problems.reward(problems.Problem(p["task"], 0, "", "", "", p["target"]), x["text"])
        if (x["accuracy"], x["format"]) != want:
            raise SystemExit(f"fathom says accuracy {x['accuracy']} and format {x['format']}, the recipe {want}: {x}")
        groups.setdefault(x["prompt"], []).append((x["accuracy"] + 0.1 * x["format"], x["reward"], x["advantage"]))
    for number, group in groups.items():
        wanted, rewards, advantages = zip(*group)
        for w, r, a in zip(wanted, rewards, advantages):
            if abs(r - w) > 1e-6 or abs(a - (w - mean(wanted)) / (stdev(wanted) + 1e-4)) > 1e-4:
                raise SystemExit(f"prompt {number}: reward {r}, advantage {a}; rewards of the group: {wanted}")
    right = sum(x["accuracy"] for x in answers)
    print(f"{len(answers)} answers, {right} right, {len(groups)} groups: the same rewards")


if __name__ == "__main__":
    if sys.argv[1] == "prompts":
        prompts(int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "rollout")
    else:
        check(*([json.loads(x) for x in open(name)] for name in sys.argv[2:]))
