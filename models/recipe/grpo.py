"""Reinforcement learning with rule-based rewards: GRPO (arXiv 2402.03300, 2501.12948).

    python grpo.py FATHOM --work DIR [--steps N]

For each question the model writes a group of answers (`fathom rollout` samples and judges them); an answer's advantage is its
reward against its group's mean and spread. The policy moves by the clipped ratio, held near the SFT model by a KL term. As in DAPO
(arXiv 2503.14476) the clip is wider above, and groups whose answers are all right or all wrong, which teach nothing, are left out:
a step asks on until enough groups teach. What is asked follows what teaches: kinds of questions, (task, level), of which more groups
taught lately come more often.

Starts from the newest SFT checkpoint, resumes from its own. Every few steps it answers held-out problems that evaluate.py does not
ask, greedily; the average of the weights that did best on them is what later stages take."""
import argparse
import itertools
import random
import time

import torch

import data
import problems
from evaluate import PROBLEMS, held_out
from model import Config, Model
from optimizer import Both
from rollout import Sampler
from sft import open_tokenizer
from store import Store

LOW, HIGH, KL_WEIGHT = 0.2, 0.28, 0.005
KEEP, FLOOR = 0.9, 0.03  # of the shares of groups that teach: how long a share is remembered, and the least that one counts
VALIDATION_SEED = 21  # evaluate.py's is 20
HARD = range(problems.LEVELS // 2, problems.LEVELS)


class Teaching:
    """How often groups of each kind of question teach, and questions drawn in proportion."""

    def __init__(self, shares=None):
        self.share = shares or {f"{task} {level}": 0.3 for task in problems.TASKS for level in range(problems.LEVELS)}

    def draw(self, rng, n):
        """(problem, earlier turns) each."""
        kinds = rng.choices(list(self.share), [max(FLOOR, s) for s in self.share.values()], k=n)
        return [(problems.make(task, rng, "train", int(level)), problems.earlier(rng, "train"))
                for task, level in map(str.split, kinds)]

    def saw(self, problem, taught):
        kind = f"{problem.task} {problem.level}"
        self.share[kind] = KEEP * self.share[kind] + (1 - KEEP) * taught


def rollouts(sampler, teaching, a, step):
    """Answers of groups that teach, and what is logged about all that were asked."""
    rng = random.Random(f"grpo/{a.seed}/{step}")
    taught, seen, groups = [], [], 0
    for part in range(a.parts_asked):
        asked = teaching.draw(rng, a.questions)
        answers = sampler.ask(asked, a.group, 1.0, a.seed * 10**9 + step * 10**5 + part * 10**4)
        for i, (problem, _) in enumerate(asked):
            group = answers[i * a.group:(i + 1) * a.group]
            teaches = len({x["reward"] for x in group}) > 1
            teaching.saw(problem, teaches)
            taught += group if teaches else []
            groups += 1
        seen += answers
        if len(taught) >= a.groups * a.group:
            break
    mean = {k: sum(x[k] for x in seen) / len(seen) for k in ("reward", "accuracy", "format")}
    return taught, mean | {"length": sum(len(x["ids"]) for x in seen) / len(seen), "groups": groups,
                           "groups_that_teach": len(taught) / a.group / groups}


def log_probabilities(model, batch):
    """Of the tokens that were written."""
    logits = model.lm_head(model(batch.ids, batch.layout)[batch.rows]).float()
    return logits.log_softmax(-1).gather(1, batch.targets.clamp_min(0)[:, None]).squeeze(1)


def pack(answers):
    """A batch, and for each of its rows the log-probability when it was sampled and the answer's advantage."""
    batch = data.pack([(x["prompt_ids"], x["ids"], x) for x in answers])
    counted = batch.targets >= 0
    old = torch.tensor([v for x in batch.tasks for v in x["logprobs"]])
    return batch, counted, old, torch.tensor([x["advantage"] for x in batch.tasks])[batch.sample[counted]]


def update(model, reference, optimizer, taught, parts, lr):
    """One pass over the answers in several steps, so that the ratio leaves 1. Returns the KL to the reference and the share of
    clipped tokens."""
    random.Random(len(taught)).shuffle(taught)
    divergence = clipped = 0.0
    for part in (taught[i::parts] for i in range(parts)):
        batch, counted, old, advantage = pack(part)
        with torch.no_grad():
            base = log_probabilities(reference, batch)[counted]
        now = log_probabilities(model, batch)[counted]
        ratio = (now - old).exp()
        limited = ratio.clamp(1 - LOW, 1 + HIGH)
        gain = torch.minimum(ratio * advantage, limited * advantage)
        away = base - now
        kl = away.exp() - away - 1  # never negative, right in expectation (k3)
        (KL_WEIGHT * kl - gain).mean().backward()
        optimizer.step(lr)
        divergence += kl.mean().item() / parts
        clipped += (gain < ratio * advantage).float().mean().item() / parts
    return divergence, clipped


def validation(n):
    """Hard problems of the held-out split that evaluate.py does not ask, some of them in conversations."""
    known, rng = {p.question for p in held_out(PROBLEMS)}, random.Random(VALIDATION_SEED)
    found = ((p, problems.earlier(rng, "heldout")) for p in held_out(4 * n, VALIDATION_SEED)
             if p.level in HARD and p.question not in known)
    return list(itertools.islice(found, n))


def accuracy(sampler, model, average, tokenizer, asked):
    """Greedy, of the averaged weights. Leaves the model as it was."""
    current = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(average)
    sampler.take(model, tokenizer)
    model.load_state_dict(current)
    return sum(x["accuracy"] for x in sampler.ask(asked, 1, 0.0, 0)) / len(asked)


def start(a, store, source):
    """Model, reference and what is known so far."""
    model, reference = (Model(Config(**source["config"])) for _ in range(2))
    for m in (model, reference):
        m.load_state_dict(source["average"])
        m.mtp.requires_grad_(False)
        m.numerics.fp8 = a.qat
    state = {"step": 0, "running": {k: v.clone() for k, v in model.state_dict().items()}, "average": source["average"],
             "best": 0.0, "teaching": None}
    saved, optimizer = store.load(), Both(model)
    if saved:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        state = {k: saved[k] for k in state}
    return model, reference, optimizer, state


def train(a):
    torch.set_num_threads(a.threads)
    prompts, store, source = open_tokenizer(a.work), Store(a.work, "grpo"), Store(a.work, "sft").load()
    if source is None:
        raise SystemExit(f"{a.work}: no SFT checkpoint; run sft.py first")
    model, reference, optimizer, state = start(a, store, source)
    teaching, asked = Teaching(state["teaching"]), validation(a.validate)
    tokenizer, sampler = store.folder.parent / "tokenizer", Sampler(a.fathom, a.work, a.room)

    def check():
        found = accuracy(sampler, model, state["running"], tokenizer, asked)
        store.log(step=state["step"], validation=round(found, 4))
        if found >= state["best"]:
            state["best"], state["average"] = found, {k: v.clone() for k, v in state["running"].items()}
        store.save(state["step"], state | {"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                                           "teaching": teaching.share, "config": model.c.dict()})

    begin = time.time()
    if not state["step"]:
        check()
    while state["step"] < a.steps and time.time() - begin < a.minutes * 60:
        step = state["step"]
        sampler.take(model, tokenizer)
        taught, stats = rollouts(sampler, teaching, a, step)
        sampled = time.time()
        lr = a.lr * min(1.0, (step + 1) / a.warmup) * max(0.05, 1 - step / a.steps)
        kl, clipped = update(model, reference, optimizer, taught, a.parts, lr) if taught else (0.0, 0.0)
        for gate in model.gates().values():
            gate.rebalance(0.0)  # the questions are no fair sample, so the bias stays
        state["step"] += 1
        for k, v in model.state_dict().items():
            state["running"][k].lerp_(v, 1 - a.average)
        store.log(step=state["step"], lr=round(lr, 6), kl=round(kl, 5), clipped=round(clipped, 5),
                  **{k: round(v, 4) for k, v in stats.items()}, update_seconds=round(time.time() - sampled, 1))
        if state["step"] % a.validate_every == 0:
            check()
    check()


def arguments():
    p = argparse.ArgumentParser(description="Improve the model by rule-based rewards.")
    p.add_argument("fathom", help="the program")
    p.add_argument("--work", default="build/recipe")
    p.add_argument("--steps", type=int, default=80, help="over which the rate goes down")
    p.add_argument("--minutes", type=float, default=120)
    p.add_argument("--questions", type=int, default=64, help="asked at once")
    p.add_argument("--group", type=int, default=8, help="answers to a question")
    p.add_argument("--groups", type=int, default=24, help="that must teach in a step")
    p.add_argument("--parts-asked", type=int, default=3, help="how often a step asks at most")
    p.add_argument("--parts", type=int, default=2, help="optimizer steps on the answers of a step")
    p.add_argument("--room", type=int, default=400, help="new tokens at most")
    p.add_argument("--lr", type=float, default=4e-4)
    p.add_argument("--warmup", type=int, default=5)
    p.add_argument("--average", type=float, default=0.9)
    p.add_argument("--qat", action="store_true", help="round to FP8 as the shipped model will")
    p.add_argument("--validate", type=int, default=600, help="held-out problems")
    p.add_argument("--validate-every", type=int, default=10)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


if __name__ == "__main__":
    train(arguments())
