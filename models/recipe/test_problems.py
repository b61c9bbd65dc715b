"""Tests of the problems, the rewards and the split: python test_problems.py

The reasoning is checked by reading it back, not by the code that wrote it."""
import random
import re
import unittest
from dataclasses import replace
from unittest import mock

from problems import LEVELS, MIX, TASKS, Problem, any_task, earlier, make, reward, words

SAMPLES = 1500


def samples(task, seed=11, split="train"):
    rng = random.Random(seed)
    return [make(task, rng, split) for _ in range(SAMPLES)]


def integers(text):
    return [int(x) for x in re.findall(r"\d+", text)]


def two(question):
    """The operands of a question; "Subtract b from a" names them the other way round."""
    a, b = integers(question)
    return (b, a) if question.lower().startswith("subtract") else (a, b)


def digits(text):
    """The digits from the right."""
    return [int(d) for d in reversed(text)]


class Reasoning(unittest.TestCase):
    def chain(self, text, a, b):
        pairs = re.findall(r"(\d)([<=>])(\d)", text)
        self.assertEqual(text, ",".join(map("".join, pairs)))
        a, b = a.replace(".", ""), b.replace(".", "")
        for i, (x, sign, y) in enumerate(pairs):
            self.assertEqual((x, y), (a[i], b[i]))
            self.assertEqual(sign, "=" if x == y else "<" if x < y else ">")
            self.assertTrue(sign == "=" or i == len(pairs) - 1)
        self.assertTrue(pairs[-1][1] != "=" or a == b)

    def test_each_column_of_a_sum_is_right(self):
        for p in samples("add"):
            a, b = two(p.question)
            head, *columns, last = p.reasoning.split("\n")
            x, y = head.split("+")
            self.assertEqual((int(x), int(y), len(x)), (a, b, len(y)), p)
            carry, total = 0, 0
            for i, line in enumerate(columns):
                u, v, c, t, d = map(int, re.fullmatch(r"(\d)\+(\d)\+(\d)=(\d)(\d)", line).groups())
                self.assertEqual((u, v, c), (digits(x)[i], digits(y)[i], carry), p)
                self.assertEqual(u + v + c, 10 * t + d, p)
                carry, total = t, total + d * 10**i
            self.assertEqual(len(columns), len(x), p)
            self.assertEqual(int(last[1:]), total + carry * 10 ** len(x), p)
            self.assertEqual(int(p.target), a + b, p)

    def test_each_column_of_a_difference_is_right(self):
        for p in samples("sub"):
            a, b = two(p.question)
            head, order, *columns, last = p.reasoning.split("\n")
            first, compared = head.split(":")
            x, y = first.split("-")
            self.assertEqual((int(x), int(y)), (a, b), p)
            self.chain(compared, x, y)
            x, y = order.split("-")
            self.assertEqual((int(x), int(y)), (max(a, b), min(a, b)), p)
            borrow, total = 0, 0
            for i, line in enumerate(columns):
                u, v, c, d, n = map(int, re.fullmatch(r"(\d)-(\d)-(\d)=(\d)b(\d)", line).groups())
                self.assertEqual((u, v, c), (digits(x)[i], digits(y)[i], borrow), p)
                self.assertEqual(u - v - c, d - 10 * n, p)
                borrow, total = n, total + d * 10**i
            self.assertEqual((len(columns), borrow), (len(x), 0), p)
            self.assertEqual(int(last[1:]), total if a >= b else -total, p)
            self.assertEqual(int(p.target), a - b, p)

    def test_each_row_of_a_product_is_right(self):
        for p in samples("mul"):
            a, b = two(p.question)
            head, *rows, last = p.reasoning.split("\n")
            x, y = head.split("*")
            self.assertEqual(sorted((int(x[::-1]), int(y[::-1]))), sorted((a, b)), p)
            self.assertEqual((len(rows), len(y) <= len(x)), (len(y), True), p)
            done, rest = "", "0" * len(x)
            for q, row in zip(y, rows):
                start, steps = row.split(":")
                self.assertEqual(start, f"{q}*{x}+{rest}", p)
                out, carry = "", 0
                for u, r, step in zip(x, rest, steps.split(","), strict=True):
                    product, s, c, t, d = map(int, re.fullmatch(r"(\d\d)\+(\d)\+(\d)=(\d)(\d)", step).groups())
                    self.assertEqual((product, s, c), (int(u) * int(q), int(r), carry), p)
                    self.assertEqual(product + s + c, 10 * t + d, p)
                    out, carry = out + str(d), t
                done, rest = done + out[0], out[1:] + str(carry)
            self.assertEqual(last, f"={done}{rest}", p)
            self.assertEqual((int(last[:0:-1]), int(p.target)), (a * b, a * b), p)

    def attempt(self, line, now, b):
        """Checks one line of a long division; the digit it settles, or None."""
        head, *parts = line.split(":")
        n, m, q = re.fullmatch(r"(\d+)/(\d+)~(\d)", head).groups()
        self.assertEqual((int(n), int(m), len(n)), (now, b, len(m)), line)
        q, left = int(q), n
        if q:
            products, differences = parts[0], parts[1].split("=")[0]
            steps, product = products.split("=")
            carry = 0
            for d, step in zip(digits(str(b)), steps.split(","), strict=True):
                self.assertEqual(int(step), d * q + carry, line)
                carry = int(step) // 10
            self.assertEqual((int(product), len(product)), (q * b, len(n)), line)
            borrow, left = 0, ""
            for u, v, step in zip(digits(n), digits(product), differences.split(","), strict=True):
                self.assertEqual(u - v - borrow, int(step[1]) - 10 * int(step[0]), line)
                borrow, left = int(step[0]), step[1] + left
            self.assertEqual(bool(borrow), q * b > now, line)
            if borrow:
                self.assertEqual(len(parts), 2, line)
                return None
        self.assertEqual(parts[-2].split("=")[-1], left, line)
        self.chain(parts[-1], left, m)
        return q if int(left) < b else None

    def test_each_step_of_a_division_is_right(self):
        for p in samples("div"):
            a, b = two(p.question)
            *lines, last = p.reasoning.split("\n")
            text, size = str(a), len(str(b))
            taken = min(size, len(text))
            chunks = [text[:taken], *text[taken:]]
            r, out, lines = 0, "", iter(lines)
            for chunk in chunks:
                now = int(str(r) + chunk)
                if b < 10:
                    line = next(lines)
                    n, m, q, left = map(int, re.fullmatch(r"(\d\d)/(\d)=(\d)r(\d)", line).groups())
                    self.assertEqual((n, m, n), (now, b, q * m + left), p)
                else:
                    q = None
                    for _ in range(2):
                        if q is None:
                            q = self.attempt(next(lines), now, b)
                    self.assertIsNotNone(q, p)
                out, r = out + str(q), now - q * b
                self.assertLess(r, b, p)
            self.assertIsNone(next(lines, None), p)
            self.assertEqual(last, f"q={out},r={r}", p)
            self.assertEqual(p.target, f"{a // b} remainder {a % b}" if a % b else str(a // b), p)

    def test_each_comparison_is_right(self):
        for p in samples("compare"):
            named = re.findall(r"\d+(?:\.\d+)?", p.question)
            lines = p.reasoning.split("\n")
            up = re.search(r"larg|great|big|more|>", p.question) is not None
            best = float(named[0])
            for i, line in enumerate(x for x in lines if "?" in x):
                x, y, compared = re.fullmatch(r"([\d.]+)\?([\d.]+):(.*)", line).groups()
                self.assertEqual((float(x), float(y)), (best, float(named[i + 1])), p)
                self.chain(compared, x, y)
                best = max(float(x), float(y)) if up else min(float(x), float(y))
            if re.match("is ", p.question, re.I):
                x, y = map(float, named)
                self.assertEqual(p.target, "yes" if (x > y if up else x < y) else "no", p)
            else:
                self.assertEqual(float(lines[-1][1:]), best, p)
                self.assertEqual(float(p.target), (max if up else min)(map(float, named)), p)
                self.assertIn(p.target, named, p)

    def test_each_line_of_an_expression_keeps_its_value(self):
        for p in samples("expression"):
            asked = re.search(r"[\d(][\d+\-*/() ]*", p.question)[0]
            lines = p.reasoning.split("\n")
            self.assertEqual(asked.replace(" ", ""), lines[0], p)
            want = eval(asked)  # our own text: digits, signs and brackets
            self.assertEqual(want, int(p.target), p)
            for before, done, after in zip(lines[::2], lines[1::2], lines[2::2] + [lines[-1].split("=")[1]]):
                left, result = done.split("=")
                self.assertEqual(eval(left), int(result), p)
                self.assertIn(left, before, p)
                self.assertEqual(eval(after), want, p)

    def test_each_conversion_is_right(self):
        factor = {"h min": 60, "min s": 60, "d h": 24, "weeks d": 7, "km m": 1000, "m cm": 100, "cm mm": 10,
                  "kg g": 1000, "t kg": 1000, "l ml": 1000}
        for p in samples("units"):
            head, *lines = p.reasoning.split("\n")
            large, f, small = re.fullmatch(r"1 (\w+)=(\d+) (\w+)", head).groups()
            self.assertEqual(int(f), factor[f"{large} {small}"], p)
            for line in lines:
                left, result = line.split("=")
                self.assertEqual(eval(left), int(result), p)
            worth = {large: int(f), small: 1}
            total = sum(int(n) * worth[u] for n, u in re.findall(r"(\d+) (\w+)", p.target))
            asked = integers(p.question)
            self.assertTrue(total == asked[0] or total == asked[0] * int(f) + sum(asked[1:]), p)

    def test_each_pass_of_sorting_is_right(self):
        for p in samples("sort"):
            numbers = integers(p.question)
            down = re.search("descending|high to low|largest to", p.question) is not None
            *lines, last = p.reasoning.split("\n")
            left, order = list(numbers), []
            for line in lines:
                now, seen = (integers(x) for x in line.split(":"))
                self.assertEqual(now, left, p)
                best = [(max if down else min)(now[:i]) for i in range(2, len(now) + 1)]
                self.assertEqual(seen, best, p)
                left.remove(seen[-1])
                order.append(seen[-1])
            self.assertEqual(left, [int(last)], p)
            self.assertEqual(order + left, sorted(numbers, reverse=down), p)
            self.assertEqual(integers(p.target), order + left, p)

    def test_each_letter_is_counted(self):
        for p in samples("letters"):
            letter, spelled = p.reasoning.split(":")
            pairs = re.findall(r" ([a-z])(\d)", spelled)
            word = "".join(c for c, _ in pairs)
            self.assertIn(f" {word}", p.question)
            for i, (_, count) in enumerate(pairs):
                self.assertEqual(int(count), word[:i + 1].count(letter), p)
            self.assertEqual(int(p.target), word.count(letter), p)
            self.assertRegex(p.question, rf"\b{letter}\b")

    def test_each_step_of_a_word_problem_is_right(self):
        for p in samples("word"):
            known = set(integers(p.question))
            for line in p.reasoning.split("\n"):
                left, result = line.split("=")
                self.assertEqual(eval(left), int(result), p)
                self.assertLessEqual(set(integers(left)), known, p)
                known.add(int(result))
            self.assertEqual(result, p.target, p)

    def test_steps_of_the_templates_use_every_number(self):
        for _, names, question, steps in words.TEMPLATES:
            for name in names:
                self.assertIn(f"{{{name}}}", question)
                self.assertTrue(any(name in re.split(r"[+\-*/]", s) for s in steps), question)


class Split(unittest.TestCase):
    def contents(self, task, split, seed):
        """The canonical contents of many problems that were made."""
        t, keys, rng = TASKS[task], set(), random.Random(seed)
        spy = replace(t, write=lambda operands, rng: keys.add(t.key(operands)) or t.write(operands, rng))
        with mock.patch.dict(TASKS, {task: spy}):
            for i in range(SAMPLES):
                make(task, rng, split, i % LEVELS)
        return keys

    def test_training_and_held_out_problems_never_meet(self):
        for task in TASKS:
            train, held_out = self.contents(task, "train", 1), self.contents(task, "heldout", 2)
            self.assertFalse(train & held_out, task)
            self.assertGreater(len(held_out), 50, task)

    def test_a_held_out_question_is_no_training_question_of_any_task(self):
        def plain(question):
            return "".join(question.lower().split()).rstrip("?.!=")

        rng = random.Random(4)
        held_out = {plain(make(t, rng, "heldout", i % LEVELS).question): t for t in TASKS for i in range(SAMPLES)}
        for _ in range(20 * SAMPLES):
            p = make(any_task(rng), rng, "train")
            self.assertNotIn(plain(p.question), held_out, p)

    def test_the_same_seed_makes_the_same_problems(self):
        for task in TASKS:
            self.assertEqual(make(task, random.Random(3), "train"), make(task, random.Random(3), "train"))

    def test_earlier_turns_are_questions_and_answers_of_the_split(self):
        rng, seen = random.Random(9), {0: 0, 1: 0, 2: 0}
        with mock.patch("problems.make", side_effect=make) as made:
            for _ in range(SAMPLES):
                turns = earlier(rng, "heldout")
                seen[len(turns)] += 1
                for question, answer in turns:
                    self.assertTrue(question and answer and "</think>" not in answer)
            self.assertEqual({call.args[2] for call in made.call_args_list}, {"heldout"})
        self.assertGreater(seen[0], 2 * seen[1])
        self.assertGreater(seen[1], seen[2])
        self.assertGreater(seen[2], 0)
        self.assertEqual(len(earlier(rng, "train", 2)), 2)

    def test_the_mix_names_every_task(self):
        self.assertEqual(set(MIX), set(TASKS))


class Rewards(unittest.TestCase):
    def test_what_is_right_and_formed(self):
        p = Problem("add", 0, "1+2=", "1+2+0=03", "The answer is \\boxed{3}", "3")
        for text, want in (
                (p.completion, (1, 1)),
                (p.completion + "<｜end▁of▁sentence｜>", (1, 1)),
                ("x\n</think>\n\n\\boxed{ 3 }", (1, 1)),
                ("x\n</think>\n\n\\boxed{4}", (0, 1)),
                ("x\n</think>\n\n\\boxed{3} is it", (1, 0)),
                ("x\n</think>\n\n\\boxed{3}\\boxed{3}", (1, 0)),
                ("\n</think>\n\n\\boxed{3}", (1, 0)),
                ("x\n</think>\n</think>\\boxed{3}", (1, 0)),
                ("\\boxed{3}", (0, 0)),
                ("x</think>3", (0, 0)),
                ("", (0, 0)),
                ("\\boxed{{{{ </think> \\boxed{", (0, 0))):
            self.assertEqual(reward(p, text), want, text)

    def test_each_own_completion_earns_everything(self):
        for task in TASKS:
            for p in samples(task, split="heldout")[:200]:
                self.assertEqual(reward(p, p.completion), (1, 1), p)


if __name__ == "__main__":
    unittest.main()
