"""The reference of an exported model, made by transformers' DeepseekV3ForCausalLM and not by us.

    python golden.py EXPORTED OUT

Weights are dequantised to FP32, attention is eager, on a CPU. Writes OUT/golden.json and OUT/golden.safetensors as
tests/golden/README.md describes them, and held-out problems with their answers: OUT/problems.jsonl, and OUT/conversations.jsonl of
later questions."""
import argparse
import json
import random
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

import problems
from check_rollout import line
from evaluate import PROBLEMS, conversations, held_out
from export import values
from prompts import Prompts

GREEDY, CONVERSATIONS = 16, 440


def reference(exported):
    """transformers reads a folder of FP32 tensors; it knows no MTP layer, so that one stays out."""
    from transformers import DeepseekV3ForCausalLM

    config = json.loads((Path(exported) / "config.json").read_text())
    extra = f"model.layers.{config['num_hidden_layers']}."
    del config["quantization_config"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config | {"torch_dtype": "float32"}))
        save_file({k: v for k, v in values(exported).items() if not k.startswith(extra)},
                  Path(folder) / "model.safetensors", metadata={"format": "pt"})
        model, report = DeepseekV3ForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    if any(report[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise SystemExit(f"transformers did not take every tensor: {report}")
    return model.eval()


def cases(exported, tasks):
    """One question of each task, and one token alone."""
    prompts, rng = Prompts(exported), random.Random(1)
    yield "T1", [0]
    for task in list(problems.TASKS)[:tasks]:
        yield task, prompts.prompt(problems.make(task, rng, "heldout").question)


@torch.no_grad()
def answer(model, ids):
    """Logits over the prompt and of each greedy step, the greedy ids, and the hidden states over the prompt."""
    first = model(torch.tensor([ids]), output_hidden_states=True, use_cache=True)
    logits, hidden, steps, greedy = first.logits[0], first.hidden_states, [], []
    last, cache = logits[-1], first.past_key_values
    for _ in range(GREEDY):
        steps.append(last)
        greedy.append(int(last.argmax()))
        step = model(torch.tensor([greedy[-1:]]), past_key_values=cache)
        last, cache = step.logits[0, -1], step.past_key_values
    return logits, torch.stack(steps), greedy, hidden


def main():
    p = argparse.ArgumentParser(description="Make the golden files of an exported model with transformers.")
    p.add_argument("exported")
    p.add_argument("out")
    p.add_argument("--tasks", type=int, default=len(problems.TASKS), help="only the first so many")
    a = p.parse_args()
    torch.set_num_threads(1)  # matrices are too small to share
    model, blobs, listed = reference(a.exported), {}, []
    for name, ids in cases(a.exported, a.tasks):
        logits, steps, greedy, hidden = answer(model, ids)
        best = steps.topk(5)
        margins = (best.values[:, 0] - best.values[:, 1]).tolist()
        listed.append({"name": name, "ids": ids, "length": len(ids), "greedy": greedy, "margins": margins,
                       "min_margin": min(margins), "logits": "all",
                       "top5": [[int(i), float(v)] for i, v in zip(best.indices[0], best.values[0])]})
        blobs |= {f"{name}.logits": logits, f"{name}.greedy_logits": steps}
        if name == "add":  # the last entry of transformers' list is the one after the last norm
            names = ["embed", *(f"layer{i}" for i in range(len(hidden) - 2)), "norm"]
            blobs |= {f"{name}.hidden.{n}": h[0] for n, h in zip(names, hidden)}
    out = Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    header = {"case": Path(a.exported).name, "architecture": "DeepseekV3ForCausalLM",
              "dtype": "float32 compute, dequantised FP8 weights", "n_greedy": GREEDY}
    (out / "golden.json").write_text(json.dumps(header | {"prompts": listed}, indent=1) + "\n")
    save_file({k: v.contiguous().clone() for k, v in blobs.items()}, out / "golden.safetensors")
    for name, asked in (("problems", [(p, ()) for p in held_out(PROBLEMS)]), ("conversations", conversations(CONVERSATIONS))):
        (out / f"{name}.jsonl").write_text("".join(json.dumps(line(*x)) + "\n" for x in asked))


if __name__ == "__main__":
    main()
