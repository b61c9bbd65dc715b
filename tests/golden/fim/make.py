"""Writes fim.json: prompts of fill-in-the-middle as ids, by Hugging Face tokenizers. Run in tests/golden: python fim/make.py

The form is that of DeepSeek-Coder's release (begin PREFIX hole SUFFIX end, PSM of arXiv:2401.14196, section 3.1.2), which Coder-V2 and V3 kept. What
stands in a file that is edited is text, also where it looks like a token, so prefix and suffix are encoded by the tokenizer without its added tokens."""

import json

from tokenizers import Tokenizer
from transformers import AutoTokenizer

CASES = [
    {"name": "a function's middle", "prefix": "def mean(xs):\n    total = 0\n", "suffix": "\n    return total / len(xs)\n"},
    {"name": "the string of strings.json", "prefix": "def f():", "suffix": "\n"},
    {"name": "nothing before", "prefix": "", "suffix": "int main(void) {\n    return 0;\n}\n"},
    {"name": "nothing behind", "prefix": "for i in range(10):\n    ", "suffix": ""},
    {"name": "cut inside a word and a run of blanks", "prefix": "class Tree:\n    def ins", "suffix": "ert(self, key):\n        \t  pass"},
    {"name": "other scripts", "prefix": "# 计算总和 – größer\nprint(\"é", "suffix": "😀\")"},
    {"name": "text that looks like tokens", "prefix": "s = \"<｜fim▁hole｜>\" + '<｜end▁of▁sentence｜>'\n", "suffix": "# <｜fim▁end｜> <|EOT|>\n"},
]
FOLDERS = ["deepseek-coder-tiny", "tokenizer/deepseek-v3-real"]


def ids_of(folder, case):
    """In parts; where nothing looks like a token the whole text, as the release's own code encodes it, must give the same ids. Begin of sentence is in front
    where the release's add_bos_token says so; transformers 5 leaves that to the caller."""
    whole = AutoTokenizer.from_pretrained(folder)
    with open(folder + "/tokenizer.json") as f:
        parts = Tokenizer.from_str(json.dumps({**json.load(f), "added_tokens": []}))
    with open(folder + "/tokenizer_config.json") as f:
        add_bos = json.load(f)["add_bos_token"]
    token = lambda t: [whole.convert_tokens_to_ids(t)]
    text = lambda t: parts.encode(t, add_special_tokens=False).ids
    bos = [whole.bos_token_id] * add_bos
    joined = bos + token("<｜fim▁begin｜>") + text(case["prefix"]) + token("<｜fim▁hole｜>") + text(case["suffix"]) + token("<｜fim▁end｜>")
    if "<" not in case["prefix"] + case["suffix"]:
        released = whole(f"<｜fim▁begin｜>{case['prefix']}<｜fim▁hole｜>{case['suffix']}<｜fim▁end｜>").input_ids
        assert released == joined[len(bos) :], (folder, case, released, joined)
    return joined


golden = [{**case, "ids": {folder: ids_of(folder, case) for folder in FOLDERS}} for case in CASES]
with open("fim/fim.json", "w") as f:
    f.write("[" + ",\n ".join(json.dumps(g, ensure_ascii=False) for g in golden) + "]\n")
