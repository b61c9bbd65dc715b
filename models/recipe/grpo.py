"""Reinforcement learning with rule-based rewards: GRPO (arXiv 2402.03300, 2501.12948).

    python grpo.py --work DIR [--steps N]

For each question the model writes a group of answers; an answer's advantage is its reward against its group's mean
and spread. The policy moves by the clipped ratio, held near the SFT model by a KL term. Three of four questions are
of the hard half. Starts from the newest SFT checkpoint, resumes from its own, evaluates before and after."""
import argparse
import random
import time

import torch

import data
import problems
from decode import Frozen, generate
from evaluate import accuracies, by_torch, held_out
from model import Config, Model
from optimizer import Both
from sft import Load, open_tokenizer
from store import Store

CLIP, KL_WEIGHT, FORMAT_WEIGHT = 0.2, 0.02, 0.1
HARD_SHARE = 0.75


def questions(rng, n):
    hard = problems.LEVELS // 2
    for _ in range(n):
        level = rng.randrange(hard, problems.LEVELS) if rng.random() < HARD_SHARE else rng.randrange(hard)
        yield problems.make(problems.any_task(rng), rng, "train", level)


def rollouts(model, prompts, asked, group, room, seed):
    """(prompt, answer, rewards' advantage) of each answer, and what is logged about them."""
    each = [p for p in asked for _ in range(group)]
    generator = torch.Generator().manual_seed(seed)
    with Frozen(model):
        answers = generate(model, [prompts.prompt(p.question) for p in each], prompts.eos, room, 1.0, generator)
    marks = [problems.reward(p, prompts.text(a)) for p, a in zip(each, answers)]
    rewards = torch.tensor([m.accuracy + FORMAT_WEIGHT * m.format for m in marks]).view(-1, group)
    advantages = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
    stats = {"reward": rewards.mean().item(), "accuracy": sum(m.accuracy for m in marks) / len(marks),
             "format": sum(m.format for m in marks) / len(marks), "length": sum(map(len, answers)) / len(answers),
             "groups_that_teach": (rewards.std(1) > 0).float().mean().item()}
    taught = [(prompts.prompt(p.question), a, v) for p, a, v in zip(each, answers, advantages.flatten().tolist()) if v]
    return taught, stats


def log_probabilities(model, batch):
    """Of the tokens that were written."""
    logits = model.lm_head(model(batch.ids, batch.layout)[batch.rows]).float()
    return logits.log_softmax(-1).gather(1, batch.targets.clamp_min(0)[:, None]).squeeze(1)


def update(model, reference, optimizer, taught, parts, lr):
    """One pass over the answers in several steps, so that the ratio leaves 1. Returns the KL to the reference."""
    random.Random(len(taught)).shuffle(taught)
    batches = [data.pack(taught[i::parts]) for i in range(parts) if taught[i::parts]]
    with torch.no_grad():
        old = [log_probabilities(model, b) for b in batches]
        base = [log_probabilities(reference, b) for b in batches]
    divergence = 0.0
    for b, before, at_start in zip(batches, old, base):
        counted = b.targets >= 0
        now = log_probabilities(model, b)[counted]
        advantage = torch.tensor(b.tasks)[b.sample[counted]]
        ratio = (now - before[counted]).exp()
        gain = torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
        away = at_start[counted] - now
        kl = away.exp() - away - 1  # never negative, right in expectation (k3)
        (KL_WEIGHT * kl - gain).mean().backward()
        optimizer.step(lr)
        divergence += kl.mean().item() / len(batches)
    return divergence


def evaluate(model, prompts, n, room):
    with Frozen(model):
        asked = held_out(n)
        return {k: round(v, 4) for k, v in accuracies(prompts, asked, by_torch(model, prompts, asked, room)).items()}


def train(a):
    torch.set_num_threads(a.threads)
    prompts, store, source = open_tokenizer(a.work), Store(a.work, "grpo"), Store(a.work, "sft").load()
    if source is None:
        raise SystemExit(f"{a.work}: no SFT checkpoint; run sft.py first")
    model, reference = (Model(Config(**source["config"])) for _ in range(2))
    for m in (model, reference):
        m.load_state_dict(source["average"])
        m.mtp.requires_grad_(False)
        m.numerics.fp8 = a.qat
    optimizer, step = Both(model), 0
    saved = store.load()
    if saved:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        step = saved["step"]
    else:
        store.log(step=0, evaluation=evaluate(model, prompts, a.evaluate, a.room))
    average = saved["average"] if saved else {k: v.clone() for k, v in model.state_dict().items()}

    def save():
        store.save(step, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average,
                          "step": step, "config": model.c.dict()})

    load, last_save, begin = Load(model), time.time(), time.time()
    while step < a.steps and time.time() - begin < a.minutes * 60:
        asked = list(questions(random.Random(f"grpo/{a.seed}/{step}"), a.questions))
        taught, stats = rollouts(model, prompts, asked, a.group, a.room, a.seed * 1_000_003 + step)
        kl = update(model, reference, optimizer, taught, a.parts, a.lr) if taught else 0.0
        load.rebalance(a.balance)
        step += 1
        for k, v in model.state_dict().items():
            average[k].lerp_(v, 1 - a.average)
        store.log(step=step, kl=round(kl, 5), **{k: round(v, 4) for k, v in stats.items()}, load=load.line())
        if time.time() - last_save > a.save_minutes * 60:
            save()
            last_save = time.time()
    save()
    model.load_state_dict(average)
    store.log(step=step, evaluation=evaluate(model, prompts, a.evaluate, a.room))


def arguments():
    p = argparse.ArgumentParser(description="Improve the model by rule-based rewards.")
    p.add_argument("--work", default="build/recipe")
    p.add_argument("--steps", type=int, default=400)
    p.add_argument("--minutes", type=float, default=120)
    p.add_argument("--questions", type=int, default=48, help="of a step")
    p.add_argument("--group", type=int, default=8, help="answers to a question")
    p.add_argument("--parts", type=int, default=4, help="optimizer steps on the answers of a step")
    p.add_argument("--room", type=int, default=400, help="new tokens at most")
    p.add_argument("--lr", type=float, default=2e-4)
    p.add_argument("--balance", type=float, default=1e-3)
    p.add_argument("--average", type=float, default=0.95)
    p.add_argument("--qat", action="store_true", help="round to FP8 as the shipped model will")
    p.add_argument("--evaluate", type=int, default=440, help="held-out problems before and after")
    p.add_argument("--save-minutes", type=float, default=5)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


if __name__ == "__main__":
    train(arguments())
