"""Division with remainder. A divisor of one digit is read off a table; a longer one is estimated, multiplied,
subtracted and compared, and a wrong estimate is seen and corrected: some are wrong on purpose."""
from .text import Task, ask, boxed, chain, number, pad

PHRASES = ("What is {a} / {b}?", "{a}/{b}=", "{a} / {b} = ?", "{a} ÷ {b}", "Compute {a} / {b}.",
           "What is {a} divided by {b}?", "Calculate {a} divided by {b}.", "How much is {a} divided by {b}?",
           "Divide {a} by {b}.", "What are the quotient and remainder of {a} divided by {b}?")
# (digits of the dividend, digits of the divisor) that a level draws from
SIZES = (((1, 1), (2, 1)), ((3, 1), (2, 2), (1, 2)), ((4, 1), (3, 2), (3, 3)), ((4, 2), (4, 3), (4, 4), (3, 4), (4, 2)))
WRONG_ESTIMATES = 0.12


def draw(rng, level):
    n, m = rng.choice(SIZES[level])
    a, b = number(rng, n), max(1, number(rng, m))
    if rng.random() < 0.25:
        a -= a % b
    return a, b


def short_steps(a, b):
    """"48/7=6r6" for each digit: the last remainder and the next digit, divided."""
    steps, r = [], 0
    for d in str(a):
        now = 10 * r + int(d)
        r = now % b
        steps.append(f"{now:02d}/{b}={now // b}r{r}")
    return steps


def attempt(now, b, q, n):
    """One line: now/b~q : q times the digits of b with carries from the right = product : now - product from the
    right, borrow before digit = difference : compared with b. Stops at a borrow, which says that q is too high."""
    head = f"{pad(now, n)}/{pad(b, n)}~{q}:"
    if q:
        carry, products = 0, []
        for d in reversed(str(b)):
            s = int(d) * q + carry
            products.append(f"{s:02d}")
            carry = s // 10
        borrow, differences = 0, []
        for x, y in zip(reversed(pad(now, n)), reversed(pad(q * b, n))):
            d = int(x) - int(y) - borrow
            borrow = int(d < 0)
            differences.append(f"{borrow}{d % 10}")
        head += f"{','.join(products)}={pad(q * b, n)}:{','.join(differences)}"
    if q * b > now:
        return head
    r = pad(now - q * b, n)
    return f"{head}={r}:{chain(r, pad(b, n))}"


def long_steps(a, b, rng):
    m, digits = len(str(b)), str(a)
    starts = min(m, len(digits))
    r, n, steps = 0, m + 1, []
    for chunk in (digits[:starts], *digits[starts:]):
        now = int(f"{r}{chunk}")
        q = now // b
        guess = q
        if rng.random() < WRONG_ESTIMATES:
            guess = min(9, max(0, q + rng.choice((-1, 1))))
        if guess != q:
            steps.append(attempt(now, b, guess, n))
        steps.append(attempt(now, b, q, n))
        r = now % b
    return steps


def write(ab, rng):
    a, b = ab
    q, r = divmod(a, b)
    steps = short_steps(a, b) if b < 10 else long_steps(a, b, rng)
    places = max(1, len(str(a)) - len(str(b)) + 1)
    steps.append(f"q={pad(q, places)},r={r}")
    target = f"{q} remainder {r}" if r else str(q)
    return ask(rng, PHRASES, a=a, b=b), "\n".join(steps), boxed(target), target


DIV = Task(draw, tuple, write)
