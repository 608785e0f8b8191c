#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_distill_golden.py - a distillation step in PyTorch: tests/data/train/distill.safetensors.

A ternary student with straight-through quantisers [Tips, fig. 3] learns from tests/data/checkpoint/llama: the
cross-entropy, the KL of the predictions at a temperature and the KL of the relations of one layer, all in double
precision. The file has the student's weights, tokens and weights of the losses, and the gradients; the losses are in
its metadata.

    pip install torch==2.15.0 safetensors==0.8.0 numpy
    python3 tests/reference/make_distill_golden.py

The seed is the first for which no code of an activation lies near a tie.
"""
import json
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

DATA = pathlib.Path(__file__).resolve().parents[1] / "data"
N, S = 2, 13
TAU, KL_WEIGHT, RELATION_WEIGHT, RELATION_HEADS, LAYER, TEACHER_LAYER = 2.0, 0.75, 0.6, 2, 0, 1
STUDENT = dict(V=48, L=2, D=16, F=20, H=4, K=2, A=8, base=100.0, eps=1e-5)
closest = 1.0  # how near to a tie a rounding came, in steps


def near(x):
    global closest
    closest = min(closest, float((x - torch.floor(x) - 0.5).abs().min()))


def quantised_weight(w):
    g = w.abs().mean().clamp_min(1e-5).detach()
    return w + ((w / g).round().clamp(-1, 1) * g - w).detach()


def quantised_input(x):
    a = x.abs().amax(-1, keepdim=True).clamp_min(1e-5)
    at = x.detach() * 127 / a.detach()
    near(at[at.abs() < 126.9])
    return x + ((x * 127 / a).round() * a / 127 - x).detach()


def rmsnorm(x, w, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w


def rotate(x, base):
    """x [N, S, heads, A]; pairs (i, i + A/2)."""
    a = x.shape[-1]
    angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * base ** (
        -2.0 * torch.arange(a // 2, dtype=torch.float64) / a)
    c, s = angle.cos()[:, None, :], angle.sin()[:, None, :]
    p, q = x[..., : a // 2], x[..., a // 2:]
    return torch.cat([p * c - q * s, p * s + q * c], -1)


def network(c, w, tokens, ternary, wanted):
    """Logits, and [queries, keys, values] of layer `wanted`, each [N, S, width]."""
    linear = (lambda x, n: F.linear(quantised_input(x), quantised_weight(w[n]))) if ternary else (
        lambda x, n: F.linear(x, w[n]))
    sub = (lambda x, n: rmsnorm(x, w[n], c["eps"])) if ternary else (lambda x, n: x)
    x, taken = w["token_embd.weight"][tokens], None
    n, s = tokens.shape
    for layer in range(c["L"]):
        b = f"blk.{layer}."
        h = rmsnorm(x, w[b + "attn_norm.weight"], c["eps"])
        q, k, v = (linear(h, b + f"attn_{i}.weight").view(n, s, -1, c["A"]) for i in "qkv")
        q, k = rotate(q, c["base"]), rotate(k, c["base"])
        if layer == wanted:
            taken = [i.reshape(n, s, -1) for i in (q, k, v)]
            q, k, v = (i.view(n, s, -1, c["A"]) for i in taken)
        share = c["H"] // c["K"]
        k, v = k.repeat_interleave(share, 2), v.repeat_interleave(share, 2)
        scores = torch.einsum("nihd,njhd->nhij", q, k) / c["A"] ** 0.5
        scores = scores.masked_fill(~torch.ones(s, s, dtype=torch.bool).tril(), float("-inf"))
        o = torch.einsum("nhij,njhd->nihd", scores.softmax(-1), v).reshape(n, s, -1)
        x = x + linear(sub(o, b + "attn_sub_norm.weight"), b + "attn_output.weight")
        h = rmsnorm(x, w[b + "ffn_norm.weight"], c["eps"])
        h = F.silu(linear(h, b + "ffn_gate.weight")) * linear(h, b + "ffn_up.weight")
        x = x + linear(sub(h, b + "ffn_sub_norm.weight"), b + "ffn_down.weight")
    return rmsnorm(x, w["output_norm.weight"], c["eps"]) @ w.get("output.weight", w["token_embd.weight"]).T, taken


def read_teacher():
    folder = DATA / "checkpoint" / "llama"
    config = json.loads((folder / "config.json").read_text())
    files = {k: v.double() for k, v in load_file(folder / "model.safetensors").items()}
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
             "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    w = {"token_embd.weight": files["model.embed_tokens.weight"], "output_norm.weight": files["model.norm.weight"]}
    if "lm_head.weight" in files:
        w["output.weight"] = files["lm_head.weight"]
    for layer in range(config["num_hidden_layers"]):
        for hf, ours in names.items():
            w[f"blk.{layer}.{ours}.weight"] = files[f"model.layers.{layer}.{hf}.weight"]
    theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    heads = config["num_attention_heads"]
    c = dict(L=config["num_hidden_layers"], H=heads, K=config["num_key_value_heads"],
             A=config.get("head_dim") or config["hidden_size"] // heads, base=float(theta),
             eps=config["rms_norm_eps"])
    return c, w


def student_weights(g):
    c, shapes = STUDENT, {}
    q, kv, d, ff = c["H"] * c["A"], c["K"] * c["A"], c["D"], c["F"]
    shapes["token_embd"], shapes["output_norm"] = (c["V"], d), (d,)
    for i in range(c["L"]):
        for name, shape in {"attn_norm": (d,), "attn_q": (q, d), "attn_k": (kv, d), "attn_v": (kv, d),
                            "attn_sub_norm": (q,), "attn_output": (d, q), "ffn_norm": (d,), "ffn_gate": (ff, d),
                            "ffn_up": (ff, d), "ffn_sub_norm": (ff,), "ffn_down": (d, ff)}.items():
            shapes[f"blk.{i}.{name}"] = shape
    make = lambda s: (0.75 + 0.5 * torch.rand(s, generator=g)) if len(s) == 1 else 0.4 * torch.randn(s, generator=g)
    return {f"{n}.weight": make(s).double().requires_grad_() for n, s in shapes.items()}


def divergence(teacher, student):
    """KL of rows."""
    return (teacher.log_softmax(-1).exp() * (teacher.log_softmax(-1) - student.log_softmax(-1))).sum(-1)


def relation(x):
    n, s, width = x.shape
    x = x.view(n, s, RELATION_HEADS, -1).transpose(1, 2)
    return x @ x.transpose(-1, -2) / x.shape[-1] ** 0.5


def step(seed):
    g = torch.Generator().manual_seed(seed)
    w, (tc, tw) = student_weights(g), read_teacher()
    batch = torch.randint(0, STUDENT["V"], (N, S + 1), generator=g)
    weights = torch.randint(0, 3, (N, S), generator=g).double()
    tokens, targets = batch[:, :-1], batch[:, 1:]
    student, own = network(STUDENT, w, tokens, True, LAYER)
    with torch.no_grad():
        teacher, theirs = network(tc, tw, tokens, False, TEACHER_LAYER)
    ce = (weights * F.cross_entropy(student.transpose(1, 2), targets, reduction="none")).sum()
    kl = TAU ** 2 * (weights * divergence(teacher / TAU, student / TAU)).sum()
    rel = sum((weights[:, None] * divergence(relation(t), relation(s)).reshape(N, RELATION_HEADS, S)).sum()
              / RELATION_HEADS for t, s in zip(theirs, own))
    at_layer = torch.autograd.grad(ce + KL_WEIGHT * kl, own, retain_graph=True)
    rel_at_layer = torch.autograd.grad(rel, own, retain_graph=True)
    at_logits = [torch.autograd.grad(l, student, retain_graph=True)[0] for l in (ce, kl)]
    (ce + KL_WEIGHT * kl + RELATION_WEIGHT * rel).backward()
    square = lambda xs: sum(x.pow(2).sum().item() for x in xs)
    sums = dict(ce=ce.item(), kl=kl.item(), relation=rel.item(), ce_at_logits=square(at_logits[:1]),
                kl_at_logits=square(at_logits[1:]), others_at_layer=square(at_layer),
                relation_at_layer=square(rel_at_layer))
    return w, batch, weights, sums


def main():
    global closest
    for seed in range(10000):
        closest = 1.0
        w, batch, weights, sums = step(seed)
        if closest > 1.5e-4:
            break
    out = {n: p.detach().float() for n, p in w.items()} | {"g." + n: p.grad.float() for n, p in w.items()}
    out |= {"batch": batch.float(), "weights": weights.float()}
    out = {n: t.reshape(-1, t.shape[-1]).contiguous() for n, t in out.items()}
    save_file(out, DATA / "train" / "distill.safetensors", {n: repr(v) for n, v in sums.items()})
    print(f"seed {seed}, nearest tie {closest:.1e}", sums)


main()
