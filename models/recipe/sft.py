"""Supervised training on worked problems: from nothing to a model that reasons.

    python sft.py --work DIR [--minutes N] [--decay N] [--qat] [--more TASKS]

Ends after that many minutes, or when it is stopped; started again, it goes on from the newest checkpoint. The
learning rate stays constant until --decay N, which takes it down over N steps from where the checkpoint is, and
ends; started again without --decay, it is constant once more. A running average of the weights is saved along: it
is what later stages use, and it is usable at any time. With --qat everything is rounded to FP8 as fathom's w8a8 will
do it.
"""
import argparse
import random
import time
from collections import defaultdict
from pathlib import Path

import torch
import torch.nn.functional as F

import data
import tokenizer
from model import Config, Model
from optimizer import Both
from prompts import Prompts
from store import Store

DRAFT_EVERY, DRAFT_WEIGHT = 4, 0.5  # the MTP layer is trained on every fourth batch


def draft_loss(model, batch, states):
    """Cross entropy of the MTP layer and the share of its drafts that are right."""
    target_of = torch.full((len(batch.ids) + 1,), data.NOTHING)
    target_of[batch.rows] = batch.targets
    target_of[batch.layout.last + 1] = data.NOTHING  # the neighbour of a last row is another sequence's
    wanted = target_of[batch.rows + 1]
    drafts = model.draft_states(batch.ids, states, batch.layout)
    logits = model.lm_head(drafts[batch.rows]).float()
    some = wanted >= 0
    return F.cross_entropy(logits, wanted), (logits.detach().argmax(-1) == wanted)[some].float().mean().item()


class Window:
    """What is logged: means since the last line, and how many samples of each task were right in every token."""

    def __init__(self):
        self.start, self.sums = time.time(), defaultdict(float)
        self.accepted = 0.0
        self.whole, self.seen = defaultdict(int), defaultdict(int)

    def add(self, batch, loss, right):
        self.sums["steps"] += 1
        self.sums["tokens"] += len(batch.ids)
        self.sums["loss"] += loss
        ok = torch.ones(len(batch.tasks), dtype=torch.bool)
        ok[batch.sample[~right]] = False
        for task, good in zip(batch.tasks, ok.tolist()):
            self.seen[task] += 1
            self.whole[task] += good

    def line(self):
        n = self.sums["steps"]
        return {"loss": round(self.sums["loss"] / n, 4), "draft_accepted": round(self.accepted, 4),
                "tokens_per_second": round(self.sums["tokens"] / (time.time() - self.start)),
                "whole": {t: round(self.whole[t] / self.seen[t], 3) for t in sorted(self.seen)}}


class Load:
    """The routers' load over a window, beside the one that the bias follows."""

    def __init__(self, model):
        self.gates = model.gates()
        self.total = {k: torch.zeros_like(g.load) for k, g in self.gates.items()}

    def rebalance(self, speed):
        for k, g in self.gates.items():
            self.total[k] += g.load
            g.rebalance(speed)

    def line(self):
        found = {k: round((t.max() / t.mean()).item(), 3) for k, t in self.total.items() if t.any()}
        for t in self.total.values():
            t.zero_()
        return found


def open_tokenizer(work):
    folder = Path(work) / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        tokenizer.write(folder)
    return Prompts(folder)


def rate(args, step, decay_from):
    warm = min(1.0, (step + 1) / args.warmup)
    if decay_from is None:
        return args.lr * warm
    return args.lr * warm * max(0.02, 1 - (step - decay_from) / args.decay)


def train(args):
    torch.set_num_threads(args.threads)
    prompts = open_tokenizer(args.work)
    store = Store(args.work, "sft")
    saved = store.load()
    torch.manual_seed(args.seed)
    model = Model(Config(**saved["config"]) if saved else Config(vocab=prompts.tokenizer.get_vocab_size()))
    optimizer, step, decay_from = Both(model), 0, None
    average = {k: v.clone() for k, v in model.state_dict().items()}
    if saved:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        average, step, decay_from = saved["average"], saved["step"], saved["decay_from"]
    model.numerics.fp8 = args.qat
    if not args.decay:
        decay_from = None
    elif decay_from is None:
        decay_from = step

    def save():
        store.save(step, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average,
                          "step": step, "decay_from": decay_from, "config": model.c.dict()})

    window, load = Window(), Load(model)
    begin = last_save = time.time()
    while time.time() - begin < args.minutes * 60 and not (args.decay and step >= decay_from + args.decay):
        batch = data.fresh(prompts, random.Random(f"{args.seed}/{step}"), args.tokens, args.more)
        states = model(batch.ids, batch.layout)
        logits = model.lm_head(states[batch.rows]).float()
        loss = F.cross_entropy(logits, batch.targets)
        window.add(batch, loss.item(), (logits.detach().argmax(-1) == batch.targets) | (batch.targets < 0))
        if step % DRAFT_EVERY == 0:
            draft, window.accepted = draft_loss(model, batch, states)
            loss = loss + DRAFT_WEIGHT * draft
        loss.backward()
        lr = rate(args, step, decay_from)
        optimizer.step(lr)
        load.rebalance(args.balance)
        step += 1
        keep = min(args.average, step / (step + 10))
        for k, v in model.state_dict().items():
            average[k].lerp_(v, 1 - keep)
        if step % args.log_every == 0:
            store.log(step=step, lr=round(lr, 6), qat=args.qat, **window.line(), load=load.line())
            window = Window()
        if time.time() - last_save > args.save_minutes * 60:
            save()
            last_save = time.time()
    save()


def arguments():
    p = argparse.ArgumentParser(description="Train the model on worked problems.")
    p.add_argument("--work", default="build/recipe")
    p.add_argument("--minutes", type=float, default=120)
    p.add_argument("--decay", type=int, default=0, help="steps over which the rate goes down from here")
    p.add_argument("--qat", action="store_true", help="round to FP8 as the shipped model will")
    p.add_argument("--more", default=[], type=lambda tasks: tasks.split(","), help="tasks to practise three times as much")
    p.add_argument("--tokens", type=int, default=5120, help="of a step")
    p.add_argument("--lr", type=float, default=4e-3)
    p.add_argument("--warmup", type=int, default=50)
    p.add_argument("--balance", type=float, default=5e-3, help="how far a step moves the routers' bias")
    p.add_argument("--average", type=float, default=0.995)
    p.add_argument("--save-minutes", type=float, default=5)
    p.add_argument("--log-every", type=int, default=50)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


if __name__ == "__main__":
    train(arguments())
