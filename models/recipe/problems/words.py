"""Word problems in plain English from templates of one to three steps. Each step is one operation that the model
knows by heart: sums and differences of at most two digits a side, products with one digit."""
from .text import Task, boxed

NAMES = ("Tom", "Anna", "Ben", "Mia", "Sam", "Lena", "Max", "Eva", "Paul", "Nina", "Leo", "Ida", "Jack", "Rosa", "Omar",
         "Lucy")
THINGS = ("apples", "books", "marbles", "pencils", "stamps", "cards", "coins", "eggs", "balls", "cookies", "flowers",
          "stickers")
BOXES = ("boxes", "bags", "baskets", "packs", "shelves")

# (level, names of the numbers, question, steps). A step is a name or an earlier result (r1, r2), a sign, and another.
# The ranges are in numbers().
TEMPLATES = (
    (0, "nm", "{P} has {n} {things} and gets {m} more. How many {things} does {P} have now?", ("n+m",)),
    (0, "nm", "{P} has {n} {things} and {Q} has {m}. How many {things} do they have together?", ("n+m",)),
    (0, "nm", "There are {n} {things} on a table. {P} puts {m} more on it. How many {things} are on the table?", ("n+m",)),
    (0, "ns", "{P} has {n} {things} and gives {s} to {Q}. How many {things} are left?", ("n-s",)),
    (0, "ns", "{P} had {n} {things} and lost {s}. How many {things} does {P} have now?", ("n-s",)),
    (0, "ns", "{P} has {n} {things}. {Q} has {s} fewer. How many {things} does {Q} have?", ("n-s",)),
    (1, "tk", "{P} has {t} {boxes} with {k} {things} each. How many {things} is that?", ("t*k",)),
    (1, "tk", "Each of {t} friends brings {k} {things}. How many {things} are there?", ("t*k",)),
    (1, "tk", "One of the {things} costs {t} dollars. What do {k} {things} cost?", ("t*k",)),
    (1, "nms", "{P} has {n} {things}, gets {m} more and gives away {s}. How many {things} are left?", ("n+m", "r1-s")),
    (1, "ns", "{P} has {n} {things} and {Q} has {s} more than {P}. How many {things} does {Q} have?", ("n+s",)),
    (2, "tkm", "{P} has {t} {boxes} with {k} {things} each and {m} more. How many {things} does {P} have?",
     ("t*k", "r1+m")),
    (2, "tks", "{P} buys {t} {boxes} with {k} {things} each and gives {s} {things} to {Q}. How many are left?",
     ("t*k", "r1-s")),
    (2, "nm", "{P} has {n} {things} and {Q} has {m} more than {P}. How many {things} do they have together?",
     ("n+m", "n+r1")),
    (2, "tk", "{P} reads {k} pages a day. How many pages does {P} read in {t} days?", ("t*k",)),
    (2, "eu", "{P} shares {e} {things} equally among {u} friends. How many {things} does each friend get?", ("e/u",)),
    (3, "tkms", "{P} has {t} {boxes} with {k} {things} each. {Q} brings {m} more and takes {s} away. "
     "How many {things} are left?", ("t*k", "r1+m", "r2-s")),
    (3, "tkvw", "{P} buys {t} {boxes} with {k} {things} each and {v} {boxes} with {w} {things} each. "
     "How many {things} is that?", ("t*k", "v*w", "r1+r2")),
    (3, "nmsz", "A bus starts with {n} people. At the first stop {m} get on and {s} get off. At the next stop {z} get on. "
     "How many people are on the bus?", ("n+m", "r1-s", "r2+z")),
    (3, "eun", "{P} shares {e} {things} equally among {u} friends. {Q} is one of them and had {n} before. "
     "How many {things} does {Q} have now?", ("e/u", "n+r1")),
    (3, "ntk", "{P} has {n} dollars and buys {t} {things} for {k} dollars each. How many dollars are left?",
     ("t*k", "n-r1")),
)


def numbers(rng, names):
    """A value for each name; e is a multiple of u."""
    n = {}
    for name in names:
        if name in "tvu":
            n[name] = rng.randint(2, 9)
        elif name in "kw":
            n[name] = rng.randint(2, 12)
        elif name != "e":
            n[name] = rng.randint(2, 99 if rng.random() < 0.6 else 20)
    if "e" in names:
        n["e"] = n["u"] * rng.randint(2, 12)
    return n


def calculate(n, steps):
    """Lines and the result, or None where a step leaves the range."""
    known, lines = dict(n), []
    for i, step in enumerate(steps):
        op = next(c for c in step if c in "+-*/")
        a, b = (known[x] for x in step.split(op))
        if op == "-" and a < b or op in "+-" and max(a, b) > 199:
            return None, None
        r = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[op]
        known[f"r{i + 1}"] = r
        lines.append(f"{a}{op}{b}={r}")
    return lines, r


def draw(rng, level):
    rows = [i for i, row in enumerate(TEMPLATES) if row[0] == level]
    while True:
        row = rng.choice(rows)
        n = numbers(rng, TEMPLATES[row][1])
        if calculate(n, TEMPLATES[row][3])[0]:
            return row, tuple(sorted(n.items()))


def write(operands, rng):
    row, items = operands
    _, _, text, steps = TEMPLATES[row]
    n = dict(items)
    p, q = rng.sample(NAMES, 2)
    question = text.format(P=p, Q=q, things=rng.choice(THINGS), boxes=rng.choice(BOXES), **n)
    lines, result = calculate(n, steps)
    return question, "\n".join(lines), boxed(result), str(result)


WORD = Task(draw, tuple, write)
