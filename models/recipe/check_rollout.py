"""Holds what `fathom rollout` judged to the rewards that the recipe trains with.

    python check_rollout.py prompts N [SEED]                          writes N prompts for it, of all tasks
    python check_rollout.py check PROMPTS FILE [WEIGHTS MOST SOFT]    compares; needs nothing but Python

WEIGHTS is what `fathom rollout --reward` was given, MOST and SOFT its --max-tokens and --soft; the language is English."""
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


def shape(x, weights, most, soft):
    """The rewards for language and length, where they weigh something."""
    values = {"language": lambda: problems.language(x["text"], "en"), "length": lambda: problems.length(len(x["ids"]), most, soft)}
    found = {k: f() for k, f in values.items() if weights.get(k)}
    if {k: x[k] for k in values if k in x} != found:
        raise SystemExit(f"the recipe says {found}: {x}")
    return sum(weights[k] * v for k, v in found.items())


def check(asked, answers, weights="accuracy=1,format=0.1", most=0, soft=0):
    weights = {k: float(v) for k, v in (x.split("=") for x in weights.split(","))}
    groups = {}
    for x in answers:
        p = asked[x["prompt"]]
        want = problems.reward(problems.Problem(p["task"], 0, "", "", "", p["target"]), x["text"])
        if (x["accuracy"], x["format"]) != want:
            raise SystemExit(f"fathom says accuracy {x['accuracy']} and format {x['format']}, the recipe {want}: {x}")
        reward = weights.get("accuracy", 0) * x["accuracy"] + weights.get("format", 0) * x["format"]
        reward += shape(x, weights, int(most), int(soft))
        groups.setdefault(x["prompt"], []).append((reward, x["reward"], x["advantage"]))
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
        check(*([json.loads(x) for x in open(name)] for name in sys.argv[2:4]), *sys.argv[4:])
