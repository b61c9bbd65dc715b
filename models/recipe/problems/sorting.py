"""Short lists in order: go through the list with the best so far, take it out, go on with the rest."""
from .text import Task, ask, boxed, pad, width

UP = ("Sort {list} in ascending order.", "Sort {list}.", "Put {list} in order from smallest to largest.",
      "Order {list} from low to high.", "Sort these numbers from smallest to largest: {list}.")
DOWN = ("Sort {list} in descending order.", "Put {list} in order from largest to smallest.",
        "Order {list} from high to low.", "Sort these numbers from largest to smallest: {list}.")
COUNTS = ((3,), (3, 4), (4, 5), (5, 6))
LIMITS = ((10, 100), (100,), (100, 1000), (100, 1000))


def draw(rng, level):
    numbers = rng.sample(range(rng.choice(LIMITS[level])), rng.choice(COUNTS[level]))
    return rng.random() < 0.5, tuple(numbers)


def passes(numbers, better):
    """"34 07 91:07 07": the list, then the better of the first two, of that and the third, and so on."""
    n = width(*numbers)
    left, lines = list(numbers), []
    while len(left) > 1:
        best, seen = left[0], []
        for other in left[1:]:
            best = better(best, other)
            seen.append(best)
        lines.append(",".join(pad(v, n) for v in left) + ":" + ",".join(pad(v, n) for v in seen))
        left.remove(best)
    return "\n".join(lines + [pad(left[0], n)])


def write(operands, rng):
    up, numbers = operands
    target = ", ".join(map(str, sorted(numbers, reverse=not up)))
    listed = ", ".join(map(str, numbers))
    return ask(rng, UP if up else DOWN, list=listed), passes(numbers, min if up else max), boxed(target), target


SORT = Task(draw, lambda o: tuple(sorted(o[1])), write)
