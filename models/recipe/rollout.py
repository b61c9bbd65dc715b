"""Answers by `fathom rollout`: the weights of the moment are written as FP8, and fathom samples with what it will ship as."""
import json
import subprocess
from pathlib import Path

from check_rollout import line
from export import config, released_names, tensors, write


def ask(fathom, model, asked, samples, temperature, seed, room, threads, top_p=1):
    """`samples` answers to each (problem, earlier turns), in their order: dictionaries as `fathom rollout --help` tells."""
    prompts = "".join(json.dumps(line(*x)) + "\n" for x in asked)
    done = subprocess.run([fathom, "rollout", "-", "--model", model, "--numerics", "w8a8", "--threads", str(threads), "--quiet",
                           "--samples", str(samples), "--max-tokens", str(room), "--temp", str(temperature),
                           "--top-p", str(top_p), "--seed", str(seed)], input=prompts, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(x) for x in done.stdout.splitlines()]


class Sampler:
    """Writes a model's weights into a folder and asks `fathom` there, on one thread."""

    def __init__(self, fathom, work, room):
        self.fathom, self.folder, self.room = fathom, Path(work) / "rollout", room

    def take(self, model, tokenizer):
        write(self.folder, config(model.c), tensors(released_names(model)), tokenizer)

    def ask(self, asked, samples, temperature, seed):
        return ask(self.fathom, self.folder, asked, samples, temperature, seed, self.room, 1)
