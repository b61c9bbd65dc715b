"""Which of two or three numbers is larger or smaller: the same width first, then digit by digit."""
from .text import Task, ask, boxed, chain, number, pad

LARGER = ("Which is larger: {list}?", "Which number is larger, {list}?", "What is the largest of {list}?",
          "Which of {list} is the greatest?", "Find the biggest: {list}.")
SMALLER = ("Which is smaller: {list}?", "Which number is smaller, {list}?", "What is the smallest of {list}?",
           "Which of {list} is the least?", "Find the smallest: {list}.")
IS_LARGER = ("Is {a} larger than {b}?", "Is {a} greater than {b}?", "Is {a} > {b}?", "Is {a} more than {b}?")
IS_SMALLER = ("Is {a} smaller than {b}?", "Is {a} less than {b}?", "Is {a} < {b}?", "Is {a} below {b}?")


def near(rng, text):
    """The same number with one digit drawn anew: equal beginnings must be practised."""
    places = [i for i, c in enumerate(text) if c.isdigit() and i]
    if not places:
        return text
    i = rng.choice(places)
    last = i == len(text) - 1 and "." in text
    return text[:i] + str(rng.randrange(1 if last else 0, 10)) + text[i + 1:]


def one(rng, level, decimals):
    whole = str(number(rng, rng.randint(1, level + 1)))
    if not decimals:
        return whole
    tail = "".join(str(rng.randrange(10)) for _ in range(rng.randrange(2)))
    return f"{whole}.{tail}{rng.randint(1, 9)}"


def draw(rng, level):
    kind = rng.choice(("larger", "smaller", "is larger", "is smaller"))
    count = 3 if kind in ("larger", "smaller") and level and rng.random() < 0.5 else 2
    decimals = rng.random() < 0.25
    numbers = [one(rng, level, decimals)]
    while len(numbers) < count:
        new = near(rng, rng.choice(numbers)) if rng.random() < 0.5 else one(rng, level, decimals)
        if new not in numbers or kind.startswith("is ") and rng.random() < 0.2:
            numbers.append(new)
    rng.shuffle(numbers)
    return kind, tuple(numbers)


def aligned(numbers):
    """All with the same places before and behind the point."""
    wholes = [n.partition(".")[0] for n in numbers]
    tails = [n.partition(".")[2] for n in numbers]
    w, t = max(map(len, wholes)), max(map(len, tails))
    return [pad(int(a), w) + ("." + b.ljust(t, "0") if t else "") for a, b in zip(wholes, tails)]


def joined(rng, numbers):
    word = rng.choice((" or ", " and "))
    return ", ".join(numbers[:-1]) + word + numbers[-1]


def write(operands, rng):
    kind, numbers = operands
    same = aligned(numbers)
    if kind.startswith("is "):
        larger = kind == "is larger"
        yes = same[0] > same[1] if larger else same[0] < same[1]
        question = ask(rng, IS_LARGER if larger else IS_SMALLER, a=numbers[0], b=numbers[1])
        target = "yes" if yes else "no"
        return question, f"{same[0]}?{same[1]}:{chain(*same)}", boxed(target), target
    better = max if kind == "larger" else min
    best, lines = same[0], []
    for other in same[1:]:
        lines.append(f"{best}?{other}:{chain(best, other)}")
        best = better(best, other)
    target = numbers[same.index(best)]
    question = ask(rng, LARGER if kind == "larger" else SMALLER, list=joined(rng, numbers))
    return question, "\n".join(lines + [f"={best}"]), boxed(target), target


def key(operands):
    return tuple(sorted(operands[1]))


COMPARE = Task(draw, key, write)
