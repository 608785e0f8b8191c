#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_embedding_golden.py - writes tests/data/model/embed_*: tiny random embedding models and vectors of some texts.

The networks are transformers' own Qwen3 and Gemma 3 (pip install torch transformers gguf numpy). For the ternary ones
every projection is replaced by what BitNet embedding models have there: an RMSNorm of its own, 8-bit activations,
ternary weights with one scale. Keys and values pass through half precision, as in Trit's cache. A ternary network is
discontinuous, so the seed is the first for which noise of the size of rounding errors changes no code.

    python3 tests/reference/make_embedding_golden.py

embed_*.txt: "texts N D", then for each text its number of tokens, the tokens, and the vector: the state of the last
token after the final norm, divided by its length.
"""
import pathlib

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as T

OUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "model"
LENGTHS = (1, 9, 5)
COMMON = dict(vocab_size=40, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
              rms_norm_eps=1e-6, tie_word_embeddings=True, attn_implementation="half")
SIZES_OF = {False: COMMON | dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, head_dim=16),
            True: COMMON | dict(hidden_size=256, intermediate_size=256, num_hidden_layers=1, head_dim=64)}


def half_attention(module, query, key, value, attention_mask, scaling, **_):
    key, value = key.half().float(), value.half().float()
    share = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(share, dim=1), value.repeat_interleave(share, dim=1)
    n = query.shape[2]
    scores = (query @ key.transpose(2, 3)) * scaling + torch.full((n, n), float("-inf")).triu(1)
    BitLinear.seen.append(torch.cat([key.half().flatten(), value.half().flatten()]))
    return (scores.softmax(dim=-1) @ value).transpose(1, 2).contiguous(), None


transformers.AttentionInterface.register("half", half_attention)


class BitLinear(torch.nn.Module):
    seen, noise = [], 0.0

    def __init__(self, rows, cols):
        super().__init__()
        self.codes = torch.randint(-1, 2, (rows, cols)).float()
        self.scale = torch.tensor(np.float32(np.random.uniform(0.05, 0.15)))
        self.norm = 1 + 0.2 * torch.randn(cols)

    def forward(self, x):
        x = x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * self.norm
        x = x * (1 + BitLinear.noise * torch.randn_like(x))
        s = 127 / x.abs().amax(-1, keepdim=True).clamp(min=1e-5)
        q = (x * s).round().clamp(-128, 127)
        BitLinear.seen.append(q.flatten())
        return q @ self.codes.T / s * self.scale


NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}
NORMS = {"input_layernorm": "attn_norm", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
NORMS_OF = {"qwen3": NORMS | {"post_attention_layernorm": "ffn_norm"},
            "gemma3": NORMS | {"post_attention_layernorm": "post_attention_norm",
                               "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm"}}


def build(arch, ternary, seed):
    """The model, and its tensors under GGUF names."""
    sizes = SIZES_OF[ternary]
    torch.manual_seed(seed)
    np.random.seed(seed)
    if arch == "qwen3":
        rope = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
        model = transformers.Qwen3Model(transformers.Qwen3Config(**sizes, **rope))
    else:
        model = transformers.Gemma3TextModel(transformers.Gemma3TextConfig(**sizes, query_pre_attn_scalar=64,
                                                                           sliding_window=32))
        model.embed_tokens.embed_scale.fill_(float(np.float16(np.sqrt(sizes["hidden_size"]))))
    plus = 1.0 if arch == "gemma3" else 0.0  # Gemma's norms are stored less by 1
    tensors = {}

    def norm(module, name):
        w = (1 + 0.2 * torch.randn(module.weight.shape)).half().float()
        module.weight.data = w - plus
        tensors[name] = (w.numpy().astype(np.float16), T.F16)

    embedding = torch.randn(model.embed_tokens.weight.shape).half()
    model.embed_tokens.weight.data = embedding.float()
    tensors["token_embd.weight"] = (embedding.numpy(), T.F16)
    norm(model.norm, "output_norm.weight")
    for i, layer in enumerate(model.layers):
        for hf, name in NORMS_OF[arch].items():
            norm(layer.get_submodule(hf), f"blk.{i}.{name}.weight")
        for hf, name in NAMES.items():
            old, name = layer.get_submodule(hf), f"blk.{i}.{name}"
            if not ternary:
                w = (0.25 * torch.randn(old.weight.shape)).half()
                old.weight.data = w.float()
                tensors[name + ".weight"] = (w.numpy(), T.F16)
                continue
            new = BitLinear(*old.weight.shape)
            layer.set_submodule(hf, new)
            tensors[name + ".weight"] = (gguf.quants.quantize(new.codes.numpy(), T.TQ2_0), T.TQ2_0)
            tensors[name + ".scale"] = (new.scale.numpy()[None], T.F32)
            tensors[name + "_norm_in.weight"] = (new.norm.numpy(), T.F32)
    return model.eval(), tensors


def vectors(model, texts, noise):
    BitLinear.seen, BitLinear.noise = [], noise
    with torch.no_grad():
        states = [model(torch.tensor(t)[None]).last_hidden_state[0, -1].double().numpy() for t in texts]
    return [s / np.linalg.norm(s) for s in states], BitLinear.seen


def make(name, arch, ternary):
    sizes = SIZES_OF[ternary]
    for seed in range(1, 2000):
        model, tensors = build(arch, ternary, seed)
        texts = [np.random.randint(0, sizes["vocab_size"], n) for n in LENGTHS]
        results, seen = vectors(model, texts, 0.0)
        others = [vectors(model, texts, 3e-7)[1] for _ in range(6 if ternary else 0)]
        if all(torch.equal(a, b) for other in others for a, b in zip(seen, other)):
            break
    else:
        raise SystemExit(f"{name}: no seed without a tie")
    print(f"{name}: seed {seed}")
    out = gguf.GGUFWriter(OUT / f"embed_{name}.gguf", arch)
    out.add_name("golden")
    out.add_context_length(64)
    out.add_embedding_length(sizes["hidden_size"])
    out.add_block_count(sizes["num_hidden_layers"])
    out.add_feed_forward_length(sizes["intermediate_size"])
    out.add_head_count(sizes["num_attention_heads"])
    out.add_head_count_kv(sizes["num_key_value_heads"])
    out.add_key_length(sizes["head_dim"])
    out.add_value_length(sizes["head_dim"])
    out.add_layer_norm_rms_eps(sizes["rms_norm_eps"])
    out.add_rope_freq_base(1e6)
    out.add_pooling_type(gguf.PoolingType.LAST)
    if arch == "gemma3":
        out.add_sliding_window(32)
    for tensor, (data, kind) in tensors.items():
        out.add_tensor(tensor, data, raw_dtype=kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    with open(OUT / f"embed_{name}.txt", "w", encoding="ascii") as f:
        f.write(f"texts {len(texts)} {sizes['hidden_size']}\n")
        for text, v in zip(texts, results):
            f.write(f"{len(text)}\n{' '.join(map(str, text))}\n{' '.join(f'{x:.8g}' for x in v)}\n")


if __name__ == "__main__":
    make("qwen3", "qwen3", False)
    make("bitnet_qwen3", "qwen3", True)
    make("bitnet_gemma3", "gemma3", True)
