"""lm-evaluation-harness against fathom serve (log-likelihood through echo and logprobs of /v1/completions), and against transformers with the same weights,
dequantised to FP32. Prints both and fails where a share of right answers differs by more than half a point or a perplexity by more than 0.1 %.

    compare.py FATHOM MODEL.gguf [JSON-FILE]"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", OPENAI_API_KEY="none")
HERE = pathlib.Path(__file__).resolve().parent
TASKS = ["fathom_facts", "fathom_last_word"]
MOST = {"acc": 0.005, "acc_norm": 0.005, "perplexity": 0.001}


def serve(fathom, model, state):
    """The service on a free port, and its address."""
    command = [fathom, "serve", "--model", model, "--port", "0", "--database", state + "/fathom.db", "--numerics", "w8a16"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in server.stdout:
        if found := re.search(r"listening on (http://\S+)", line):
            return server, found[1]
    raise SystemExit("fathom serve did not start")


def evaluate(model, args, tasks, batch):
    import lm_eval

    found = lm_eval.simple_evaluate(model=model, model_args=args, tasks=TASKS, task_manager=tasks, batch_size=batch, bootstrap_iters=0)
    return {
        (task, metric.split(",")[0]): value
        for task, metrics in found["results"].items()
        for metric, value in metrics.items()
        if metric.split(",")[0] in MOST
    }


def main(fathom, model, out=None):
    fathom, model = str(pathlib.Path(fathom).resolve()), pathlib.Path(model).resolve()
    os.chdir(HERE)
    import torch
    from lm_eval.tasks import TaskManager
    from transformers import AutoTokenizer

    torch.set_num_threads(os.cpu_count())
    tasks = TaskManager(include_path=str(HERE), include_defaults=False)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HF_HOME"] = scratch
        AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name).save_pretrained(scratch + "/tokenizer")
        server, url = serve(fathom, str(model), scratch)
        try:
            ours = evaluate(
                "local-completions",
                {"model": model.name, "base_url": url + "/v1/completions", "tokenizer": scratch + "/tokenizer", "num_concurrent": 4, "max_retries": 1},
                tasks,
                1,
            )
        finally:
            server.terminate()
            server.wait()
        theirs = evaluate("hf", {"pretrained": str(model.parent), "gguf_file": model.name, "dtype": "float32", "device": "cpu"}, tasks, 32)
    failed = False
    rows = []
    for key, a in ours.items():
        b = theirs[key]
        off = abs(a - b) / (b if key[1] == "perplexity" else 1)
        failed |= not off <= MOST[key[1]]
        rows.append({"task": key[0], "metric": key[1], "fathom": a, "transformers": b})
        print(f"{key[0]:18} {key[1]:10} fathom {a:.6f}  transformers {b:.6f}  {'DIFFERS' if not off <= MOST[key[1]] else 'agrees'}")
    if out:
        pathlib.Path(out).write_text(json.dumps(rows, indent=1) + "\n")
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
