"""Distillation: the RL model's correct answers teach a dense student.

    python distill.py FATHOM --work DIR [--pretrain N] [--rounds N]

With --pretrain the student first learns fresh worked problems at a constant rate, for N steps: a base model, which is
what R1's students started from. Then each round asks the teacher new questions (`fathom rollout`), keeps the answers that the
rules call right and well formed (rejection sampling), appends them to WORK/distill/answers.jsonl and trains the student on all
rounds so far, at a rate that falls to nothing over the rounds. Resumes."""
import argparse
import json
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import data
import problems
from decode import Frozen
from evaluate import accuracies, by_torch, held_out
from model import Config, Model
from optimizer import Both
from rollout import Sampler
from sft import open_tokenizer
from store import Store
from student import Student, StudentConfig


def teacher(work, room, fathom):
    """The RL model, exported, with fathom to ask it."""
    saved = Store(work, "grpo").load()
    if saved is None:
        raise SystemExit(f"{work}: no RL checkpoint; run grpo.py first")
    model = Model(Config(**saved["config"]))
    model.load_state_dict(saved["average"])
    sampler = Sampler(fathom, work, room)
    sampler.take(model, Path(work) / "tokenizer")
    return sampler


def sample(sampler, prompts, a, number):
    """The right answers of one round, as lines of prompt and answer, and their share."""
    rng = random.Random(f"distill/{a.seed}/{number}")
    asked = [(problems.make(problems.any_task(rng, a.more), rng, "train"), problems.earlier(rng, "train"))
             for _ in range(a.questions)]
    if a.worked:
        return [{"round": number, "task": p.task, "prompt_ids": prompts.prompt(p.question, earlier),
                 "ids": prompts.completion(p)} for p, earlier in asked], 0.0
    answers = sampler.ask(asked, 1, 0.6, a.seed * 10**9 + number * 10**6)
    right = [(p, x) for (p, _), x in zip(asked, answers) if x["accuracy"] and x["format"] and x["finish"] == "stop"]
    return [{"round": number, "task": p.task, "prompt_ids": x["prompt_ids"], "ids": x["ids"]} for p, x in right], len(right) / len(asked)


def batch_of(lines, rng, tokens):
    sequences, room = [], tokens
    while room > 0:
        line = rng.choice(lines)
        sequences.append((line["prompt_ids"], line["ids"], line["task"]))
        room -= len(line["prompt_ids"]) + len(line["ids"])
    return data.pack(sequences)


class Average:
    """A running average of the student's weights, quick at first."""

    def __init__(self, student, keep, values):
        self.student, self.keep = student, keep
        self.values = values or {k: v.clone() for k, v in student.state_dict().items()}

    def add(self, step):
        keep = min(self.keep, step / (step + 10))
        for k, v in self.student.state_dict().items():
            self.values[k].lerp_(v, 1 - keep)


def learn(student, optimizer, batch, lr):
    loss = F.cross_entropy(student.lm_head(student(batch.ids, batch.layout)[batch.rows]).float(), batch.targets)
    loss.backward()
    optimizer.step(lr)
    return loss.item()


def train(a):
    torch.set_num_threads(a.threads)
    prompts, store = open_tokenizer(a.work), Store(a.work, "distill")
    torch.manual_seed(a.seed)
    saved = store.load()
    student = Student(StudentConfig(**saved["config"]) if saved else StudentConfig(vocab=prompts.tokenizer.get_vocab_size()))
    optimizer, step, done = Both(student), 0, 0
    if saved:
        student.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        step, done = saved["step"], saved["rounds"]
    average = Average(student, a.average, saved and saved["average"])
    student.numerics.fp8 = a.qat

    def save(rounds):
        store.save(step, {"model": student.state_dict(), "optimizer": optimizer.state_dict(), "average": average.values,
                          "step": step, "rounds": rounds, "config": student.c.dict()})

    loss_sum, since = 0.0, time.time()
    while done == 0 and step < a.pretrain:
        b = data.fresh(prompts, random.Random(f"student/{a.seed}/{step}"), a.tokens, a.more)
        loss_sum += learn(student, optimizer, b, a.lr * min(1.0, (step + 1) / a.warmup))
        step += 1
        average.add(step)
        if step % a.steps == 0:
            store.log(step=step, loss=round(loss_sum / a.steps, 4), tokens_per_second=round(a.steps * a.tokens / (time.time() - since)))
            save(0)
            loss_sum, since = 0.0, time.time()
    if done >= a.rounds:
        return
    sampler = teacher(a.work, a.room, a.fathom)
    file = Path(a.work) / "distill" / "answers.jsonl"
    lines = [json.loads(line) for line in file.open()] if file.exists() else []
    lines = [line for line in lines if line["round"] < done]  # a round that was cut short is made again
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for number in range(done, a.rounds):
        new, accepted = sample(sampler, prompts, a, number)
        with file.open("a") as f:
            f.writelines(json.dumps(line) + "\n" for line in new)
        lines += new
        loss_sum = 0.0
        for i in range(a.steps if lines else 0):
            b = batch_of(lines, random.Random(f"{a.seed}/{step}"), a.tokens)
            share = min(1.0, (step + 1) / a.warmup) * (1 - (number + i / a.steps) / a.rounds)
            loss_sum += learn(student, optimizer, b, a.lr * share)
            step += 1
            average.add(step)
        store.log(step=step, round=number, accepted=round(accepted, 4), answers=len(lines), loss=round(loss_sum / a.steps, 4))
        save(number + 1)
    student.load_state_dict(average.values)
    asked = held_out(a.evaluate)
    with Frozen(student):
        found = accuracies(prompts, asked, by_torch(student, prompts, asked, a.room))
    store.log(step=step, evaluation={k: round(v, 4) for k, v in found.items()})


def arguments():
    p = argparse.ArgumentParser(description="Teach a dense student the RL model's right answers.")
    p.add_argument("fathom", help="the program")
    p.add_argument("--work", default="build/recipe")
    p.add_argument("--pretrain", type=int, default=0, metavar="STEPS", help="on worked problems, before the first round")
    p.add_argument("--more", default=[], type=lambda tasks: tasks.split(","), help="tasks to practise three times as much")
    p.add_argument("--rounds", type=int, default=40)
    p.add_argument("--questions", type=int, default=1024, help="of a round")
    p.add_argument("--steps", type=int, default=100, help="of a round")
    p.add_argument("--room", type=int, default=400)
    p.add_argument("--tokens", type=int, default=5120, help="of a step, about")
    p.add_argument("--lr", type=float, default=4e-3)
    p.add_argument("--warmup", type=int, default=50)
    p.add_argument("--average", type=float, default=0.99)
    p.add_argument("--qat", action="store_true", help="round to FP8 as the shipped student will")
    p.add_argument("--worked", action="store_true", help="learn the problems' own reasoning: only to try the script")
    p.add_argument("--evaluate", type=int, default=440)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


if __name__ == "__main__":
    train(arguments())
