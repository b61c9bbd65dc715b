"""Writes facts.jsonl and last_word.jsonl: questions of our own making, for comparing two ways to compute one model. Their difficulty does not matter; that
there are many, and that a small model is unsure of some, does."""

import json
import random

CAPITALS = """France Paris|Germany Berlin|Italy Rome|Spain Madrid|Portugal Lisbon|Austria Vienna|Poland Warsaw|Greece Athens|Norway Oslo|Sweden Stockholm
Denmark Copenhagen|Finland Helsinki|Hungary Budapest|Ireland Dublin|Russia Moscow|Egypt Cairo|Kenya Nairobi|Japan Tokyo|China Beijing|India Delhi
Thailand Bangkok|Vietnam Hanoi|Cuba Havana|Peru Lima|Canada Ottawa|Turkey Ankara|Iran Tehran|Iraq Baghdad|Chile Santiago|Nepal Kathmandu"""
SOUNDS = "dog barks|cat meows|cow moos|duck quacks|sheep bleats|horse neighs|lion roars|bee buzzes|snake hisses|owl hoots|pig grunts|wolf howls"
YOUNG = "dog puppy|cat kitten|cow calf|horse foal|sheep lamb|pig piglet|goose gosling|bear cub|hen chick|goat kid|deer fawn|swan cygnet"
COLOURS = "grass green|snow white|coal black|blood red|the sky blue|a banana yellow|chocolate brown|an elephant grey|a carrot orange|milk white"
OPPOSITES = """hot cold|big small|fast slow|light dark|high low|old new|early late|rich poor|hard soft|open closed|full empty|strong weak|wet dry|loud quiet
thick thin|near far|clean dirty|happy sad|long short|sweet sour|true false|first last|heavy light|wide narrow"""
MATERIALS = "window glass|book paper|coin metal|shirt cotton|tyre rubber|candle wax|bread flour|wine grapes|cheese milk|table wood|brick clay|butter cream"
TEMPLATES = [
    ("The capital of {} is", CAPITALS),
    ("The sound of an animal: the {}", SOUNDS),
    ("A young {} is called a", YOUNG),
    ("The colour of {} is", COLOURS),
    ("The opposite of {} is", OPPOSITES),
    ("It is not {}. It is", OPPOSITES),
    ("A {} is made of", MATERIALS),
]
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
NAMES = "Anna Ben Clara David Emma Frank Grace Henry Irene Jack Kate Leo Mary Nina Oscar Paul".split()
DRINKS = "tea coffee milk water juice wine beer lemonade".split()
PLACES = "garden kitchen library office station market church museum".split()
THINGS = "ball book lamp knife hat letter key basket".split()


def pairs(text):
    return [p.rsplit(" ", 1) for line in text.split("\n") for p in line.split("|")]


def facts(rng):
    for form, text in TEMPLATES:
        known = pairs(text)
        for name, right in known:
            others = sorted({p[1] for p in known} - {right})
            choices = rng.sample(others, 3) + [right]
            rng.shuffle(choices)
            yield {"text": form.format(name), "choices": choices, "answer": choices.index(right)}
    for names, what in ((MONTHS, "month"), (DAYS, "day")):
        for i, name in enumerate(names):
            right = names[(i + 1) % len(names)]
            choices = rng.sample([n for n in names if n not in (right, name)], 3) + [right]
            rng.shuffle(choices)
            yield {"text": f"The {what} after {name} is", "choices": choices, "answer": choices.index(right)}


def last_words(rng):
    for _ in range(50):
        (a, b), (x, y) = rng.sample(NAMES, 2), rng.sample(DRINKS, 2)
        who, what = rng.choice([(a, x), (b, y)])
        yield f"{a} drinks {x} and {b} drinks {y}. In the evening {who} is thirsty and asks for a glass of", what
    for _ in range(50):
        (a, b), (x, y) = rng.sample(NAMES, 2), rng.sample(PLACES, 2)
        who, where = rng.choice([(a, x), (b, y)])
        yield f"{a} went to the {x} while {b} stayed in the {y}. An hour later we looked for {who} and went to the", where
    for _ in range(50):
        a, (x, y, z) = rng.choice(NAMES), rng.sample(THINGS, 3)
        lost = rng.choice([x, y, z])
        rest = [t for t in (x, y, z) if t != lost]
        yield f"{a} packed a {x}, a {y} and a {z}. When the bag was opened, the {rest[0]} and the {rest[1]} were there. What was missing was the", lost


def write(name, rows):
    seen = {json.dumps(r, ensure_ascii=False): None for r in rows}
    with open(name, "w") as f:
        f.writelines(r + "\n" for r in seen)
    print(name, len(seen))


if __name__ == "__main__":
    write("facts.jsonl", facts(random.Random(1)))
    write("last_word.jsonl", ({"text": t, "word": w} for t, w in last_words(random.Random(2))))
