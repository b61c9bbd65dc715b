"""The last stage of R1's training in small: supervised training on the RL model's own right answers, with more talk.

    python polish.py --work DIR [--steps N]

Reinforcement learning asks for reasoning; greetings and the like are too rare in it to stay in mind. A batch has answers that
distill.py kept (they passed the rules) and plain talk. The rate is small and falls to nothing, and the weights that are saved lie
between the RL model's and what comes out, so that little of what was learned by rewards is lost."""
import argparse
import json
import random
from pathlib import Path

import torch
import torch.nn.functional as F

import data
import problems
from model import Config, Model
from optimizer import Both
from problems import chat
from sft import open_tokenizer
from store import Store


def talk(rng):
    """The words that people most often begin with; they are of the training split."""
    intent = rng.choice(list(chat.PLAIN))
    phrase = rng.choice(chat.PLAIN[intent][:3]) + rng.choice(("", "", "", "!", "?", "."))
    return problems.Problem("chat", chat.INTENTS[intent][2], *chat.CHAT.write((intent, True, phrase), rng))


def batch_of(prompts, lines, rng, tokens, talks):
    talked = [talk(rng) for _ in range(talks)]
    sequences = [(prompts.prompt(p.question, problems.earlier(rng, "train")), prompts.completion(p), "chat") for p in talked]
    room = tokens
    while room > 0:
        line = rng.choice(lines)
        sequences.append((line["prompt_ids"], line["ids"], line["task"]))
        room -= len(line["prompt_ids"]) + len(line["ids"])
    return data.pack(sequences)


def train(a):
    torch.set_num_threads(a.threads)
    prompts, store, source = open_tokenizer(a.work), Store(a.work, "polish"), Store(a.work, "grpo").load()
    lines = [json.loads(line) for line in (Path(a.work) / "distill" / "answers.jsonl").open()]
    model = Model(Config(**source["config"]))
    model.load_state_dict(source["average"])
    model.mtp.requires_grad_(False)
    model.numerics.fp8 = True
    optimizer = Both(model)
    for step in range(a.steps):
        batch = batch_of(prompts, lines, random.Random(f"polish/{a.seed}/{step}"), a.tokens, a.talk)
        loss = F.cross_entropy(model.lm_head(model(batch.ids, batch.layout)[batch.rows]).float(), batch.targets)
        loss.backward()
        optimizer.step(a.lr * min(1.0, (step + 1) / 5) * (1 - step / a.steps))
        for gate in model.gates().values():
            gate.rebalance(0.0)
        store.log(step=step + 1, loss=round(loss.item(), 5))
    average = {k: torch.lerp(v, model.state_dict()[k], a.share) for k, v in source["average"].items()}
    store.save(a.steps, {"average": average, "config": model.c.dict()})


if __name__ == "__main__":
    p = argparse.ArgumentParser(description="Train on the RL model's right answers and on talk.")
    p.add_argument("--work", default="build/recipe")
    p.add_argument("--steps", type=int, default=36)
    p.add_argument("--share", type=float, default=0.55, help="how far to go from the RL model to what was trained here")
    p.add_argument("--tokens", type=int, default=4096, help="of a step, beside the talk")
    p.add_argument("--talk", type=int, default=24, help="greetings and the like in a step")
    p.add_argument("--lr", type=float, default=3e-4)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    train(p.parse_args())
