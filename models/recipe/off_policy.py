"""One round of reinforcement learning from answers that lie in a file: whoever wrote them, and when.

    python off_policy.py prompts N [SEED] >prompts.jsonl
    fathom rollout prompts.jsonl --model FOLDER --samples 8 --max-tokens 400 --seed 1 >answers.jsonl
    python off_policy.py learn FOLDER answers.jsonl... OUT
    python off_policy.py compare BEFORE.jsonl AFTER.jsonl     answers of two models to the same held-out prompts

The questions are hard ones of the split "train", two thirds of them after one or two earlier turns. FOLDER is an exported model, such as
the shipped one, that wrote the answers; OUT is the folder of the model that learned from them. A step pushes every token of an answer by
the answer's advantage times pi / mu, where mu is what `fathom rollout` wrote down and pi is the model of the moment; from the second step
on they differ, so the ratio is clipped (PPO, arXiv 1707.06347, wider above as in DAPO, arXiv 2503.14476), and a KL term holds the model near the one
it began as. Groups whose answers are all right or all wrong teach nothing and are left out. Gradients are summed over small batches, so
memory does not grow with the step."""
import argparse
import copy
import json
import random
import time
from pathlib import Path

import torch

import data
import problems
from check_rollout import line
from export import config, read, released_names, tensors, write
from grpo import HARD, HIGH, KL_WEIGHT, LOW, log_probabilities
from optimizer import Both


def asked(n, seed, split="train"):
    """(problem, earlier turns) each: hard ones, with none, one and two earlier turns in turn."""
    rng = random.Random(f"off_policy/{seed}")
    for i in range(n):
        problem = problems.make(problems.any_task(rng), rng, split, rng.choice(HARD))
        yield problem, problems.earlier(rng, split, i % 3)


def groups_that_teach(files):
    """Groups of answers with different rewards, and the number and mean accuracy of all."""
    groups, accuracy = {}, []
    for file in files:
        for x in map(json.loads, Path(file).open()):
            groups.setdefault((file, x["prompt"]), []).append(x)
            accuracy.append(x["accuracy"])
    return [g for g in groups.values() if len({x["reward"] for x in g}) > 1], len(groups), sum(accuracy) / len(accuracy)


def micro_batches(answers, tokens):
    """The answers of a step in parts of about that many tokens, like lengths together."""
    answers = sorted(answers, key=lambda x: len(x["prompt_ids"]) + len(x["ids"]))
    part, room = [], tokens
    for x in answers:
        n = len(x["prompt_ids"]) + len(x["ids"])
        if part and n > room:
            yield part
            part, room = [], tokens
        part.append(x)
        room -= n
    if part:
        yield part


class Sums:
    """What a step is logged by: means over tokens."""

    def __init__(self):
        self.tokens, self.values = 0, {}

    def add(self, n, **values):
        self.tokens += n
        for k, v in values.items():
            self.values[k] = self.values.get(k, 0.0) + v.sum().item()

    def means(self):
        return {k: round(v / self.tokens, 5) for k, v in self.values.items()}


def gradients(model, reference, answers, a):
    """Adds those of one step's answers; returns what is logged."""
    total, sums = sum(len(x["ids"]) for x in answers), Sums()
    for part in micro_batches(answers, a.tokens):
        batch = data.pack([(x["prompt_ids"], x["ids"], x) for x in part])
        counted = batch.targets >= 0
        old = torch.tensor([v for x in batch.tasks for v in x["logprobs"]])
        advantage = torch.tensor([x["advantage"] for x in batch.tasks])[batch.sample[counted]]
        with torch.no_grad():
            base = log_probabilities(reference, batch)[counted]
        now = log_probabilities(model, batch)[counted]
        ratio = (now - old).exp()
        gain = torch.minimum(ratio * advantage, ratio.clamp(1 - LOW, 1 + HIGH) * advantage)
        away = base - now
        kl = away.square() / 2  # k2: its gradient is bounded; exp(away) of k3 lets one token that became rare rule a step
        ((KL_WEIGHT * kl - gain).sum() / total).backward()
        with torch.no_grad():
            sums.add(len(old), kl=kl, clipped=(gain < ratio * advantage).float(), ratio_off=(ratio - 1).abs(), gain=gain)
    return sums.means()


def learn(a):
    torch.set_num_threads(a.threads)
    model = read(a.model)
    model.mtp.requires_grad_(False)
    model.numerics.dtype, model.numerics.fp8, model.numerics.frozen = torch.bfloat16, True, False
    reference = copy.deepcopy(model).requires_grad_(False)
    groups, n, accuracy = groups_that_teach(a.answers)
    print(json.dumps({"groups": n, "accuracy": round(accuracy, 4), "groups_that_teach": len(groups)}), flush=True)
    random.Random(a.seed).shuffle(groups)
    steps = [sum(groups[i:i + a.groups], []) for i in range(0, len(groups), a.groups)] * a.passes
    optimizer, average = Both(model), {k: v.clone() for k, v in model.state_dict().items()}
    for i, answers in enumerate(steps):
        begin = time.time()
        logged = gradients(model, reference, answers, a)
        optimizer.step(a.lr * min(1.0, (i + 1) / a.warmup) * max(0.05, 1 - i / len(steps)))
        for gate in model.gates().values():
            gate.rebalance(0.0)  # the questions are no fair sample, so the bias stays
        keep = min(a.average, (i + 1) / (i + 4))
        for k, v in model.state_dict().items():
            average[k].lerp_(v, 1 - keep)
        print(json.dumps({"step": i + 1, "of": len(steps), **logged, "seconds": round(time.time() - begin, 1)}), flush=True)
    model.load_state_dict(average)
    write(Path(a.out), config(model.c), tensors(released_names(model)), Path(a.model))


def by_prompt(file):
    """The share of right answers to each prompt."""
    found = {}
    for x in map(json.loads, Path(file).open()):
        found.setdefault(x["prompt"], []).append(x["accuracy"])
    return {k: sum(v) / len(v) for k, v in found.items()}


def compare(a):
    """Paired over prompts, with a bootstrap interval of 95 % for the difference."""
    before, after = by_prompt(a.before), by_prompt(a.after)
    prompts = sorted(before.keys() & after.keys())
    gain = [after[p] - before[p] for p in prompts]
    rng, n = random.Random(1), len(prompts)
    means = sorted(sum(rng.choices(gain, k=n)) / n for _ in range(2000))
    print(json.dumps({"prompts": n, "before": round(sum(before[p] for p in prompts) / n, 5),
                      "after": round(sum(after[p] for p in prompts) / n, 5), "difference": round(sum(gain) / n, 5),
                      "interval95": [round(means[50], 5), round(means[1949], 5)],
                      "better": sum(g > 0 for g in gain), "worse": sum(g < 0 for g in gain)}))


def main():
    p = argparse.ArgumentParser(description="One round of reinforcement learning from a file of answers.")
    stages = p.add_subparsers(required=True)
    q = stages.add_parser("prompts", help="write questions for `fathom rollout`")
    q.add_argument("n", type=int)
    q.add_argument("seed", nargs="?", default="1")
    q.add_argument("--split", default="train", choices=("train", "heldout"))
    q.set_defaults(run=lambda a: [print(json.dumps(line(*x))) for x in asked(a.n, a.seed, a.split)])
    q = stages.add_parser("learn", help="learn from what it wrote")
    q.add_argument("model", help="the folder of the model that wrote the answers")
    q.add_argument("answers", nargs="+")
    q.add_argument("out", help="the folder to write")
    q.add_argument("--groups", type=int, default=24, help="of a step")
    q.add_argument("--passes", type=int, default=1, help="over the answers")
    q.add_argument("--tokens", type=int, default=4096, help="that gradients are taken of at once: bounds the memory")
    q.add_argument("--lr", type=float, default=3e-4)
    q.add_argument("--warmup", type=int, default=3)
    q.add_argument("--average", type=float, default=0.9)
    q.add_argument("--threads", type=int, default=1)
    q.add_argument("--seed", type=int, default=1)
    q.set_defaults(run=learn)
    q = stages.add_parser("compare", help="two models on the same prompts")
    q.add_argument("before", help="what `fathom rollout` wrote with one")
    q.add_argument("after", help="and with the other, from the same seed")
    q.set_defaults(run=compare)
    a = p.parse_args()
    a.run(a)


if __name__ == "__main__":
    main()
