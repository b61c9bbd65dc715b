"""The dense student: Qwen2's layout (grouped-query attention with a bias on q, k and v, one MLP) in torch.

    python student.py CHECKPOINT TOKENIZER OUT     writes a checkpoint of distill.py as a folder that fathom opens

It shares the parts of model.py, so data, decoding and optimizer work on it unchanged."""
import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

import fp8
from export import tensors, values, write
from model import Linear, Mlp, Norm, Numerics, attend


@dataclass
class StudentConfig:
    vocab: int = 1152
    hidden: int = 128
    layers: int = 3
    inner: int = 256
    heads: int = 4
    kv_heads: int = 4
    context: int = 1024
    theta: float = 10000.0
    eps: float = 1e-6

    def dict(self):
        return asdict(self)


FIELDS = {"vocab": "vocab_size", "hidden": "hidden_size", "layers": "num_hidden_layers", "inner": "intermediate_size",
          "heads": "num_attention_heads", "kv_heads": "num_key_value_heads", "context": "max_position_embeddings",
          "theta": "rope_theta", "eps": "rms_norm_eps"}


class BiasedLinear(Linear):
    def __init__(self, numerics, inputs, outputs):
        super().__init__(numerics, inputs, outputs)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return super().forward(x) + self.bias.to(self.numerics.dtype)


def rotate_halves(x, cos, sin):
    """Rotary positions as Qwen2 has them: element i turns with element i + width / 2."""
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, c, numerics):
        super().__init__()
        self.c, self.width = c, c.hidden // c.heads
        self.q_proj = BiasedLinear(numerics, c.hidden, c.hidden)
        self.k_proj = BiasedLinear(numerics, c.hidden, c.kv_heads * self.width)
        self.v_proj = BiasedLinear(numerics, c.hidden, c.kv_heads * self.width)
        self.o_proj = Linear(numerics, c.hidden, c.hidden)

    def forward(self, x, layout, rope, cache):
        q, k, v = (p(x).unflatten(-1, (-1, self.width)) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rotate_halves(q, *rope), rotate_halves(k, *rope)
        k, v = (t.repeat_interleave(self.c.heads // self.c.kv_heads, 1) for t in (k, v))
        out = cache.attend(q, k, v) if cache else attend(q, k, v, layout)
        return self.o_proj(out.flatten(1))


class Block(nn.Module):
    def __init__(self, c, numerics):
        super().__init__()
        self.input_layernorm = Norm(c.hidden, c.eps)
        self.self_attn = Attention(c, numerics)
        self.post_attention_layernorm = Norm(c.hidden, c.eps)
        self.mlp = Mlp(numerics, c.hidden, c.inner)

    def forward(self, x, layout, rope, cache=None):
        x = x + self.self_attn(self.input_layernorm(x), layout, rope, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Student(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.numerics = c, Numerics()
        self.embed_tokens = nn.Embedding(c.vocab, c.hidden)
        nn.init.normal_(self.embed_tokens.weight, std=0.5)
        self.layers = nn.ModuleList(Block(c, self.numerics) for _ in range(c.layers))
        self.norm = Norm(c.hidden, c.eps)
        self.lm_head = Linear(self.numerics, c.hidden, c.vocab, quantised=False)
        width = c.hidden // c.heads
        angles = torch.arange(c.context).double()[:, None] * c.theta ** (-torch.arange(0, width, 2).double() / width)
        self.register_buffer("cos", angles.cos().float()[:, None], persistent=False)
        self.register_buffer("sin", angles.sin().float()[:, None], persistent=False)

    def forward(self, ids, layout, caches=None):
        positions = caches.positions if caches else layout.positions
        rope = self.cos[positions], self.sin[positions]
        x = self.embed_tokens(ids)
        for i, block in enumerate(self.layers):
            x = block(x, layout, rope, caches.layers[i] if caches else None)
        return self.norm(x)

    def gates(self):
        return {}


def config(c):
    return {theirs: getattr(c, ours) for ours, theirs in FIELDS.items()} | {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                                "weight_block_size": [fp8.BLOCK, fp8.BLOCK]},
    }


def released_names(student):
    for name, t in student.state_dict().items():
        yield name if name == "lm_head.weight" else f"model.{name}", t


def load_student(path):
    saved = torch.load(path, weights_only=True)
    student = Student(StudentConfig(**saved["config"]))
    student.load_state_dict(saved["average"])
    return student.eval()


def export_student(checkpoint, tokenizer, out):
    student = load_student(checkpoint)
    write(out, config(student.c), tensors(released_names(student)), tokenizer)


def is_student(folder):
    return json.loads((Path(folder) / "config.json").read_text())["model_type"] == "qwen2"


def read_student(folder):
    """An exported student in FP32; set numerics.fp8 for w8a8."""
    j = json.loads((Path(folder) / "config.json").read_text())
    student = Student(StudentConfig(**{ours: j[theirs] for ours, theirs in FIELDS.items()}))
    found = values(folder)
    with torch.no_grad():
        for name, t in released_names(student):
            t.copy_(found[name])
    student.numerics.dtype, student.numerics.frozen = torch.float32, True
    return student.eval()


if __name__ == "__main__":
    p = argparse.ArgumentParser(description="Write a student's checkpoint in Qwen2's layout.")
    p.add_argument("checkpoint")
    p.add_argument("tokenizer")
    p.add_argument("out")
    a = p.parse_args()
    export_student(a.checkpoint, a.tokenizer, a.out)
