"""What all generators share: the shape of a task, phrasings, and numbers as fixed-width digits."""
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Task:
    draw: Callable
    key: Callable
    write: Callable


def ask(rng, phrasings, **fields):
    """One of the phrasings, sometimes polite, sometimes careless."""
    text = rng.choice(phrasings).format(**fields)
    manner = rng.random()
    if manner < 0.06 and text[-1] in "?.":
        return f"{text[:-1]}, please{text[-1]}"
    if manner < 0.2:
        return text[0].lower() + text[1:].rstrip("?. ")
    return text


def boxed(target):
    return f"The answer is \\boxed{{{target}}}"


def number(rng, digits):
    """A number of exactly that many digits; one digit includes 0."""
    return rng.randrange(10 ** (digits - 1) if digits > 1 else 0, 10**digits)


def pad(value, width):
    return f"{value:0{width}d}"


def width(*values):
    return max(len(str(v)) for v in values)


def chain(a, b):
    """Compares two texts of equal width digit by digit, up to the first difference: "4=4,8>3"."""
    steps = []
    for x, y in zip(a, b):
        if not x.isdigit():
            continue
        steps.append(f"{x}{'=' if x == y else '<' if x < y else '>'}{y}")
        if x != y:
            break
    return ",".join(steps)
