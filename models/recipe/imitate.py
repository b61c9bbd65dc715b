"""Rejection sampling: the student learns right answers that lie in a file.

    fathom rollout prompts.jsonl --model TEACHER --temp 0.6 --max-tokens 400 --keep-right >right.jsonl
    python imitate.py STUDENT right.jsonl... OUT

STUDENT is an exported student, such as the shipped one; OUT is the folder of the student that learned from them. Of files that were written
without --keep-right only answers count that are right, have the form and came to an end, so those of reinforcement learning serve too."""
import argparse
import json
import random
from pathlib import Path

import torch

from distill import Average, batch_of, learn
from export import tensors, write
from optimizer import Both
from student import config, read_student, released_names


def right_answers(files):
    for file in files:
        for x in map(json.loads, Path(file).open()):
            if x["accuracy"] and x["format"] and x["finish"] == "stop":
                yield {"prompt_ids": x["prompt_ids"], "ids": x["ids"], "task": None}


def train(a):
    torch.set_num_threads(a.threads)
    student, lines = read_student(a.student), list(right_answers(a.answers))
    student.numerics.dtype, student.numerics.fp8, student.numerics.frozen = torch.bfloat16, True, False
    optimizer, average = Both(student), Average(student, a.average, None)
    if not lines:
        raise SystemExit("no answer is right and has the form: there is nothing to learn")
    print(json.dumps({"right_answers": len(lines)}), flush=True)
    total = 0.0
    for step in range(a.steps):
        rate = a.lr * min(1.0, (step + 1) / a.warmup) * (1 - step / a.steps)
        total += learn(student, optimizer, batch_of(lines, random.Random(f"imitate/{a.seed}/{step}"), a.tokens), rate)
        average.add(step + 1)
        if (step + 1) % a.log_every == 0:
            print(json.dumps({"step": step + 1, "loss": round(total / a.log_every, 5)}), flush=True)
            total = 0.0
    student.load_state_dict(average.values)
    write(Path(a.out), config(student.c), tensors(released_names(student)), Path(a.student))


if __name__ == "__main__":
    p = argparse.ArgumentParser(description="Teach an exported student right answers from files.")
    p.add_argument("student", help="the folder of the student")
    p.add_argument("answers", nargs="+", help="files that `fathom rollout` wrote")
    p.add_argument("out", help="the folder to write")
    p.add_argument("--steps", type=int, default=200)
    p.add_argument("--tokens", type=int, default=5120, help="of a step, about")
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--warmup", type=int, default=10)
    p.add_argument("--average", type=float, default=0.98)
    p.add_argument("--log-every", type=int, default=20)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=1)
    train(p.parse_args())
