"""Perplexity of a text by transformers, from the weights of a GGUF file dequantised to FP32, with the windows and the accounting of `fathom eval --perplexity`:
each token but the first is predicted once.

    perplexity.py MODEL.gguf TEXT WINDOW STRIDE"""

import json
import os
import pathlib
import sys

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(model, text, window, stride):
    model, window, stride = pathlib.Path(model), int(window), int(stride)
    source = {"pretrained_model_name_or_path": model.parent, "gguf_file": model.name}
    ids = AutoTokenizer.from_pretrained(**source)(pathlib.Path(text).read_text()).input_ids
    network = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32).eval()
    total, done, first = 0.0, 1, 0
    with torch.no_grad():
        while done < len(ids):
            end = min(first + window, len(ids))
            rows = torch.log_softmax(network(torch.tensor([ids[first:end]])).logits[0].double(), -1)
            total -= sum(rows[i - 1 - first, ids[i]].item() for i in range(done, end))
            done, first = end, first + stride
    mean = total / (len(ids) - 1)
    print(json.dumps({"tokens": len(ids), "window": window, "stride": stride, "mean_nll": mean, "perplexity": float(torch.tensor(mean).double().exp())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
