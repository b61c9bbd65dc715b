"""Sums, differences and products, column by column from the right, so that each step is one small fact."""
from .text import Task, ask, boxed, chain, number, pad, width

# (digits of the longer, digits of the shorter) operand that a level draws from
SIZES = (((1, 1), (2, 1)), ((2, 2), (3, 1), (3, 2)), ((3, 3), (4, 1), (4, 2)), ((4, 3), (4, 4)))
MUL_SIZES = (((1, 1), (2, 1)), ((2, 2), (3, 1), (4, 1)), ((3, 2), (4, 2), (3, 3)), ((4, 3), (4, 4)))


def pair(rng, sizes):
    a, b = (number(rng, n) for n in rng.choice(sizes))
    return (a, b) if rng.random() < 0.5 else (b, a)


# ---- addition

ADD_PHRASES = ("What is {a} + {b}?", "{a}+{b}=", "{a} + {b} = ?", "{a} + {b}", "Compute {a} + {b}.", "Add {a} and {b}.",
               "What is {a} plus {b}?", "Calculate {a} plus {b}.", "How much is {a} plus {b}?",
               "What is the sum of {a} and {b}?")


def add_columns(a, b):
    """"4837+0965", then for each column digit+digit+carry=two digits, then the digits from the left."""
    n = width(a, b)
    x, y = pad(a, n), pad(b, n)
    lines, carry = [f"{x}+{y}"], 0
    for p, q in zip(reversed(x), reversed(y)):
        s = int(p) + int(q) + carry
        lines.append(f"{p}+{q}+{carry}={s:02d}")
        carry = s // 10
    return "\n".join(lines + [f"={pad(a + b, n + 1)}"])


def write_add(ab, rng):
    a, b = ab
    return ask(rng, ADD_PHRASES, a=a, b=b), add_columns(a, b), boxed(a + b), str(a + b)


# ---- subtraction

SUB_PHRASES = ("What is {a} - {b}?", "{a}-{b}=", "{a} - {b} = ?", "{a} - {b}", "Compute {a} - {b}.",
               "What is {a} minus {b}?", "Calculate {a} minus {b}.", "How much is {a} minus {b}?",
               "Subtract {b} from {a}.", "What is the difference {a} - {b}?")


def sub_columns(a, b):
    """Compares first and writes the larger above; then digit-digit-borrow=digit and b with the new borrow."""
    n = width(a, b)
    x, y = pad(a, n), pad(b, n)
    lines = [f"{x}-{y}:{chain(x, y)}"]
    sign = "-" if a < b else ""
    if sign:
        x, y = y, x
    lines.append(f"{x}-{y}")
    borrow = 0
    for p, q in zip(reversed(x), reversed(y)):
        d = int(p) - int(q) - borrow
        lines.append(f"{p}-{q}-{borrow}={d % 10}b{int(d < 0)}")
        borrow = int(d < 0)
    return "\n".join(lines + [f"={sign}{pad(abs(a - b), n)}"])


def write_sub(ab, rng):
    a, b = ab
    return ask(rng, SUB_PHRASES, a=a, b=b), sub_columns(a, b), boxed(a - b), str(a - b)


# ---- multiplication

MUL_PHRASES = ("What is {a} * {b}?", "{a}*{b}=", "{a} x {b} = ?", "{a} × {b}", "Compute {a} * {b}.",
               "What is {a} times {b}?", "Calculate {a} times {b}.", "How much is {a} times {b}?", "Multiply {a} by {b}.",
               "What is the product of {a} and {b}?")


def mul_rows(a, b):
    """All digits from the right. A row for each digit of the shorter factor names that digit, the longer factor and
    the sum so far; its steps are product+sum digit+carry=two digits. The first digit of a row is final; the others
    and the last carry are the sum so far of the next row."""
    if width(a) < width(b):
        a, b = b, a
    x, y = str(a)[::-1], str(b)[::-1]
    lines, done, rest = [f"{x}*{y}"], "", "0" * len(x)
    for q in y:
        steps, digits, carry = [], "", 0
        for p, r in zip(x, rest):
            s = int(p) * int(q) + int(r) + carry
            steps.append(f"{int(p) * int(q):02d}+{r}+{carry}={s:02d}")
            digits += str(s % 10)
            carry = s // 10
        lines.append(f"{q}*{x}+{rest}:" + ",".join(steps))
        done += digits[0]
        rest = digits[1:] + str(carry)
    return "\n".join(lines + [f"={done}{rest}"])


def write_mul(ab, rng):
    a, b = ab
    return ask(rng, MUL_PHRASES, a=a, b=b), mul_rows(a, b), boxed(a * b), str(a * b)


def either_order(ab):
    return tuple(sorted(ab))


ADD = Task(lambda rng, level: pair(rng, SIZES[level]), either_order, write_add)
SUB = Task(lambda rng, level: pair(rng, SIZES[level]), tuple, write_sub)
MUL = Task(lambda rng, level: pair(rng, MUL_SIZES[level]), either_order, write_mul)
