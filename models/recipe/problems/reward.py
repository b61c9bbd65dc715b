"""Rewards by rules: is the answer right, has the text the form. Any text is judged, none is an error."""
import re
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
