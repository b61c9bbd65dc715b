"""Tests of the tokenizer and the prompt: python test_tokenizer.py

BUILD (default ../../build) may hold the program `fathom`, whose ids are then compared."""
import json
import os
import random
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import tokenizer
from problems import any_task, earlier, make
from prompts import Prompts

FATHOM = Path(os.environ.get("BUILD", Path(__file__).parents[2] / "build")) / "fathom"


class Ids(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        tokenizer.write(cls.folder.name, samples=8000)
        cls.prompts = Prompts(cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def mixed(self, count):
        rng = random.Random(17)
        return [make(any_task(rng), rng, rng.choice(("train", "heldout"))) for _ in range(count)]

    def test_text_comes_back(self):
        for text in [p.completion for p in self.mixed(500)] + ["ä 多轮 \x00\x7f\n\n 12  34", "<b>"]:
            self.assertEqual(self.prompts.text(self.prompts.encode(text)), text)
        p = self.mixed(1)[0]
        self.assertEqual(self.prompts.text(self.prompts.completion(p)), p.completion)

    def test_a_digit_is_a_token_of_its_own(self):
        vocabulary = self.prompts.tokenizer.get_vocab()
        self.assertEqual({t for t in vocabulary if re.search(r"\d", t)}, set("0123456789"))
        self.assertLessEqual(len(vocabulary), tokenizer.VOCABULARY)

    def test_signs_of_the_reasoning_are_single_tokens(self):
        for text in ("+", "-", "*", "/", "=", ",", ":", "~", "?", "<", ">", "\n", "\n\n", " \\boxed{", "}", "</think>"):
            self.assertEqual(len(self.prompts.encode(text)), 1, text)

    def test_nothing_is_too_long(self):
        longest = {}
        for p in self.mixed(5000):
            n = len(self.prompts.prompt(p.question)) + len(self.prompts.completion(p))
            longest[p.task] = max(n, longest.get(p.task, 0))
        self.assertLessEqual(max(longest.values()), 400, longest)

    @unittest.skipUnless(FATHOM.exists(), f"{FATHOM} is not built")
    def test_fathom_sees_the_same_ids(self):
        problems = self.mixed(2000)
        texts, want = [], []
        for p in problems:
            start = f"{tokenizer.BOS}{tokenizer.USER}{p.question}{tokenizer.ASSISTANT}{tokenizer.THINK}\n"
            texts.append(json.dumps(start + p.completion + tokenizer.EOS))
            want.append(self.prompts.prompt(p.question) + self.prompts.completion(p))
        got = self.fathom("tokenize", "--batch", text="\n".join(texts) + "\n").splitlines()
        self.assertEqual([json.loads(line) for line in got], want)

    @unittest.skipUnless(FATHOM.exists(), f"{FATHOM} is not built")
    def test_fathom_renders_the_same_prompt(self):
        message = json.dumps([{"role": "user", "content": "What is 12 + 7?"}])
        text = self.fathom("render", "--messages", "-", text=message)
        ids = self.prompts.tokenizer.encode(text, add_special_tokens=False).ids
        self.assertEqual(ids, self.prompts.prompt("What is 12 + 7?"))

    @unittest.skipUnless(FATHOM.exists(), f"{FATHOM} is not built")
    def test_fathom_renders_the_same_conversation(self):
        rng = random.Random(5)
        for turns in (1, 2):
            said = earlier(rng, "train", turns)
            messages = [{"role": r, "content": t} for turn in said for r, t in zip(("user", "assistant"), turn)]
            text = self.fathom("render", "--messages", "-", text=json.dumps(messages + [{"role": "user", "content": "hi"}]))
            ids = self.prompts.tokenizer.encode(text, add_special_tokens=False).ids
            self.assertEqual(ids, self.prompts.prompt("hi", said))

    def fathom(self, command, *options, text):
        done = subprocess.run([FATHOM, command, "--model", self.folder.name, *options], input=text,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


if __name__ == "__main__":
    unittest.main()
