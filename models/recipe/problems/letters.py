"""Counting a letter in a word: spell it, with the count so far behind each letter."""
from pathlib import Path

from .text import Task, ask, boxed

WORDS = tuple(sorted(Path(__file__).with_name("wordlist.txt").read_text().split(), key=lambda w: (len(w), w)))
PHRASES = ("How many times does {c} occur in {w}?", "How many {c}'s are in {w}?", "How often does {c} appear in {w}?",
           "Count the letter {c} in {w}.", "How many times is the letter {c} in the word {w}?",
           "How many letters {c} are in the word {w}?")


def draw(rng, level):
    quarter = len(WORDS) // 4
    word = WORDS[level * quarter + rng.randrange(quarter)]
    letter = rng.choice(word) if rng.random() < 0.85 else rng.choice("abcdefghijklmnopqrstuvwxyz")
    return letter, word


def write(operands, rng):
    letter, word = operands
    count, spelled = 0, []
    for c in word:
        count += c == letter
        spelled.append(f" {c}{count}")
    return ask(rng, PHRASES, c=letter, w=word), f"{letter}:{''.join(spelled)}", boxed(count), str(count)


LETTERS = Task(draw, tuple, write)
