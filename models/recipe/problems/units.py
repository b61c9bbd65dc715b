"""Unit conversions: state the factor, then multiply, or take out whole units and keep what is left."""
from .text import Task, ask, boxed

# (large unit, small unit, how many small in a large, most large units); long and short names
PAIRS = (
    (("hours", "h"), ("minutes", "min"), 60, 12),
    (("minutes", "min"), ("seconds", "s"), 60, 12),
    (("days", "d"), ("hours", "h"), 24, 9),
    (("weeks", "weeks"), ("days", "d"), 7, 12),
    (("kilometers", "km"), ("meters", "m"), 1000, 60),
    (("meters", "m"), ("centimeters", "cm"), 100, 60),
    (("centimeters", "cm"), ("millimeters", "mm"), 10, 90),
    (("kilograms", "kg"), ("grams", "g"), 1000, 60),
    (("tonnes", "t"), ("kilograms", "kg"), 1000, 60),
    (("liters", "l"), ("milliliters", "ml"), 1000, 60),
)
TO_SMALL = ("Convert {x} {a} to {b}.", "How many {b} are {x} {a}?", "How many {b} are in {x} {a}?", "{x} {a} in {b}",
            "What is {x} {a} in {b}?", "Change {x} {a} into {b}.")
MIXED = ("Convert {x} {a} and {y} {b} to {b}.", "How many {b} are {x} {a} and {y} {b}?", "{x} {a} {y} {b} in {b}",
         "What is {x} {a} and {y} {b} in {b}?")
TO_LARGE = ("Convert {n} {b} to {a}.", "How many {a} are {n} {b}?", "{n} {b} in {a}", "Change {n} {b} into {a}.",
            "What is {n} {b} in {a}?")
TO_BOTH = ("Convert {n} {b} to {a} and {b}.", "How many {a} and {b} are {n} {b}?", "{n} {b} in {a} and {b}",
           "What is {n} {b} in {a} and {b}?")


def draw(rng, level):
    """(pair, kind, large, small): kind 0 to small, 1 to large, 2 mixed to small, 3 to both."""
    row = rng.randrange(len(PAIRS))
    _, _, factor, most = PAIRS[row]
    kind = rng.randrange(2) if level < 2 else rng.randint(2, 3)
    large = rng.randint(1, most if level % 2 else min(most, 9))
    return row, kind, large, rng.randrange(1, factor) if kind > 1 else 0


def write(operands, rng):
    row, kind, x, y = operands
    large, small, factor, _ = PAIRS[row]
    names = rng.randrange(2)
    a, b = large[names], small[names]
    total, product = x * factor + y, f"{x}*{factor}={x * factor}"
    question = ask(rng, (TO_SMALL, TO_LARGE, MIXED, TO_BOTH)[kind], x=x, y=y, n=total, a=a, b=b)
    lines = [f"1 {large[1]}={factor} {small[1]}"]
    if kind in (0, 2):
        lines.append(product)
        if y:
            lines.append(f"{x * factor}+{y}={total}")
        target = f"{total} {small[1]}"
    else:
        lines.append(f"{factor}*{x}={x * factor}")
        lines.append(f"{total}-{x * factor}={y}")
        target = f"{x} {large[1]}" + (f" {y} {small[1]}" if y else "")
    return question, "\n".join(lines), boxed(target), target


# Both directions of one conversion are one content.
UNITS = Task(draw, lambda o: (o[0], o[2], o[3]), write)
