"""Held-out problems with their worked reasoning, as lines like those of `fathom rollout`: for `fathom quantize --study`.

    python worked.py MODEL N [SEED] >worked.jsonl

MODEL is an exported folder, whose tokenizer is taken."""
import json
import sys

from evaluate import SEED, held_out
from prompts import Prompts

if __name__ == "__main__":
    prompts = Prompts(sys.argv[1])
    for p in held_out(int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else SEED):
        print(json.dumps({"task": p.task, "prompt_ids": prompts.prompt(p.question), "ids": prompts.completion(p)}))
