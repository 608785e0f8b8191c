#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_torch_golden.py - gradients and loss curves by PyTorch, for tests/test_torch.c.

    pip install torch==2.15.0 safetensors==0.8.0 numpy
    python3 tests/reference/make_torch_golden.py tests/data/train

writes torch_KIND.safetensors for KIND ternary, binary and full:

    NAME           first weights, F32
    grad.NAME      gradient of the mean loss over the first GRAD_BATCH sequences, by autograd in fp64
    tokens         [SEQUENCES, SEQ + 1], I32: step s learns from sequences (s BATCH + j) mod SEQUENCES
    curve          the loss of each of STEPS steps of torch.optim.AdamW, in fp64

The network and both quantisers with the detach trick are those of check_torch.py, written from the papers. The schedule
is written out below: the paper's two stages with warm-up. CLIP is about the median of the norms, since AdamW does not
notice one factor on all gradients.

A quantiser is a staircase: where fp32 and fp64 fall on different sides of a step, all that follows differs by a step,
and no bound on rounding holds. So for the gradient a seed is chosen at which no activation of any quantiser is nearer
than MARGIN to a half and no weight nearer than MARGIN of the scale to a boundary; then both round alike, and what is
left is fp32's rounding. Along 200 steps there is no such seed: the curves of quantised networks drift apart by their
rounding, those of the full-precision one do not.
"""
import math
import sys

import numpy as np
import torch
from safetensors.numpy import save_file

import check_torch
from check_torch import Network

V, L, D, F, H, K, A = 48, 2, 16, 24, 2, 1, 8
SEQ, SEQUENCES, GRAD_BATCH, BATCH, STEPS = 12, 64, 2, 4, 200
LR, LR2, DECAY, DECAY2, BETAS, EPS, CLIP, WARMUP = 6e-3, 4e-3, 0.1, 0.0, (0.9, 0.95), 1e-8, 1.75, 20
MARGIN = 2e-4


def shapes(kind):
    yield "token_embd", (V, D)
    for i in range(L):
        b = f"blk.{i}."
        yield b + "attn_norm", (1, D)
        yield b + "attn_q", (H * A, D)
        yield b + "attn_k", (K * A, D)
        yield b + "attn_v", (K * A, D)
        if kind != "full":
            yield b + "attn_sub_norm", (1, H * A)
        yield b + "attn_output", (D, H * A)
        yield b + "ffn_norm", (1, D)
        yield b + "ffn_gate", (F, D)
        yield b + "ffn_up", (F, D)
        if kind != "full":
            yield b + "ffn_sub_norm", (1, F)
        yield b + "ffn_down", (D, F)
    yield "output_norm", (1, D)


def first_weights(kind, seed):
    g = np.random.default_rng(seed)
    return {n + ".weight": (1 + 0.1 * g.standard_normal(s) if "norm" in n else 0.2 * g.standard_normal(s))
            .astype(np.float32) for n, s in shapes(kind)}


def text(seed):
    """A language that can be learnt: the next token follows from the last one, but for a random one in four."""
    g = np.random.default_rng(seed + 1000)
    tokens = np.zeros((SEQUENCES, SEQ + 1), np.int32)
    for row in tokens:
        row[0] = g.integers(V)
        for i in range(SEQ):
            row[i + 1] = g.integers(V) if g.random() < 0.25 else (5 * row[i] + 7) % V
    return tokens


def network(kind, weights):
    meta = {"general.architecture": "x", "weights": kind, "activation": "silu", "x.block_count": L,
            "x.attention.head_count": H, "x.attention.head_count_kv": K, "x.rope.freq_base": 10000,
            "x.attention.layer_norm_rms_epsilon": np.float32(1e-5)}
    return Network({n: torch.tensor(w, dtype=torch.float64, requires_grad=True) for n, w in weights.items()}, meta)


# ---- the gradient ---------------------------------------------------------------------------------------------------

def distance_to_steps(kind, net, tokens):
    """How near the quantisers of a pass come to a step: of activations in units of 1/127, of weights in scales."""
    nearest = math.inf
    activations, weights = check_torch.quantise_activations, check_torch.quantise_weights

    def note(values):
        nonlocal nearest
        nearest = min(nearest, values.abs().min().item())

    def watch_activations(x):
        y = x * 127 / x.abs().amax(-1, keepdim=True)
        note((y - y.floor()) - 0.5)
        return activations(x)

    def watch_weights(w, k):
        s = w.abs().mean()
        note((w.abs() / s) - 0.5 if k == "ternary" else (w - w.mean()) / s)
        return weights(w, k)

    check_torch.quantise_activations, check_torch.quantise_weights = watch_activations, watch_weights
    with torch.no_grad():
        net.loss(tokens)
    check_torch.quantise_activations, check_torch.quantise_weights = activations, weights
    return nearest


def choose_seed(kind):
    for seed in range(1, 2000):
        tokens = torch.from_numpy(text(seed)[:GRAD_BATCH]).long()
        if distance_to_steps(kind, network(kind, first_weights(kind, seed)), tokens) > MARGIN:
            return seed
    sys.exit("no seed without a value near a step")


# ---- the curve ------------------------------------------------------------------------------------------------------

def learning_rate(step):
    peak = LR if step < STEPS // 2 else LR2
    return peak * min(1, (step + 1) / min(WARMUP, STEPS // 10)) * (1 - step / STEPS)


def curve(kind, weights, tokens):
    net = network(kind, weights)
    norms = [w for n, w in net.w.items() if "norm" in n]
    others = [w for n, w in net.w.items() if "norm" not in n]
    optimizer = torch.optim.AdamW([{"params": others}, {"params": norms, "weight_decay": 0}], betas=BETAS, eps=EPS)
    losses = []
    for step in range(STEPS):
        rows = [(step * BATCH + j) % SEQUENCES for j in range(BATCH)]
        optimizer.zero_grad()
        loss = net.loss(torch.from_numpy(tokens[rows]).long())
        loss.backward()
        losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(net.w.values(), CLIP)
        optimizer.param_groups[0]["weight_decay"] = DECAY if step < STEPS // 2 else DECAY2
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
    return np.array(losses)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    for kind in "ternary", "binary", "full":
        seed = choose_seed(kind) if kind != "full" else 1
        weights, tokens = first_weights(kind, seed), text(seed)
        net = network(kind, weights)
        loss = net.loss(torch.from_numpy(tokens[:GRAD_BATCH]).long())
        loss.backward()
        losses = curve(kind, weights, tokens)
        out = {"curve": losses, "loss": np.array([loss.item()])}
        out |= weights | {"grad." + n: w.grad.numpy().astype(np.float32) for n, w in net.w.items()}
        save_file(out | {"tokens": tokens}, f"{sys.argv[1]}/torch_{kind}.safetensors")
        print(f"{kind}: seed {seed}, loss {loss.item():.6f}, curve {losses[0]:.4f} ... {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
