"""R1's prompt as ids, the same that `fathom run` and `fathom chat` feed: begin, earlier turns, user, question, assistant, think,
line end."""
from pathlib import Path

from tokenizers import Tokenizer

from tokenizer import ASSISTANT, BOS, EOS, PAD, THINK, USER


class Prompts:
    def __init__(self, folder):
        self.tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self.bos, self.user, self.assistant, think, self.eos, self.pad = map(
            self.tokenizer.token_to_id, (BOS, USER, ASSISTANT, THINK, EOS, PAD))
        self.think = [think, *self.encode("\n")]

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def prompt(self, question, earlier=()):
        """What the model is given; of earlier turns, (question, answer) each, it sees the answers without reasoning."""
        ids = [self.bos]
        for asked, answer in earlier:
            ids += [self.user, *self.encode(asked), self.assistant, *self.encode(answer), self.eos]
        return [*ids, self.user, *self.encode(question), self.assistant, *self.think]

    def completion(self, problem):
        """What the model is to write: reasoning, </think>, answer, end."""
        return [*self.encode(problem.completion), self.eos]

    def text(self, ids):
        """What the model wrote, up to the end of sentence, for `problems.reward`."""
        ids = list(ids)
        if self.eos in ids:
            ids = ids[:ids.index(self.eos)]
        return self.tokenizer.decode(ids, skip_special_tokens=False)
