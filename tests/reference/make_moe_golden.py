#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_moe_golden.py - writes tests/data/model/moe_*: tiny random mixtures of experts and the logits they must give.

Logits come from transformers' own models in fp32 (pip install torch transformers gguf numpy); the files are written
with the `gguf` package of llama.cpp, experts side by side as llama.cpp's converter has them; Mixtral also as a folder
of transformers'. The ternary mixture, which
no program has, comes from an implementation in NumPy and double precision: BitNet b1.58's network with one ternary
scale an expert, norms before each down projection and a shared expert, its seed the first for which double precision,
single precision and some more with noise in its inputs agree on every code.

    python3 tests/reference/make_moe_golden.py

moe_*.txt: "tokens N V", the tokens, then N rows of V logits.
"""
import pathlib

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as T

OUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "model"
N_TOKENS = 11
SIZES = dict(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=False, attn_implementation="half",
             rope_parameters={"rope_type": "default", "rope_theta": 10000.0})


def write(name, arch, keys, tensors, tokens, logits):
    out = gguf.GGUFWriter(OUT / f"moe_{name}.gguf", arch)
    out.add_name("golden")
    for key, value in keys.items():
        add = {bool: out.add_bool, int: out.add_uint32, float: out.add_float32}[type(value)]
        add(f"{arch}.{key}", value)
    for tensor, (data, kind) in tensors.items():
        out.add_tensor(tensor, data, raw_dtype=kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    with open(OUT / f"moe_{name}.txt", "w", encoding="ascii") as f:
        f.write(f"tokens {len(tokens)} {logits.shape[1]}\n{' '.join(map(str, tokens))}\n")
        for row in logits:
            f.write(" ".join(f"{v:.8g}" for v in row) + "\n")


def half_attention(module, query, key, value, attention_mask, scaling, **_):
    """transformers' eager attention over keys and values in half precision, as Trit's cache has them."""
    key, value = key.half().float(), value.half().float()
    share = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(share, dim=1), value.repeat_interleave(share, dim=1)
    n = query.shape[2]
    scores = (query @ key.transpose(2, 3)) * scaling + torch.full((n, n), float("-inf")).triu(1)
    return (scores.softmax(dim=-1) @ value).transpose(1, 2).contiguous(), None


transformers.AttentionInterface.register("half", half_attention)

# ---- transformers ----------------------------------------------------------------------------------------------------

def common_keys(c):
    return {"context_length": 64, "embedding_length": c.hidden_size, "block_count": c.num_hidden_layers,
            "attention.head_count": c.num_attention_heads, "attention.head_count_kv": c.num_key_value_heads,
            "attention.layer_norm_rms_epsilon": c.rms_norm_eps, "rope.freq_base": 10000.0,
            "feed_forward_length": c.intermediate_size}


def interleave(w, heads):
    """Rows of q and k as the architecture "llama" has them: the two halves of a head alternate."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def experts_of(sd, layer, n, gate, up, down):
    """Stacks of gate, up and down, whether a model has them fused or each expert by itself."""
    fused = [k for k in sd if k.startswith(layer) and k.endswith("experts.gate_up_proj")]
    if fused:
        both = sd[fused[0]]
        half = both.shape[1] // 2
        return both[:, :half], both[:, half:], sd[fused[0].replace("gate_up_proj", "down_proj")]
    return [np.stack([sd[f"{layer}experts.{e}.{name}.weight"] for e in range(n)]) for name in (gate, up, down)]


def from_transformers(name, arch, model, extra, n_experts, permuted):
    torch.manual_seed(3)
    for tensor in model.parameters():
        torch.nn.init.normal_(tensor, std=0.25)
        if tensor.ndim == 1:
            tensor.data.mul_(0.4).add_(1.0 if tensor.shape[0] == 32 else 0.0)
        tensor.data = tensor.data.half().float()
    c = model.config
    sd = {k: v.detach().float().numpy() for k, v in model.state_dict().items()}
    tensors = {"token_embd.weight": (sd["model.embed_tokens.weight"], T.F32), "output_norm.weight":
               (sd["model.norm.weight"], T.F32), "output.weight": (sd["lm_head.weight"], T.F32)}
    for layer in range(c.num_hidden_layers):
        hf, to = f"model.layers.{layer}.", f"blk.{layer}."
        mlp = next(k for k in ("mlp.", "block_sparse_moe.") if any(s.startswith(hf + k) for s in sd))
        for a, b in (("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm"),
                     ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"),
                     ("self_attn.o_proj", "attn_output"), ("self_attn.q_norm", "attn_q_norm"),
                     ("self_attn.k_norm", "attn_k_norm"), (mlp + "gate", "ffn_gate_inp"),
                     (mlp + "shared_expert.gate_proj", "ffn_gate_shexp"),
                     (mlp + "shared_expert.up_proj", "ffn_up_shexp"),
                     (mlp + "shared_expert.down_proj", "ffn_down_shexp"),
                     (mlp + "shared_expert_gate", "ffn_gate_inp_shexp")):
            for kind in ("weight", "bias"):
                if hf + a + "." + kind in sd:
                    w = sd[hf + a + "." + kind]
                    if permuted and b in ("attn_q", "attn_k"):
                        w = interleave(w, c.num_attention_heads if b == "attn_q" else c.num_key_value_heads)
                    tensors[f"{to}{b}.{kind}"] = (np.ascontiguousarray(w.squeeze(0) if "inp_shexp" in b else w), T.F32)
        stacks = experts_of(sd, hf + mlp, n_experts, "gate_proj", "up_proj", "down_proj")
        for b, w in zip(("ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"), stacks):
            tensors[f"{to}{b}.weight"] = (np.ascontiguousarray(w), T.F32)
    tokens = np.random.default_rng(1).integers(0, c.vocab_size, N_TOKENS)
    with torch.no_grad():
        logits = model.eval()(torch.tensor(tokens)[None]).logits[0].double().numpy()
    write(name, arch, common_keys(c) | extra, tensors, tokens, logits)
    if name == "mixtral":
        model.half().save_pretrained(OUT / "moe_mixtral")


def make_transformers():
    c = transformers.MixtralConfig(intermediate_size=48, num_local_experts=4, num_experts_per_tok=2, **SIZES)
    from_transformers("mixtral", "llama", transformers.MixtralForCausalLM(c),
                      {"expert_count": 4, "expert_used_count": 2, "rope.dimension_count": 8}, 4, True)
    c = transformers.Qwen2MoeConfig(intermediate_size=64, moe_intermediate_size=20, shared_expert_intermediate_size=36,
                                    num_experts=6, num_experts_per_tok=3, decoder_sparse_step=1, norm_topk_prob=False,
                                    **SIZES)
    from_transformers("qwen2moe", "qwen2moe", transformers.Qwen2MoeForCausalLM(c),
                      {"expert_count": 6, "expert_used_count": 3, "expert_feed_forward_length": 20,
                       "expert_shared_feed_forward_length": 36}, 6, False)
    c = transformers.Qwen3MoeConfig(intermediate_size=64, moe_intermediate_size=24, num_experts=8,
                                    num_experts_per_tok=3, decoder_sparse_step=1, norm_topk_prob=True, head_dim=12,
                                    **SIZES)
    from_transformers("qwen3moe", "qwen3moe", transformers.Qwen3MoeForCausalLM(c),
                      {"expert_count": 8, "expert_used_count": 3, "expert_feed_forward_length": 24,
                       "attention.key_length": 12, "attention.value_length": 12}, 8, False)


# ---- ternary ---------------------------------------------------------------------------------------------------------

B = dict(vocab=40, layers=1, d=256, ff=256, shared=512, heads=4, width=64, experts=4, used=2, eps=1e-5, base=10000.0)


def rmsnorm(x, w):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + x.dtype.type(B["eps"])) * w


def rotate(x):
    half = B["width"] // 2
    angle = np.arange(len(x))[:, None] * B["base"] ** (-np.arange(half) / half)
    c, s = np.cos(angle)[:, None].astype(x.dtype), np.sin(angle)[:, None].astype(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * c - b * s, a * s + b * c], axis=-1)


def ternary_forward(w, tokens, dtype, seen, noise=None):
    def linear(x, name):
        codes, scale = w[name]
        if noise:
            x = x * (1 + 3e-7 * noise.standard_normal(x.shape)).astype(dtype)
        a = np.maximum(np.abs(x).max(axis=-1, keepdims=True), dtype(1e-5))
        q = np.rint(x * (dtype(127) / a))
        seen.append(q.astype(np.int8))
        return (q.astype(np.float64) @ codes.T.astype(np.float64)).astype(dtype) * (dtype(scale) * (a / dtype(127)))

    def half(x):
        seen.append(x.astype(np.float16).view(np.int16))
        return x.astype(np.float16).astype(dtype)

    def ffn(x, layer, kind, e):
        g, u = linear(x, f"{layer}ffn_gate_{kind}{e}"), linear(x, f"{layer}ffn_up_{kind}{e}")
        h = g / (1 + np.exp(-g)) * u
        return linear(rmsnorm(h, w[f"{layer}ffn_sub_norm_{kind}{e}"].astype(dtype)), f"{layer}ffn_down_{kind}{e}")

    n = len(tokens)
    x = w["token_embd"][tokens].astype(dtype)
    for i in range(B["layers"]):
        b = f"blk.{i}."
        h = rmsnorm(x, w[b + "attn_norm"].astype(dtype))
        q, k, v = (linear(h, b + "attn_" + name).reshape(n, B["heads"], B["width"]) for name in "qkv")
        q, k, v = rotate(q), half(rotate(k)), half(v)
        s = np.einsum("ihd,jhd->hij", q, k) / dtype(np.sqrt(B["width"]))
        s = np.where(np.tril(np.ones((n, n), bool)), s, -np.inf)
        p = np.exp(s - s.max(axis=-1, keepdims=True))
        att = np.einsum("hij,jhd->ihd", p / p.sum(axis=-1, keepdims=True), v).reshape(n, -1)
        x = x + linear(rmsnorm(att, w[b + "attn_sub_norm"].astype(dtype)), b + "attn_output")
        h = rmsnorm(x, w[b + "ffn_norm"].astype(dtype))
        score = 1 / (1 + np.exp(-(h @ w[b + "ffn_gate_inp"].astype(dtype).T)))
        chosen = np.argsort(-score, axis=-1, kind="stable")[:, :B["used"]]
        seen.append(np.sort(chosen, axis=-1))
        y = np.zeros_like(x)
        for t in range(n):
            weights = score[t, chosen[t]] / score[t, chosen[t]].sum() * dtype(1.5)
            for e, weight in sorted(zip(chosen[t], weights)):
                y[t] += weight * ffn(h[t:t + 1], b, "exps", e)[0]
        x = x + y + ffn(h, b, "shexp", 0)
    return rmsnorm(x, w["output_norm"].astype(dtype)) @ w["token_embd"].astype(dtype).T


def ternary_weights(rng):
    d, ff, fs, e = B["d"], B["ff"], B["shared"], B["experts"]
    w, stored = {}, {}

    def dense(name, shape, mean, spread, kind=T.F32):
        a = (mean + spread * rng.standard_normal(shape)).astype(np.float16 if kind == T.F16 else np.float32)
        stored[name + ".weight"] = (a, kind)
        return a.astype(np.float64)

    def matrices(name, count, shape):
        """Codes in TQ2_0, the scales in a tensor of their own: one each."""
        codes = rng.integers(-1, 2, (count, *shape)).astype(np.float32)
        scales = rng.uniform(0.05, 0.15, count).astype(np.float32)
        packed = gguf.quants.quantize(codes, T.TQ2_0)
        stored[name + ".weight"] = (packed if count > 1 else packed[0], T.TQ2_0)
        stored[name + ".scale"] = (scales, T.F32)
        for i in range(count):
            w[f"{name}{i}" if "exp" in name else name] = (codes[i], np.float64(scales[i]))

    w["token_embd"] = dense("token_embd", (B["vocab"], d), 0, 1, T.F16)
    for i in range(B["layers"]):
        b = f"blk.{i}."
        for name in ("attn_norm", "attn_sub_norm", "ffn_norm"):
            w[b + name] = dense(b + name, d, 1, 0.2)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            matrices(b + name, 1, (d, d))
        w[b + "ffn_gate_inp"] = dense(b + "ffn_gate_inp", (e, d), 0, 0.1)
        norms = dense(b + "ffn_sub_norm_exps", (e, ff), 1, 0.2)
        w |= {f"{b}ffn_sub_norm_exps{j}": norms[j] for j in range(e)}
        w[b + "ffn_sub_norm_shexp0"] = dense(b + "ffn_sub_norm_shexp", fs, 1, 0.2)
        for kind, count, width in (("exps", e, ff), ("shexp", 1, fs)):
            matrices(f"{b}ffn_gate_{kind}", count, (width, d))
            matrices(f"{b}ffn_up_{kind}", count, (width, d))
            matrices(f"{b}ffn_down_{kind}", count, (d, width))
    w["output_norm"] = dense("output_norm", d, 0, 0.1)
    return w, stored


def make_ternary():
    for seed in range(1, 1000):
        rng = np.random.default_rng(seed)
        w, stored = ternary_weights(rng)
        tokens = rng.integers(0, B["vocab"], N_TOKENS)
        wide, narrow = [], [[] for _ in range(6)]
        logits = ternary_forward(w, tokens, np.float64, wide)
        for i, seen in enumerate(narrow):
            single = ternary_forward(w, tokens, np.float32, seen, rng if i else None)
        if all(np.array_equal(a, b) for seen in narrow for a, b in zip(wide, seen)):
            break
    else:
        raise SystemExit("no seed without a tie")
    print(f"ternary: seed {seed}, single precision is {np.abs(logits - single).max() / np.abs(logits).max():.1e} away")
    keys = {"context_length": 64, "embedding_length": B["d"], "block_count": B["layers"],
            "attention.head_count": B["heads"], "attention.layer_norm_rms_epsilon": B["eps"],
            "rope.freq_base": B["base"],
            "feed_forward_length": B["ff"], "expert_count": B["experts"], "expert_used_count": B["used"],
            "expert_gating_func": 2, "expert_weights_norm": True, "expert_weights_scale": 1.5}
    write("ternary", "bitnet", keys, stored, tokens, logits)


if __name__ == "__main__":
    make_transformers()
    make_ternary()
