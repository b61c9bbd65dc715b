"""Rewards by rules: is the answer right, has the text the form, in which language is it, how long. Any text is judged, none is an
error."""
import re
import unicodedata
from typing import NamedTuple

END = "</think>"
EOS = "<｜end▁of▁sentence｜>"


class Reward(NamedTuple):
    accuracy: float
    format: float


def normal(text):
    """Without the differences that do not matter: case, blanks, a full stop."""
    return re.sub(r"\s+", " ", text).strip().rstrip(".").lower().replace(", ", ",")


def reward(problem, text):
    """`text` is what the model wrote after the prompt."""
    text = text.removesuffix(EOS)
    reasoning, mark, answer = text.partition(END)
    whole = bool(mark) and END not in answer and "<think>" not in text and bool(reasoning.strip())
    if problem.task == "chat":
        right = normal(answer) == normal(problem.target)
        return Reward(float(right), float(whole and bool(answer.strip())))
    boxes = re.findall(r"\\boxed\{([^{}]*)\}", answer)
    right = bool(boxes) and normal(boxes[-1]) == normal(problem.target)
    formed = whole and len(boxes) == 1 and answer.rstrip().endswith("}")
    return Reward(float(right), float(formed))


# letters by their blocks in Unicode: the first and last of each, and the language; others are of other scripts
BLOCKS = [(0x41, 0x5A, "en"), (0x61, 0x7A, "en"), (0xC0, 0x24F, "en"), (0x1E00, 0x1EFF, "en"), (0x3005, 0x3007, "zh"),
          (0x3400, 0x4DBF, "zh"), (0x4E00, 0x9FFF, "zh"), (0xF900, 0xFAFF, "zh"), (0x20000, 0x323AF, "zh")]


def script(c):
    """The language that a letter speaks for, "other", "mark" for what belongs to the letter before it, or None."""
    kind = unicodedata.category(c)[0]
    if kind == "M":
        return "mark"
    if kind != "L":
        return None
    return next((name for first, last, name in BLOCKS if first <= ord(c) <= last), "other")


def language(text, wanted):
    """The share of words in the language "en" or "zh" in the reasoning, told by their script (R1's language consistency); 1 where there
    is no word. Of Chinese each character is a word."""
    words, before = [], None
    for c in text.partition(END)[0]:
        now = script(c)
        if now == "mark":
            continue
        if now and (now != before or now == "zh"):
            words.append(now)
        before = now
    return words.count(wanted) / len(words) if words else 1.0


def length(tokens, most, soft):
    """DAPO's soft punishment (arXiv 2503.14476): 0 up to most - soft tokens, then falling to -1 at `most`."""
    if tokens <= most - soft:
        return 0.0
    return -1.0 if tokens >= most else (most - soft - tokens) / soft
