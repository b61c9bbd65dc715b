"""A bench model of make_model as GGUF with Q8_0 matrices, for llama.cpp: the same shape and the same weights.

    python to_gguf.py MODEL OUT.gguf

Needs numpy and llama.cpp's own package gguf. Norms and the router stay FP32, as llama.cpp's converter leaves them."""
import json
import os
import sys
from pathlib import Path

import gguf
import numpy as np

BLOCK = 128
Q8_0 = gguf.GGMLQuantizationType.Q8_0


def e4m3_values():
    code = np.arange(256)
    sign, exponent, mantissa = np.where(code >= 128, -1.0, 1.0), code >> 3 & 15, code & 7
    return (sign * np.where(exponent, (1 + mantissa / 8) * 2.0 ** (exponent - 7), mantissa / 8 * 2.0 ** -6)).astype("f4")


class Weights:
    """Tensors of a safetensors file as FP32, one at a time."""

    def __init__(self, path):
        self.bytes = np.memmap(path, dtype="u1", mode="r")
        size = int.from_bytes(self.bytes[:8].tobytes(), "little")
        self.header = json.loads(self.bytes[8:8 + size].tobytes())
        self.start, self.e4m3 = 8 + size, e4m3_values()

    def raw(self, name):
        t = self.header[name]
        first, last = t["data_offsets"]
        return t["dtype"], t["shape"], self.bytes[self.start + first:self.start + last]

    def get(self, name):
        dtype, shape, data = self.raw(name)
        if dtype == "F32":
            return data.view("f4").reshape(shape)
        if dtype == "BF16":
            return (data.view("u2").astype("u4") << 16).view("f4").reshape(shape)
        scale = self.get(name + "_scale_inv").repeat(BLOCK, 0).repeat(BLOCK, 1)
        return self.e4m3[data].reshape(shape) * scale[:shape[0], :shape[1]]


def neighbours(w, heads):
    """Rotary pairs side by side, as llama.cpp has them for Llama."""
    return w.reshape(heads, 2, -1, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def write_common(writer, c):
    writer.add_context_length(c["max_position_embeddings"])
    writer.add_embedding_length(c["hidden_size"])
    writer.add_block_count(c["num_hidden_layers"])
    writer.add_feed_forward_length(c["intermediate_size"])
    writer.add_head_count(c["num_attention_heads"])
    writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
    writer.add_rope_freq_base(c["rope_theta"])
    writer.add_vocab_size(c["vocab_size"])
    writer.add_tokenizer_model("none")


def write_mla(writer, c):
    rope = c["rope_scaling"]
    writer.add_head_count_kv(1)
    writer.add_q_lora_rank(c["q_lora_rank"])
    writer.add_kv_lora_rank(c["kv_lora_rank"])
    writer.add_key_length(c["kv_lora_rank"] + c["qk_rope_head_dim"])
    writer.add_value_length(c["kv_lora_rank"])
    writer.add_key_length_mla(c["qk_nope_head_dim"] + c["qk_rope_head_dim"])
    writer.add_value_length_mla(c["v_head_dim"])
    writer.add_rope_dimension_count(c["qk_rope_head_dim"])
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(rope["factor"])
    writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    writer.add_rope_scaling_yarn_log_mul(0.1 * rope["mscale_all_dim"])
    writer.add_leading_dense_block_count(c["first_k_dense_replace"])
    writer.add_expert_count(c["n_routed_experts"])
    writer.add_expert_used_count(c["num_experts_per_tok"])
    writer.add_expert_shared_count(c["n_shared_experts"])
    writer.add_expert_feed_forward_length(c["moe_intermediate_size"])
    writer.add_expert_group_count(c["n_group"])
    writer.add_expert_group_used_count(c["topk_group"])
    writer.add_expert_weights_scale(c["routed_scaling_factor"])
    writer.add_expert_weights_norm(c["norm_topk_prob"])
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)


def tensors(w, c):
    """(name, values, whether quantised) of all tensors, in the order of layers."""
    mla, heads = "kv_lora_rank" in c, c["num_attention_heads"]
    yield "token_embd.weight", w.get("model.embed_tokens.weight"), True
    for i in range(c["num_hidden_layers"]):
        to, of = f"blk.{i}.", f"model.layers.{i}."
        yield to + "attn_norm.weight", w.get(of + "input_layernorm.weight"), False
        yield to + "ffn_norm.weight", w.get(of + "post_attention_layernorm.weight"), False
        yield to + "attn_output.weight", w.get(of + "self_attn.o_proj.weight"), True
        if mla:
            for name, ours in (("q_a", "q_a_proj"), ("q_b", "q_b_proj"), ("kv_a_mqa", "kv_a_proj_with_mqa")):
                yield f"{to}attn_{name}.weight", w.get(f"{of}self_attn.{ours}.weight"), True
            for name in ("q_a", "kv_a"):
                yield f"{to}attn_{name}_norm.weight", w.get(f"{of}self_attn.{name}_layernorm.weight"), False
            up = w.get(of + "self_attn.kv_b_proj.weight").reshape(heads, -1, c["kv_lora_rank"])
            nope = c["qk_nope_head_dim"]
            yield to + "attn_k_b.weight", up[:, :nope].swapaxes(1, 2), True
            yield to + "attn_v_b.weight", up[:, nope:], True
        else:
            for name, n in (("q", heads), ("k", c["num_key_value_heads"])):
                yield f"{to}attn_{name}.weight", neighbours(w.get(f"{of}self_attn.{name}_proj.weight"), n), True
            yield to + "attn_v.weight", w.get(of + "self_attn.v_proj.weight"), True
        experts = c.get("n_routed_experts", 0) if i >= c.get("first_k_dense_replace", 0) else 0
        for part in ("gate", "up", "down"):
            if not experts:
                yield f"{to}ffn_{part}.weight", w.get(f"{of}mlp.{part}_proj.weight"), True
                continue
            yield (f"{to}ffn_{part}_exps.weight",
                   np.stack([w.get(f"{of}mlp.experts.{e}.{part}_proj.weight") for e in range(experts)]), True)
            yield f"{to}ffn_{part}_shexp.weight", w.get(f"{of}mlp.shared_experts.{part}_proj.weight"), True
        if experts:
            yield to + "ffn_gate_inp.weight", w.get(of + "mlp.gate.weight"), False
            yield to + "exp_probs_b.bias", w.get(of + "mlp.gate.e_score_correction_bias"), False
    yield "output_norm.weight", w.get("model.norm.weight"), False
    yield "output.weight", w.get("lm_head.weight"), True


def main(folder, out):
    c = json.loads((Path(folder) / "config.json").read_text())
    unfinished = out + ".part"
    writer = gguf.GGUFWriter(unfinished, "deepseek2" if "kv_lora_rank" in c else "llama", use_temp_file=True)
    write_common(writer, c)
    if "kv_lora_rank" in c:
        write_mla(writer, c)
    else:
        writer.add_head_count_kv(c["num_key_value_heads"])
        writer.add_rope_dimension_count(c["head_dim"])
    for name, values, quantised in tensors(Weights(Path(folder) / "model.safetensors"), c):
        values = np.ascontiguousarray(values, dtype="f4")
        if quantised:
            writer.add_tensor(name, gguf.quants.quantize(values, Q8_0), raw_dtype=Q8_0)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(unfinished, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
