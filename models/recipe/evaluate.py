"""Accuracy on held-out problems: through fathom in C (w8a8) and through FP32 torch, side by side.

    python evaluate.py EXPORTED FATHOM [--checkpoint FILE] [--problems N] [--seed N] [--out FILE.json]

Greedy, also as later questions of conversations (in C alone). Torch runs the checkpoint's own weights, which were never rounded;
without --checkpoint it runs the exported ones with FP32 activations. Also: how many MTP drafts are right over the answers, and the routers' load."""
import argparse
import json
import os
import random
from collections import defaultdict
from pathlib import Path

import torch

import problems
import rollout
from decode import generate
from export import load, read
from model import Layout
from prompts import Prompts
from student import is_student, read_student

PROBLEMS = 2000  # that the card reports on
ROOM = 400  # new tokens; worked reasoning needs fewer than 300


SEED = 20  # of the card's problems


def held_out(n, seed=SEED):
    """The same number of problems of each task, all levels in turn."""
    rng, tasks = random.Random(seed), list(problems.TASKS)
    return [problems.make(tasks[i % len(tasks)], rng, "heldout", i // len(tasks) % problems.LEVELS) for i in range(n)]


def by_fathom(fathom, model, asked, room):
    """Greedy ids of each (problem, earlier turns)."""
    return [x["ids"] for x in rollout.ask(fathom, model, asked, 1, 0, 0, room, len(os.sched_getaffinity(0)))]


def conversations(n, seed=SEED + 4):
    """Held-out problems as the second or third question of a conversation of held-out problems."""
    rng = random.Random(seed)
    return [(p, problems.earlier(rng, "heldout", 1 + i % 2)) for i, p in enumerate(held_out(n, seed))]


def by_torch(model, prompts, asked, room=ROOM, batch=256):
    answers = []
    for i in range(0, len(asked), batch):
        answers += generate(model, [prompts.prompt(p.question) for p in asked[i:i + batch]], prompts.eos, room)
    return answers


def accuracies(prompts, asked, answers):
    """Share of right answers: overall, of the hard half, of each task; and the share in the right format."""
    right, rewards = defaultdict(list), [problems.reward(p, prompts.text(a)) for p, a in zip(asked, answers)]
    for p, r in zip(asked, rewards):
        for name in ("overall", p.task) + (("hard half",) if p.level >= problems.LEVELS // 2 else ()):
            right[name].append(r.accuracy)
    return {k: sum(v) / len(v) for k, v in right.items()} | {"format": sum(r.format for r in rewards) / len(rewards)}


@torch.no_grad()
def drafts_and_load(model, prompts, asked, answers):
    """The share of right MTP drafts within answers, and max/mean load of each router over questions and answers."""
    accepted = drafted = 0
    for gate in model.gates().values():
        gate.load.zero_()
    for p, answer in zip(asked, answers):
        ids = prompts.prompt(p.question)
        first, ids = len(ids), torch.tensor(ids + answer)
        layout = Layout([len(ids)])
        drafts = model.lm_head(model.draft_states(ids, model(ids, layout), layout)).argmax(-1)
        good = drafts[first - 1:-2] == ids[first + 1:]  # row i drafts token i + 2
        accepted, drafted = accepted + good.sum().item(), drafted + len(good)
    load = {str(k): (g.load.max() / g.load.mean()).item() for k, g in model.gates().items()}
    return accepted / max(1, drafted), load


def table(columns):
    names = list(next(iter(columns.values())))
    print(f"{'':12}" + "".join(f"{c:>18}" for c in columns))
    for n in names:
        print(f"{n:12}" + "".join(f"{100 * v[n]:17.1f}%" for v in columns.values()))


def main():
    p = argparse.ArgumentParser(description="Evaluate an exported model on held-out problems.")
    p.add_argument("exported")
    p.add_argument("fathom")
    p.add_argument("--checkpoint")
    p.add_argument("--problems", type=int, default=PROBLEMS)
    p.add_argument("--seed", type=int, default=SEED, help="of the problems")
    p.add_argument("--room", type=int, default=ROOM, help="new tokens at most")
    p.add_argument("--without-torch", action="store_true", help="only what fathom answers, which is quicker")
    p.add_argument("--out")
    a = p.parse_args()
    prompts, asked = Prompts(a.exported), held_out(a.problems, a.seed)
    student = is_student(a.exported)
    reference = read_student(a.exported) if student else load(a.checkpoint) if a.checkpoint else read(a.exported)
    reference.numerics.dtype = torch.float32
    answers = by_fathom(a.fathom, a.exported, [(p, ()) for p in asked], a.room)
    later = conversations(a.problems, a.seed + 4)
    columns = {"fathom w8a8": accuracies(prompts, asked, answers),
               "in conversations": accuracies(prompts, [p for p, _ in later], by_fathom(a.fathom, a.exported, later, a.room))}
    if not a.without_torch:
        columns["torch fp32"] = accuracies(prompts, asked, by_torch(reference, prompts, asked, a.room))
    table(columns)
    result = {"problems": len(asked), **columns}
    if not student:
        part = asked[::4], answers[::4]
        shipped = read(a.exported)
        shipped.numerics.fp8 = True
        accepted, load_of = drafts_and_load(shipped, prompts, *part)
        result |= {"drafts_accepted": accepted, "load": load_of}
        print(f"MTP drafts accepted {accepted:.1%}; load, max/mean by layer:", {k: round(v, 2) for k, v in load_of.items()})
    if a.out:
        Path(a.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
