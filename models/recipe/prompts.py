"""R1's prompt as ids, the same that `fathom run` feeds: begin, user, question, assistant, think, line end."""
from pathlib import Path

from tokenizers import Tokenizer

from tokenizer import ASSISTANT, BOS, EOS, PAD, THINK, USER


class Prompts:
    def __init__(self, folder):
        self.tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        bos, user, assistant, think, self.eos, self.pad = map(
            self.tokenizer.token_to_id, (BOS, USER, ASSISTANT, THINK, EOS, PAD))
        self.before = [bos, user]
        self.after = [assistant, think, *self.encode("\n")]

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def prompt(self, question):
        """What the model is given."""
        return [*self.before, *self.encode(question), *self.after]

    def completion(self, problem):
        """What the model is to write: reasoning, </think>, answer, end."""
        return [*self.encode(problem.completion), self.eos]

    def text(self, ids):
        """What the model wrote, up to the end of sentence, for `problems.reward`."""
        ids = list(ids)
        if self.eos in ids:
            ids = ids[:ids.index(self.eos)]
        return self.tokenizer.decode(ids, skip_special_tokens=False)
