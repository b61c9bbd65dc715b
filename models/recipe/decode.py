"""Batched decoding with a key/value cache, for evaluation and for rollouts."""
import torch

from model import Layout, attend


class LayerCache:
    """Keys and values of one layer, [sequences, heads, positions, width]."""

    def __init__(self, owner):
        self.owner, self.k, self.v = owner, None, None

    def attend(self, q, k, v):
        o = self.owner
        if self.k is None:
            self.k, self.v = (t.new_zeros(o.sequences, t.shape[1], o.length, t.shape[2]) for t in (k, v))
        self.k[o.rows, :, o.positions] = k
        self.v[o.rows, :, o.positions] = v
        if o.layout:
            return attend(q, k, v, o.layout)
        seen = int(o.positions.max()) + 1
        scores = q.unsqueeze(2) @ self.k[:, :, :seen].mT * q.shape[-1]**-0.5
        future = torch.arange(seen) > o.positions[:, None, None, None]
        return (scores.masked_fill(future, -torch.inf).softmax(-1) @ self.v[:, :, :seen]).squeeze(2)

    def keep(self, which):
        self.k, self.v = self.k[which], self.v[which]


class Caches:
    """The caches of all layers, and where the rows of this step belong."""

    def __init__(self, model, lengths, room):
        self.sequences, self.length = len(lengths), max(lengths) + room
        self.layout = Layout(lengths)
        self.rows = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
        self.positions = self.layout.positions
        self.layers = [LayerCache(self) for _ in model.layers]

    def decode(self, positions):
        self.layout, self.rows, self.positions = None, torch.arange(len(positions)), positions

    def keep(self, which):
        self.sequences = len(which)
        for layer in self.layers:
            layer.keep(which)


@torch.no_grad()
def generate(model, prompts, eos, room, temperature=0.0, generator=None):
    """What the model writes after each prompt (ids, ending in eos unless room ran out)."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    lengths = [len(prompts[i]) for i in order]
    caches = Caches(model, lengths, room)
    states = model(torch.tensor([t for i in order for t in prompts[i]]), caches.layout, caches)
    states = states[caches.layout.last]
    positions, written = torch.tensor(lengths), [[] for _ in prompts]
    for _ in range(room):
        logits = model.lm_head(states).float()
        if temperature:
            tokens = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator).squeeze(1)
        else:
            tokens = logits.argmax(-1)
        for i, token in zip(order, tokens.tolist()):
            written[i].append(token)
        going = (tokens != eos).nonzero().squeeze(1)
        if not len(going):
            break
        if len(going) < 0.8 * len(tokens):
            order = [order[j] for j in going.tolist()]
            tokens, positions = tokens[going], positions[going]
            caches.keep(going)
        caches.decode(positions)
        states = model(tokens, None, caches)
        positions = positions + 1
    return [w[:w.index(eos) + 1] if eos in w else w for w in written]


class Frozen:
    """A model whose weights are already rounded, so that decoding need not round them again at each step."""

    def __init__(self, model):
        self.model = model

    def __enter__(self):
        n = self.model.numerics
        self.saved = [(p, p.data) for p in self.model.parameters() if p.ndim > 1]
        for name, p in self.model.named_parameters():
            if p.ndim > 1 and "embed_tokens" not in name and "gate.weight" not in name:
                exact = "lm_head" in name or "eh_proj" in name
                p.data = (p.data if exact else n.weight(p.data)).to(n.dtype)
        n.frozen = True
        return self.model

    def __exit__(self, *_):
        for p, data in self.saved:
            p.data = data
        self.model.numerics.frozen = False
