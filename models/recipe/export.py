"""Writes a checkpoint in the released DeepSeek-V3 layout: FP8 codes with 128x128 scales, the rest in BF16.

    python export.py CHECKPOINT TOKENIZER OUT [--exact]

CHECKPOINT is a file of sft.py or grpo.py; OUT is a folder that fathom opens. With --exact nothing is rounded: FP32, for
`fathom quantize --study` and `fathom eval --reference`."""
import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import fp8
from model import Config, Model


def load(path):
    """The model that a checkpoint's averaged weights make."""
    saved = torch.load(path, weights_only=True)
    model = Model(Config(**saved["config"]))
    model.load_state_dict(saved["average"])
    return model.eval()


FIELDS = {"vocab": "vocab_size", "hidden": "hidden_size", "layers": "num_hidden_layers",
          "dense_layers": "first_k_dense_replace", "inner": "intermediate_size", "heads": "num_attention_heads",
          "q_rank": "q_lora_rank", "kv_rank": "kv_lora_rank", "nope": "qk_nope_head_dim", "rope": "qk_rope_head_dim",
          "value": "v_head_dim", "experts": "n_routed_experts", "expert_inner": "moe_intermediate_size",
          "chosen": "num_experts_per_tok", "groups": "n_group", "chosen_groups": "topk_group",
          "scaling": "routed_scaling_factor", "context": "max_position_embeddings", "theta": "rope_theta",
          "eps": "rms_norm_eps"}


def config(c):
    return {theirs: getattr(c, ours) for ours, theirs in FIELDS.items()} | {
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "deepseek_v3",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "moe_layer_freq": 1,
        "n_shared_experts": 1,
        "norm_topk_prob": True,
        "num_key_value_heads": c.heads,
        "num_nextn_predict_layers": 1,
        "rope_scaling": None,
        "scoring_func": "sigmoid",
        "tie_word_embeddings": False,
        "topk_method": "noaux_tc",
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                                "weight_block_size": [fp8.BLOCK, fp8.BLOCK]},
    }


def released_names(model):
    """Our tensors by the release's names: experts one by one, the MTP layer behind the last."""
    state = model.state_dict()
    extra = f"model.layers.{model.c.layers}"
    for name, t in state.items():
        if name.startswith("mtp."):
            name = name.removeprefix("mtp.")
            name = f"{extra}.shared_head.norm.weight" if name == "norm.weight" else f"{extra}.{name.removeprefix('block.')}"
        elif name != "lm_head.weight":
            name = f"model.{name}"
        stem = name.rpartition(".")[0]
        if name.endswith("experts.gate_up"):
            for e in range(len(t)):
                yield f"{stem}.{e}.gate_proj.weight", t[e, 0]
                yield f"{stem}.{e}.up_proj.weight", t[e, 1]
        elif name.endswith("experts.down"):
            for e in range(len(t)):
                yield f"{stem}.{e}.down_proj.weight", t[e]
        else:
            yield name, t
    yield f"{extra}.embed_tokens.weight", state["embed_tokens.weight"].clone()
    yield f"{extra}.shared_head.head.weight", state["lm_head.weight"].clone()


def quantised(name):
    """What the release keeps in FP8: the matrices of attention and MLPs."""
    return name.endswith(("proj.weight", "proj_with_mqa.weight")) and "eh_proj" not in name


def tensors(named):
    """The file's tensors: FP8 codes and scales, BF16, and the routers' bias in FP32."""
    out = {}
    for name, t in named:
        if quantised(name):
            out[name], out[f"{name}_scale_inv"] = fp8.quantise_weight(t)
        elif name.endswith("e_score_correction_bias"):
            out[name] = t.float()
        else:
            out[name] = t.bfloat16()
    return {k: v.contiguous() for k, v in out.items()}


def values(folder):
    """What the tensors of an exported folder stand for, in FP32, by their names."""
    found = load_file(Path(folder) / "model.safetensors")
    scale = {k.removesuffix("_scale_inv"): found.pop(k) for k in list(found) if k.endswith("_scale_inv")}
    return {k: fp8.dequantise_weight(t, scale[k]) if k in scale else t.float() for k, t in found.items()}


def read(folder):
    """An exported folder as a model in FP32; set numerics.fp8 for w8a8."""
    j = json.loads((Path(folder) / "config.json").read_text())
    model = Model(Config(**{ours: j[theirs] for ours, theirs in FIELDS.items()}))
    found = values(folder)
    with torch.no_grad():
        for name, t in released_names(model):  # views into the model, but for the copies of embedding and head
            t.copy_(found[name])
    model.numerics.dtype, model.numerics.frozen = torch.float32, True
    return model.eval()


def write(out, config, weights, tokenizer):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    generation = {"bos_token_id": 0, "eos_token_id": 1, "do_sample": True, "temperature": 0.6, "top_p": 0.95}
    (out / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(tokenizer) / name, out / name)


def exact(c):
    """The configuration of weights that were not rounded."""
    return {k: v for k, v in config(c).items() if k != "quantization_config"} | {"torch_dtype": "float32"}


def export(checkpoint, tokenizer, out, rounded=True):
    model = load(checkpoint)
    if rounded:
        write(out, config(model.c), tensors(released_names(model)), tokenizer)
    else:
        write(out, exact(model.c), {k: t.float().contiguous() for k, t in released_names(model)}, tokenizer)
    return model


if __name__ == "__main__":
    p = argparse.ArgumentParser(description="Write a checkpoint in the released layout.")
    p.add_argument("checkpoint")
    p.add_argument("tokenizer")
    p.add_argument("out")
    p.add_argument("--exact", action="store_true", help="FP32 instead of FP8 and BF16")
    a = p.parse_args()
    export(a.checkpoint, a.tokenizer, a.out, not a.exact)
