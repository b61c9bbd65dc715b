"""Trains the byte-level BPE on generated problems and writes tokenizer.json and tokenizer_config.json.

    python tokenizer.py OUT [--seed N] [--samples N]

Every digit and every sign is a piece of its own, so no merge mixes digits with anything. The token ids depend on
the seed and the number of samples alone.
"""
import argparse
import json
import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from problems import any_task, make

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
USER, ASSISTANT, THINK, END_THINK = "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"
SPECIAL = (BOS, EOS, PAD, USER, ASSISTANT, THINK, END_THINK)  # ids 0 .. 6
CONTROL = (BOS, EOS, PAD)  # the others are text to a decoder, as in R1
VOCABULARY = 1152
CONTEXT = 1024

# \boxed{ as one piece, words with the blank before them, one digit, one sign, line ends, blanks.
PIECES = r" ?\\boxed\{| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]|\s*[\r\n]|\s+(?!\S)|\s+"

# R1's template for what this model is made for: a system prompt, questions, and answers without their reasoning.
CHAT_TEMPLATE = (
    "{% set ns = namespace(system_prompt='', is_first_sp=true) %}"
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    "{% set ns.system_prompt = ns.system_prompt + ('' if ns.is_first_sp else '\n\n') + message['content'] %}"
    "{% set ns.is_first_sp = false %}{% endif %}{% endfor %}"
    "{{ bos_token }}{{ ns.system_prompt }}"
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ '<｜Assistant｜>' + message['content'].split('</think>')[-1] + '<｜end▁of▁sentence｜>' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}"
)


def corpus(seed, samples):
    """Generated text. Of counting letters only the spelling: the words of its questions stay in small parts, which
    are easier to spell than whole words."""
    rng = random.Random(seed)
    yield from (f" {c}" for c in "abcdefghijklmnopqrstuvwxyz" for _ in range(50))
    for _ in range(samples):
        p = make(any_task(rng), rng, "train")
        yield p.completion if p.task == "letters" else f"{p.question}\n{p.completion}"


def train(seed, samples):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECES), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(corpus(seed, samples), trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIAL), show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return t


def write(out, seed=1, samples=50_000):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    file = json.loads(train(seed, samples).to_str())
    for token in file["added_tokens"]:
        token["special"] = token["content"] in CONTROL
    (out / "tokenizer.json").write_text(json.dumps(file, ensure_ascii=False, indent=1) + "\n")
    config = {
        "add_bos_token": False,
        "add_eos_token": False,
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": CHAT_TEMPLATE,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the tokenizer on generated problems.")
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=int, default=50_000)
    args = parser.parse_args()
    write(args.out, args.seed, args.samples)
