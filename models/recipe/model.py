"""DeepSeek-V3 in torch, shaped for training a small one on a CPU.

The tokens of a batch lie one after another, without padding; only attention sees padded groups of sequences
(`Layout`). Matrices are kept in FP32 and multiplied in BF16 (`dtype`); norms, softmax and the router stay in FP32.
Names follow the release, so that export.py only has to copy.
"""
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

import fp8


@dataclass
class Config:
    vocab: int = 1152
    hidden: int = 256
    layers: int = 4
    dense_layers: int = 1
    inner: int = 512  # of the dense layers
    heads: int = 8
    q_rank: int = 128
    kv_rank: int = 128
    nope: int = 16
    rope: int = 16
    value: int = 32
    experts: int = 32
    expert_inner: int = 64
    chosen: int = 4
    groups: int = 4
    chosen_groups: int = 2
    scaling: float = 1.5  # routed_scaling_factor
    context: int = 1024
    theta: float = 10000.0
    eps: float = 1e-6

    def dict(self):
        return asdict(self)


class Layout:
    """Where the sequences of a batch lie: `groups` of neighbours, each padded to its longest for attention."""

    def __init__(self, lengths, group=16):
        self.positions = torch.cat([torch.arange(n) for n in lengths])
        self.last = torch.tensor(lengths).cumsum(0) - 1
        self.groups, first = [], 0
        for i in range(0, len(lengths), group):
            part = lengths[i:i + group]
            longest = -(-max(part) // 16) * 16  # few different shapes: each new one costs a kernel's compilation
            rows = torch.cat([torch.arange(n) + j * longest for j, n in enumerate(part)])
            mask = torch.full((longest, longest), -1e9).triu(1)
            total = sum(part)
            self.groups.append((first, total, len(part), longest, rows, mask))
            first += total


class Dispatch(torch.autograd.Function):
    """Copies each row to the slots of its chosen experts; slots that stay free hold a row that nobody reads."""

    @staticmethod
    def forward(ctx, x, row_at, slot_of, chosen):
        ctx.save_for_backward(slot_of)
        ctx.chosen = chosen
        return x.index_select(0, row_at)

    @staticmethod
    def backward(ctx, dy):
        slot_of, = ctx.saved_tensors
        return dy.index_select(0, slot_of).unflatten(0, (-1, ctx.chosen)).sum(1), None, None, None


class Scatter(torch.autograd.Function):
    """Puts packed rows into a padded group."""

    @staticmethod
    def forward(ctx, x, rows, total):
        ctx.save_for_backward(rows)
        return x.new_zeros(total, *x.shape[1:]).index_copy_(0, rows, x)

    @staticmethod
    def backward(ctx, dy):
        return dy.index_select(0, ctx.saved_tensors[0]), None, None


class Gather(torch.autograd.Function):
    """Takes the packed rows out of a padded group."""

    @staticmethod
    def forward(ctx, x, rows):
        ctx.save_for_backward(rows)
        ctx.total = x.shape[0]
        return x.index_select(0, rows)

    @staticmethod
    def backward(ctx, dy):
        rows, = ctx.saved_tensors
        return dy.new_zeros(ctx.total, *dy.shape[1:]).index_copy_(0, rows, dy), None


class Numerics:
    """How matrices multiply: in which type, and whether through FP8."""

    def __init__(self):
        self.dtype = torch.bfloat16
        self.fp8 = False
        self.frozen = False  # weights are rounded already (decode.Frozen)

    def weight(self, w):
        if self.frozen:
            return w
        return (fp8.weight(w) if self.fp8 else w).to(self.dtype)

    def input(self, x):
        return (fp8.activation(x) if self.fp8 else x).to(self.dtype)


class Linear(nn.Module):
    """A matrix that the release keeps in FP8 (`quantised`) or in BF16. kv_b's input is never quantised."""

    def __init__(self, numerics, inputs, outputs, quantised=True, exact_input=False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * inputs**-0.5 * 0.7)
        self.numerics, self.quantised, self.exact_input = numerics, quantised, exact_input

    def forward(self, x):
        n = self.numerics
        w = n.weight(self.weight) if self.quantised else self.weight.to(n.dtype)
        x = n.input(x) if self.quantised and not self.exact_input else x.to(n.dtype)
        return F.linear(x, w)


class Norm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n))
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x.float(), self.weight.shape, self.weight, self.eps)


def rotate(x, cos, sin):
    """Rotary positions over neighbouring pairs, as the release stores them; x is [rows, heads, rope]."""
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, c, numerics):
        super().__init__()
        self.c = c
        self.q_a_proj = Linear(numerics, c.hidden, c.q_rank)
        self.q_a_layernorm = Norm(c.q_rank, c.eps)
        self.q_b_proj = Linear(numerics, c.q_rank, c.heads * (c.nope + c.rope))
        self.kv_a_proj_with_mqa = Linear(numerics, c.hidden, c.kv_rank + c.rope)
        self.kv_a_layernorm = Norm(c.kv_rank, c.eps)
        self.kv_b_proj = Linear(numerics, c.kv_rank, c.heads * (c.nope + c.value), exact_input=True)
        self.o_proj = Linear(numerics, c.heads * c.value, c.hidden)

    def forward(self, x, layout, rope, cache):
        c = self.c
        cos, sin = rope
        q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x))).unflatten(-1, (c.heads, -1))
        q = torch.cat((q[..., :c.nope], rotate(q[..., c.nope:], cos, sin)), -1)
        latent = self.kv_a_proj_with_mqa(x)
        shared = rotate(latent[:, None, c.kv_rank:], cos, sin).expand(-1, c.heads, -1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent[:, :c.kv_rank])).unflatten(-1, (c.heads, -1))
        k = torch.cat((kv[..., :c.nope], shared), -1)
        v = kv[..., c.nope:]
        out = cache.attend(q, k, v) if cache else attend(q, k, v, layout)
        return self.o_proj(out.flatten(1))


def attend(q, k, v, layout):
    """Causal attention, group by group."""
    outs = []
    for first, n, sequences, longest, rows, mask in layout.groups:
        part = slice(first, first + n)
        padded = [Scatter.apply(t[part], rows, sequences * longest).unflatten(0, (sequences, longest)).transpose(1, 2)
                  .flatten(0, 1) for t in (q, k, v)]
        o = attention(*padded, mask).unflatten(0, (sequences, -1)).transpose(1, 2).flatten(0, 1)
        outs.append(Gather.apply(o, rows))
    return torch.cat(outs)


def attention(q, k, v, mask):
    """Plain, of [batch * heads, rows, width]: on a CPU its gradient is twice as fast as the fused one's."""
    scores = torch.baddbmm(mask.to(q.dtype), q, k.mT, alpha=q.shape[-1]**-0.5)
    return torch.bmm(scores.softmax(-1), v)


class Mlp(nn.Module):
    def __init__(self, numerics, hidden, inner):
        super().__init__()
        self.gate_proj = Linear(numerics, hidden, inner)
        self.up_proj = Linear(numerics, hidden, inner)
        self.down_proj = Linear(numerics, inner, hidden)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Gate(nn.Module):
    """noaux_tc: the bias moves what is chosen, never how much it weighs. `load` counts since it was last cleared."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        self.weight = nn.Parameter(torch.randn(c.experts, c.hidden) * c.hidden**-0.5)
        self.register_buffer("e_score_correction_bias", torch.zeros(c.experts))
        self.register_buffer("load", torch.zeros(c.experts), persistent=False)

    def forward(self, x):
        c = self.c
        scores = F.linear(x, self.weight).sigmoid()
        with torch.no_grad():
            biased = scores + self.e_score_correction_bias
            grouped = biased.unflatten(-1, (c.groups, -1))
            best = grouped.topk(2, -1).values.sum(-1).topk(c.chosen_groups, -1).indices
            kept = torch.zeros(len(x), c.groups, dtype=torch.bool).scatter_(1, best, True)
            biased = grouped.masked_fill(~kept[..., None], -torch.inf).flatten(1)
            experts = biased.topk(c.chosen, -1).indices
            self.load += torch.bincount(experts.flatten(), minlength=c.experts)
        weights = scores.gather(1, experts)
        return experts, weights / (weights.sum(-1, keepdim=True) + 1e-20) * c.scaling

    @torch.no_grad()
    def rebalance(self, speed):
        """Moves the bias against the load of the batches since the last call."""
        self.e_score_correction_bias += speed * (self.load.mean() - self.load).sign()
        self.load.zero_()


class Experts(nn.Module):
    """The matrices of all routed experts in two stacks: gate and up together, and down."""

    def __init__(self, c, numerics):
        super().__init__()
        self.numerics = numerics
        self.gate_up = nn.Parameter(torch.randn(c.experts, 2, c.expert_inner, c.hidden) * c.hidden**-0.5 * 0.7)
        self.down = nn.Parameter(torch.randn(c.experts, c.hidden, c.expert_inner) * c.expert_inner**-0.5 * 0.7)

    def forward(self, x):
        """[experts, slots, hidden] to the same."""
        n = self.numerics
        gate, up = torch.bmm(x, n.weight(self.gate_up).flatten(1, 2).mT).chunk(2, -1)
        return torch.bmm(n.input(F.silu(gate) * up), n.weight(self.down).mT)


def slots(experts, total):
    """Room for the rows of each expert: which row lies at each slot, the slot of each (row, choice), and the slots of
    an expert, rounded up so that few different shapes occur."""
    flat = experts.flatten()
    counts = torch.bincount(flat, minlength=total)
    step = 64 if len(flat) > 4096 else 8
    room = -(-int(counts.max()) // step) * step
    order = flat.argsort(stable=True)
    sorted_experts = flat[order]
    place = sorted_experts * room + torch.arange(len(flat)) - (counts.cumsum(0) - counts)[sorted_experts]
    slot_of = torch.empty_like(order).index_copy_(0, order, place)
    row_at = torch.zeros(total * room, dtype=torch.long).index_copy_(0, place, order // experts.shape[1])
    return row_at, slot_of, room


class Moe(nn.Module):
    def __init__(self, c, numerics):
        super().__init__()
        self.numerics = numerics
        self.gate = Gate(c)
        self.experts = Experts(c, numerics)
        self.shared_experts = Mlp(numerics, c.hidden, c.expert_inner)

    def forward(self, x):
        experts, weights = self.gate(x)
        chosen = experts.shape[1]
        row_at, slot_of, room = slots(experts, self.gate.c.experts)
        y = Dispatch.apply(self.numerics.input(x), row_at, slot_of, chosen).unflatten(0, (-1, room))
        y = Gather.apply(self.experts(y).flatten(0, 1), slot_of).unflatten(0, (-1, chosen))
        routed = torch.bmm(weights.to(y.dtype).unsqueeze(1), y).squeeze(1)
        return routed + self.shared_experts(x)


class Block(nn.Module):
    def __init__(self, c, numerics, dense):
        super().__init__()
        self.input_layernorm = Norm(c.hidden, c.eps)
        self.self_attn = Attention(c, numerics)
        self.post_attention_layernorm = Norm(c.hidden, c.eps)
        self.mlp = Mlp(numerics, c.hidden, c.inner) if dense else Moe(c, numerics)

    def forward(self, x, layout, rope, cache=None):
        x = x + self.self_attn(self.input_layernorm(x), layout, rope, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Mtp(nn.Module):
    """One more layer: from a row's state and the token that follows it to the token after that."""

    def __init__(self, c, numerics):
        super().__init__()
        self.enorm = Norm(c.hidden, c.eps)
        self.hnorm = Norm(c.hidden, c.eps)
        self.eh_proj = Linear(numerics, 2 * c.hidden, c.hidden, quantised=False)
        self.block = Block(c, numerics, dense=False)
        self.norm = Norm(c.hidden, c.eps)

    def forward(self, state, following, layout, rope):
        joined = torch.cat((self.enorm(following), self.hnorm(state)), -1)
        return self.norm(self.block(self.eh_proj(joined).float(), layout, rope))


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.numerics = Numerics()
        self.embed_tokens = nn.Embedding(c.vocab, c.hidden)
        nn.init.normal_(self.embed_tokens.weight, std=0.5)
        self.layers = nn.ModuleList(Block(c, self.numerics, i < c.dense_layers) for i in range(c.layers))
        self.norm = Norm(c.hidden, c.eps)
        self.lm_head = Linear(self.numerics, c.hidden, c.vocab, quantised=False)
        self.mtp = Mtp(c, self.numerics)
        angles = torch.arange(c.context).double()[:, None] * c.theta ** (-torch.arange(0, c.rope, 2).double() / c.rope)
        self.register_buffer("cos", angles.cos().float()[:, None], persistent=False)
        self.register_buffer("sin", angles.sin().float()[:, None], persistent=False)

    def rope(self, positions):
        return self.cos[positions], self.sin[positions]

    def forward(self, ids, layout, caches=None):
        """The states of packed tokens after the last norm."""
        rope = self.rope(caches.positions if caches else layout.positions)
        x = self.embed_tokens(ids)
        for i, block in enumerate(self.layers):
            x = block(x, layout, rope, caches.layers[i] if caches else None)
        return self.norm(x)

    def draft_states(self, ids, state, layout):
        """The MTP layer's states: row i has seen token i + 1. The last row of a sequence means nothing."""
        return self.mtp(state, self.embed_tokens(ids.roll(-1)), layout, self.rope(layout.positions))

    def gates(self):
        """The routers by the name of their layer in the release."""
        found = {i: b.mlp.gate for i, b in enumerate(self.layers) if isinstance(b.mlp, Moe)}
        return found | {self.c.layers: self.mtp.block.mlp.gate}
