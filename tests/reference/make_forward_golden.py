#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_forward_golden.py - writes tests/data/model/golden_*: tiny random models and the logits they must give.

An implementation of the forward pass of its own, in NumPy and double precision, from the papers and the definition of
the GGUF architectures; the files are written with the `gguf` package of llama.cpp (pip install gguf numpy).

    python3 tests/reference/make_forward_golden.py

A ternary network is discontinuous: a rounding that falls to the other side moves a logit by far more than any rounding
error. So each model's seed is the first for which single and double precision agree on every code.

golden_*.txt: "tokens N V", the tokens, then N rows of V logits.
"""
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

OUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "model"
N_TOKENS = 9

# ternary: how the projections are stored. types: of the projections of a full-precision model, by name. acts: bits of
# the inputs of q, k, v, gate and up; bits of those of output and down; whether these pass a Hadamard transform first.
MODELS = {
    # the paper's network: squashed by SiLU, tied; codes as F16 with the scales in tensors of their own
    "bitnet": dict(arch="bitnet", vocab=37, layers=2, d=48, ff=64, heads=4, kv=2, width=12, rot=12, base=10000.0,
                   eps=1e-5, ternary="f16", relu2=False, tied=True, half=True),
    # the 2B-4T's network: squared ReLU, a head of its own, one key/value head; TQ2_0, which needs widths of 256
    "bitnet_b158": dict(arch="bitnet-b1.58", vocab=32, layers=1, d=256, ff=256, heads=8, kv=1, width=32, rot=32,
                        base=500000.0, eps=1e-5, ternary="tq2_0", relu2=True, tied=False, half=True),
    # BitNet a4.8: the inputs of attention and feed-forward in 4 bits, 8 within
    "bitnet_a48": dict(arch="bitnet", vocab=33, layers=2, d=64, ff=96, heads=4, kv=4, width=16, rot=16, base=10000.0,
                       eps=1e-5, ternary="f16", relu2=False, tied=True, half=True, acts=(4, 8, False)),
    # BitNet v2: 4 bits everywhere; widths of 3 blocks of 16 and of 128; binary weights
    "bitnet_v2": dict(arch="bitnet-b1.58", vocab=33, layers=2, d=32, ff=128, heads=4, kv=2, width=12, rot=12,
                      base=10000.0, eps=1e-5, ternary="f16", relu2=True, tied=True, half=True, acts=(4, 4, True),
                      binary=True),
    # full precision: no sub-norms, rotary pairs side by side and only the first 6 of 8, heads wider than the model
    "llama": dict(arch="llama", vocab=41, layers=2, d=32, ff=64, heads=6, kv=3, width=8, rot=6, base=10000.0, eps=1e-6,
                  ternary=None, relu2=False, tied=False, half=False,
                  types=dict(attn_q=T.F16, attn_k=T.F32, attn_v=T.BF16, attn_output=T.F16, ffn_gate=T.Q8_0,
                             ffn_up=T.F16, ffn_down=T.BF16, token_embd=T.F16, output=T.Q8_0)),
}


def make_weights(m, rng):
    q, kv, d, ff = m["heads"] * m["width"], m["kv"] * m["width"], m["d"], m["ff"]
    shapes = {"attn_q": (q, d), "attn_k": (kv, d), "attn_v": (kv, d), "attn_output": (d, q), "ffn_gate": (ff, d),
              "ffn_up": (ff, d), "ffn_down": (d, ff)}
    norms = {"attn_norm": d, "ffn_norm": d}
    if m["ternary"]:
        norms |= {"attn_sub_norm": q, "ffn_sub_norm": ff}
    w, stored = {}, []  # name -> numbers in double; (name, array, type)

    def dense(name, shape, kind, scale):
        data = gguf.quants.quantize((rng.standard_normal(shape) * scale).astype(np.float32), kind)
        stored.append((name, data, kind))
        w[name] = gguf.quants.dequantize(data, kind).astype(np.float64)

    types = m.get("types", {})
    dense("token_embd.weight", (m["vocab"], d), types.get("token_embd", T.F16), 1.0)
    for layer in range(m["layers"]):
        for name, n in norms.items():
            dense(f"blk.{layer}.{name}.weight", n, T.F32, 0.2)
            w[f"blk.{layer}.{name}.weight"] += 1.0
            w[f"blk.{layer}.{name}.weight"] = w[f"blk.{layer}.{name}.weight"].astype(np.float32).astype(np.float64)
            stored[-1] = (stored[-1][0], w[f"blk.{layer}.{name}.weight"].astype(np.float32), T.F32)
        for name, shape in shapes.items():
            full = f"blk.{layer}.{name}.weight"
            if not m["ternary"]:
                dense(full, shape, types[name], 0.25)
                continue
            codes = rng.integers(-1, 2, shape).astype(np.float32)
            if m.get("binary"):
                codes = np.where(codes > 0, 1, -1).astype(np.float32)
            scale = np.float32(rng.uniform(0.05, 0.15))  # no number that F16 can hold
            kind = T.TQ2_0 if m["ternary"] == "tq2_0" else T.F16
            stored.append((full, gguf.quants.quantize(codes, kind), kind))
            stored.append((f"blk.{layer}.{name}.scale", np.array([scale], np.float32), T.F32))
            w[full] = (codes.astype(np.float64), np.float64(scale))
    dense("output_norm.weight", d, T.F32, 1.0)
    if not m["tied"]:
        dense("output.weight", (m["vocab"], d), types.get("output", T.F16), 1.0)
    return w, stored


def rmsnorm(x, w, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * w


def rotate(m, x):
    """x [tokens, heads, width], the first `rot` elements of each head."""
    n = m["rot"]
    angle = np.arange(len(x))[:, None] * m["base"] ** (-2.0 * np.arange(n // 2) / n)
    c, s = np.cos(angle)[:, None, :].astype(x.dtype), np.sin(angle)[:, None, :].astype(x.dtype)
    y = x.copy()
    first, second = (slice(0, n // 2), slice(n // 2, n)) if m["half"] else (slice(0, n, 2), slice(1, n, 2))
    y[..., first] = x[..., first] * c - x[..., second] * s
    y[..., second] = x[..., first] * s + x[..., second] * c
    return y


def hadamard(x):
    """The orthonormal transform of blocks of the largest power of two that divides the width, by its matrix."""
    n = x.shape[-1] & -x.shape[-1]
    places = np.arange(n)
    signs = 1 - 2 * (np.bitwise_count(places[:, None] & places) % 2).astype(np.int64)
    y = x.reshape(*x.shape[:-1], -1, n) @ signs.astype(x.dtype) / x.dtype.type(np.sqrt(n))
    return y.reshape(x.shape)


def forward(m, weights, tokens, dtype, codes_seen):
    w = {k: v if isinstance(v, tuple) else v.astype(dtype) for k, v in weights.items()}

    def linear(x, name):
        if not m["ternary"]:
            return x @ w[name].T
        codes, scale = w[name]
        input_bits, inner_bits, transform = m.get("acts", (8, 8, False))
        inner = "attn_output" in name or "ffn_down" in name
        if inner and transform:
            x = hadamard(x)
        if (inner_bits if inner else input_bits) == 4:
            step = np.maximum(np.abs(x).mean(axis=-1, keepdims=True), dtype(1e-5)) / dtype(np.sqrt(7))
            q = np.clip(np.rint(x / step), -8, 7)
        else:
            a = np.maximum(np.abs(x).max(axis=-1, keepdims=True), dtype(1e-5))
            q, step = np.rint(x * (dtype(127) / a)), a / dtype(127)
        codes_seen.append(q.astype(np.int8))
        return (q.astype(np.float64) @ codes.T).astype(dtype) * (dtype(scale) * step)

    def half(x):
        h = x.astype(np.float16)
        codes_seen.append(h.view(np.int16))
        return h.astype(dtype)

    n, share = len(tokens), m["heads"] // m["kv"]
    mask = np.tril(np.ones((n, n), bool))
    x = w["token_embd.weight"][tokens]
    for i in range(m["layers"]):
        b = f"blk.{i}."
        h = rmsnorm(x, w[b + "attn_norm.weight"], dtype(m["eps"]))
        q = rotate(m, linear(h, b + "attn_q.weight").reshape(n, m["heads"], m["width"]))
        k = half(rotate(m, linear(h, b + "attn_k.weight").reshape(n, m["kv"], m["width"])))
        v = half(linear(h, b + "attn_v.weight").reshape(n, m["kv"], m["width"]))
        k, v = np.repeat(k, share, axis=1), np.repeat(v, share, axis=1)
        s = np.einsum("ihd,jhd->hij", q, k) / dtype(np.sqrt(m["width"]))
        s = np.where(mask, s, -np.inf)
        p = np.exp(s - s.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        att = np.einsum("hij,jhd->ihd", p, v).reshape(n, -1)
        if m["ternary"]:
            att = rmsnorm(att, w[b + "attn_sub_norm.weight"], dtype(m["eps"]))
        x = x + linear(att, b + "attn_output.weight")
        h = rmsnorm(x, w[b + "ffn_norm.weight"], dtype(m["eps"]))
        g, u = linear(h, b + "ffn_gate.weight"), linear(h, b + "ffn_up.weight")
        h = (np.maximum(g, 0) ** 2 if m["relu2"] else g / (1 + np.exp(-g))) * u
        if m["ternary"]:
            h = rmsnorm(h, w[b + "ffn_sub_norm.weight"], dtype(m["eps"]))
        x = x + linear(h, b + "ffn_down.weight")
    x = rmsnorm(x, w["output_norm.weight"], dtype(m["eps"]))
    return x @ w["token_embd.weight" if m["tied"] else "output.weight"].T


def write_model(path, m, stored):
    out = gguf.GGUFWriter(path, m["arch"])
    out.add_name("golden")
    out.add_quantization_version(2)
    out.add_context_length(32)
    out.add_vocab_size(m["vocab"])
    out.add_embedding_length(m["d"])
    out.add_block_count(m["layers"])
    out.add_feed_forward_length(m["ff"])
    out.add_head_count(m["heads"])
    out.add_head_count_kv(m["kv"])
    out.add_rope_dimension_count(m["rot"])
    out.add_rope_freq_base(m["base"])
    out.add_layer_norm_rms_eps(m["eps"])
    if "acts" in m:
        input_bits, inner_bits, transform = m["acts"]
        out.add_uint32(f"{m['arch']}.activation.input_bits", input_bits)
        out.add_uint32(f"{m['arch']}.activation.inner_bits", inner_bits)
        out.add_bool(f"{m['arch']}.activation.inner_hadamard", transform)
    if m["heads"] * m["width"] != m["d"]:
        out.add_key_length(m["width"])
        out.add_value_length(m["width"])
    for name, data, kind in stored:
        out.add_tensor(name, data, raw_dtype=kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    for name, m in MODELS.items():
        for seed in range(1, 1000):
            rng = np.random.default_rng(seed)
            weights, stored = make_weights(m, rng)
            tokens = rng.integers(0, m["vocab"], N_TOKENS)
            wide, narrow = [], []
            logits = forward(m, weights, tokens, np.float64, wide)
            single = forward(m, weights, tokens, np.float32, narrow)
            if all(np.array_equal(a, b) for a, b in zip(wide, narrow)):
                break
        else:
            raise SystemExit(f"{name}: no seed without a tie")
        error = np.abs(logits - single).max() / np.abs(logits).max()
        print(f"{name}: seed {seed}, single precision is {error:.1e} of the largest logit away")
        write_model(OUT / f"golden_{name}.gguf", m, stored)
        with open(OUT / f"golden_{name}.txt", "w", encoding="ascii") as f:
            f.write(f"tokens {N_TOKENS} {m['vocab']}\n{' '.join(map(str, tokens))}\n")
            for row in logits:
                f.write(" ".join(f"{v:.8g}" for v in row) + "\n")


if __name__ == "__main__":
    main()
