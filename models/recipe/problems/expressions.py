"""Small expressions with brackets and precedence: one operation a line, then the expression that is left."""
from .text import Task, ask, boxed

PHRASES = ("What is {e}?", "{e}=", "{e} = ?", "{e}", "Compute {e}.", "Calculate {e}.", "Evaluate {e}.",
           "What is the value of {e}?", "How much is {e}?")
# of a level; never two: "35 * 5" belongs to another task, which holds out other contents
LEAVES = ((3,), (3,), (3, 4), (4, 5))
LARGEST = 199  # so that every single operation is a fact to know by heart
RANK = {"+": 1, "-": 1, "*": 2, "/": 2}


def value(op, a, b):
    """The result of one operation, or None where it is outside of what the model has to know."""
    if op == "+":
        return a + b if a + b <= LARGEST and max(a, b) < 100 else None
    if op == "-":
        return a - b if a >= b and b < 100 else None
    if op == "*":
        return a * b if a * b <= LARGEST and min(a, b) < 10 else None
    return a // b if 0 < b < 10 and a % b == 0 and a // b < 20 else None


def tree(rng, leaves):
    """(op, left, right, value), or a number."""
    if leaves == 1:
        return rng.randint(1, 9) if rng.random() < 0.6 else rng.randint(10, 60)
    split = rng.randint(1, leaves - 1)
    while True:
        op = rng.choice("++--**/")
        left, right = tree(rng, split), tree(rng, leaves - split)
        result = value(op, worth(left), worth(right))
        if result is not None:
            return op, left, right, result


def worth(node):
    return node if isinstance(node, int) else node[3]


def show(node, spaced):
    """With brackets only where they are needed."""
    if isinstance(node, int):
        return str(node)
    op, left, right, _ = node
    a, b = show(left, spaced), show(right, spaced)
    if not isinstance(left, int) and RANK[left[0]] < RANK[op]:
        a = f"({a})"
    if not isinstance(right, int) and (RANK[right[0]] < RANK[op] or op in "-/" and RANK[right[0]] == RANK[op] or
                                       op == "*" and right[0] == "/" or op == "+" and RANK[right[0]] == 1):
        b = f"({b})"
    return f"{a} {op} {b}" if spaced else f"{a}{op}{b}"


def reduce(node):
    """The first operation from the left whose two sides are numbers, as text, and the tree without it."""
    op, left, right, result = node
    if isinstance(left, int) and isinstance(right, int):
        return f"{left}{op}{right}={result}", result
    if not isinstance(left, int):
        done, left = reduce(left)
    else:
        done, right = reduce(right)
    return done, (op, left, right, result)


def steps(node):
    lines = [show(node, False)]
    while True:
        done, node = reduce(node)
        lines.append(done)
        if isinstance(node, int):
            return "\n".join(lines)
        lines.append(show(node, False))


def draw(rng, level):
    return tree(rng, rng.choice(LEAVES[level]))


def write(node, rng):
    target = str(worth(node))
    return ask(rng, PHRASES, e=show(node, rng.random() < 0.6)), steps(node), boxed(target), target


EXPRESSION = Task(draw, lambda node: show(node, False), write)
