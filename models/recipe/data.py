"""Fresh training batches: problems of the split "train" as packed tokens, never the same twice."""
from collections import namedtuple

import torch
import torch.nn.functional as F

from model import Layout
from problems import any_task, earlier, make

NOTHING = -100  # a target that does not count
ROWS = 256  # predicted rows come in multiples of this, so that matrices have few different shapes

# `ids` are packed; `targets` are what the rows `rows` predict; `sample` says whose row it is, `tasks` what it is about
Batch = namedtuple("Batch", "ids layout rows targets sample tasks")


def pack(sequences):
    """(prompt, completion, task) as one batch, shortest first; only completions are predicted."""
    ids, rows, targets, sample, lengths = [], [], [], [], []
    sequences = sorted(sequences, key=lambda s: len(s[0]) + len(s[1]))
    for place, (prompt, completion, _) in enumerate(sequences):
        rows += range(len(ids) + len(prompt) - 1, len(ids) + len(prompt) + len(completion) - 1)
        targets += completion
        sample += [place] * len(completion)
        lengths.append(len(prompt) + len(completion) - 1)
        ids += (prompt + completion)[:-1]
    rest = -len(rows) % ROWS
    return Batch(torch.tensor(ids), Layout(lengths), F.pad(torch.tensor(rows), (0, rest)),
                 F.pad(torch.tensor(targets), (0, rest), value=NOTHING), F.pad(torch.tensor(sample), (0, rest)),
                 [task for *_, task in sequences])


def fresh(prompts, rng, tokens, more=()):
    """Exactly that many tokens of new problems, more of some tasks; the last one is cut where they end."""
    sequences, room = [], tokens
    while room > 1:
        problem = make(any_task(rng, more), rng, "train")
        prompt, completion = prompts.prompt(problem.question, earlier(rng, "train")), prompts.completion(problem)
        prompt = prompt[:room]
        completion = completion[:room + 1 - len(prompt)]
        sequences.append((prompt, completion, problem.task))
        room -= len(prompt) + len(completion) - 1
    return pack(sequences)
