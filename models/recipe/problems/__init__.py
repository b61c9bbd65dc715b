"""Problems with worked reasoning: the one module that training, evaluation and tests share.

A task draws operands and then writes them out as a question, the reasoning that a very small model can follow
digit by digit, and an answer. What belongs to the held-out set is a property of the operands (split.py), so
training and held-out problems never meet, whatever the seeds.
"""
from dataclasses import dataclass

from . import arithmetic, chat, comparing, division, expressions, letters, sorting, units, words
from .reward import Reward, language, length, reward
from .split import held_out

__all__ = ["LEVELS", "MIX", "TASKS", "Problem", "Reward", "any_task", "earlier", "language", "length", "make", "reward"]

LEVELS = 4  # 0 .. 3; the hard half is 2 and 3


@dataclass(frozen=True)
class Problem:
    task: str
    level: int
    question: str
    reasoning: str  # goes between <think> and </think>
    answer: str  # what stands behind </think>
    target: str  # the bare result that a reward compares with

    @property
    def completion(self):
        """What the model writes after the prompt, which ends in "<think>\\n"."""
        return f"{self.reasoning}\n</think>\n\n{self.answer}"


# Each row offers draw(rng, level) -> operands, key(operands) -> what the split looks at,
# write(operands, rng) -> (question, reasoning, answer, target).
TASKS = {
    "add": arithmetic.ADD,
    "sub": arithmetic.SUB,
    "mul": arithmetic.MUL,
    "div": division.DIV,
    "compare": comparing.COMPARE,
    "expression": expressions.EXPRESSION,
    "units": units.UNITS,
    "sort": sorting.SORT,
    "letters": letters.LETTERS,
    "word": words.WORD,
    "chat": chat.CHAT,
}

# Shares of the training mix: the long ones need more practice.
MIX = {"add": 8, "sub": 10, "mul": 20, "div": 18, "compare": 7, "expression": 8, "units": 7, "sort": 9, "letters": 5,
       "word": 8, "chat": 3}


def any_task(rng, more=()):
    """A task by its share of the mix; those of `more` come three times as often."""
    return rng.choices(list(MIX), [share * (3 if task in more else 1) for task, share in MIX.items()])[0]


def make(task, rng, split, level=None):
    """A problem of `split` ("train" or "heldout"), of a random level unless one is asked for."""
    if split not in ("train", "heldout"):
        raise ValueError(f"split {split!r}: expected train or heldout")
    t = TASKS[task]
    if level is None:
        level = rng.randrange(LEVELS)
    while True:
        operands = t.draw(rng, level)
        if held_out(task, t.key(operands)) == (split == "heldout"):
            return Problem(task, level, *t.write(operands, rng))


TURNS = (5, 1, 0.5)  # weights of no, one and two earlier turns


def earlier(rng, split, turns=None):
    """The turns of a conversation before a question, as (question, answer) each; often none. Tasks are mixed evenly: what
    people say before a question is often short."""
    if turns is None:
        turns = rng.choices(range(len(TURNS)), TURNS)[0]
    said = (make(rng.choice(list(TASKS)), rng, split) for _ in range(turns))
    return tuple((p.question, p.answer) for p in said)
