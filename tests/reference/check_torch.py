#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_torch.py - compares Trit's loss and gradients with PyTorch's autograd; not part of `make test`.

    pip install torch==2.15.0 safetensors==0.8.0 numpy
    python3 tests/reference/check_torch.py build/release/trit TEXT

TEXT is any plain text of 20 kB or more. For every kind of network a small model is trained for 30 steps, so that no
weight is what it was drawn as. Then its checkpoint is changed to take one more step that shows the gradient: with
--beta1 0 and --clip 0 AdamW's first moment is the gradient of the batch, and a learning rate of 1e-30 leaves the
weights where they are. The token shard is cut so that the step's batch is one whole epoch: then the order of the
windows does not matter, and of the epoch's offset there are SEQ choices, of which the one with Trit's loss is taken.

The network below is written from the papers in fp64, both quantisers with the detach trick
(x + (quantise(x) - x).detach()). It shares nothing with Trit.

Where fp32 and fp64 fall on different sides of a half, an activation or a weight rounds to another value, and what
follows differs by a step of the quantiser. Some seeds have such a place and some have none. So each network is compared
at several: at the best one all gradients must agree to fp32's rounding, and no seed may be further off than steps
explain.

Printed are, per network and seed, the loss of both and the worst tensor, and at the best seed the error of each
tensor's gradient: |a - b| / |b| in the Euclidean norm, and the largest |a - b| over the largest |b|. Exit status 1
beyond the limits.
"""
import glob
import json
import math
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

STEPS, BATCH, SEQ = 30, 7, 48
NETWORKS = {
    "ternary, SwiGLU": [],
    "ternary, squared ReLU, untied": ["--activation", "relu2", "--untied"],
    "binary, SwiGLU": ["--weights", "binary"],
    "binary, squared ReLU": ["--weights", "binary", "--activation", "relu2"],
    "full, SwiGLU": ["--weights", "full"],
    "full, SwiGLU, untied": ["--weights", "full", "--untied"],
}
SEEDS = 3
# of a tensor's gradient, Euclidean: at the best seed and at any; of the loss, relative
BEST, ANY, LOSS = 1e-4, 5e-2, 1e-4


# ---- the network ----------------------------------------------------------------------------------------------------

def through(x, quantised):
    """The straight-through estimator: the value of `quantised`, the gradient of x."""
    return x + (quantised - x).detach()


def quantise_activations(x):
    s = 127 / x.abs().amax(-1, keepdim=True).clamp(min=1e-5)
    return through(x, (x * s).round().clamp(-128, 127) / s)


def quantise_weights(w, kind):
    scale = w.abs().mean().clamp(min=1e-5)
    if kind == "ternary":
        return through(w, (w / scale).round().clamp(-1, 1) * scale)
    return through(w, torch.where(w > w.mean(), scale, -scale))


def rms_norm(x, w, eps):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * w


def rotate(x, base, halves):
    """x [B, S, H, A]; pairs (i, i + A/2) or (2i, 2i + 1) turned by position * base^(-2i/A)."""
    a = x.shape[-1]
    angle = torch.arange(x.shape[1])[:, None] * base ** (-torch.arange(0, a, 2, dtype=x.dtype) / a)
    turn = torch.polar(torch.ones_like(angle), angle)[None, :, None, :]
    pairs = x.unflatten(-1, (2, a // 2)).transpose(-1, -2) if halves else x.unflatten(-1, (a // 2, 2))
    y = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * turn)
    return (y.transpose(-1, -2) if halves else y).flatten(-2)


class Network:
    def __init__(self, weights, meta):
        arch = meta["general.architecture"]
        get = lambda name: float(meta[f"{arch}.{name}"])
        self.w, self.kind, self.activation = weights, meta["weights"], meta["activation"]
        self.layers, self.heads, self.kv_heads = (int(get(k)) for k in (
            "block_count", "attention.head_count", "attention.head_count_kv"))
        self.base, self.eps = get("rope.freq_base"), get("attention.layer_norm_rms_epsilon")
        self.bit = self.kind != "full"

    def linear(self, x, *names):
        """One input of several projections, quantised once."""
        if not self.bit:
            return [x @ self.w[n + ".weight"].T for n in names]
        q = quantise_activations(x)
        return [q @ quantise_weights(self.w[n + ".weight"], self.kind).T for n in names]

    def norm(self, x, name):
        return rms_norm(x, self.w[name + ".weight"][0], self.eps)

    def layer(self, x, i):
        blk = f"blk.{i}."
        q, k, v = self.linear(self.norm(x, blk + "attn_norm"), blk + "attn_q", blk + "attn_k", blk + "attn_v")
        q, k, v = (t.unflatten(-1, (n, -1)) for t, n in ((q, self.heads), (k, self.kv_heads), (v, self.kv_heads)))
        q, k = (rotate(t, self.base, self.bit) for t in (q, k))
        k, v = (t.repeat_interleave(self.heads // self.kv_heads, dim=2) for t in (k, v))
        scores = torch.einsum("bqha,bkha->bhqk", q, k) / math.sqrt(q.shape[-1])
        future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        y = torch.einsum("bhqk,bkha->bqha", scores.masked_fill(future, -math.inf).softmax(-1), v).flatten(-2)
        if self.bit:
            y = self.norm(y, blk + "attn_sub_norm")
        x = x + self.linear(y, blk + "attn_output")[0]
        gate, up = self.linear(self.norm(x, blk + "ffn_norm"), blk + "ffn_gate", blk + "ffn_up")
        y = (F.relu(gate).square() if self.activation == "relu2" else F.silu(gate)) * up
        if self.bit:
            y = self.norm(y, blk + "ffn_sub_norm")
        return x + self.linear(y, blk + "ffn_down")[0]

    def loss(self, tokens):
        """tokens [B, S + 1]; mean over all positions."""
        x = self.w["token_embd.weight"][tokens[:, :-1]]
        for i in range(self.layers):
            x = self.layer(x, i)
        head = self.w["output.weight"] if "output.weight" in self.w else self.w["token_embd.weight"]
        logits = self.norm(x, "output_norm") @ head.T
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


# ---- Trit's side ----------------------------------------------------------------------------------------------------

def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")


def one_step_more(folder):
    """Makes the finished run in `folder` one of one more step, whose moments show the gradient."""
    path = folder + "/checkpoint.safetensors"
    with safe_open(path, "np") as f:
        meta = f.metadata()
    meta |= {"total-steps": str(STEPS + 1), "steps": str(STEPS + 1), "beta1": "0", "clip": "0", "lr": "1e-30",
             "lr2": "1e-30", "weight-decay": "0", "weight-decay2": "0",
             "version": "1"}
    del meta["checksum"], meta["checksums"]  # as in version 1, which has none
    save_file(load_file(path), path, meta)
    shard, = glob.glob(folder + "/data/train-*")
    with safe_open(shard, "np") as f:
        meta = f.metadata()
    tokens = load_file(shard)["tokens"][:BATCH * SEQ + SEQ]
    assert len(tokens) == BATCH * SEQ + SEQ, "TEXT is too short"
    save_file({"tokens": tokens}, shard, meta)
    return tokens.astype(np.int64)


def gradient_of_trit(trit, text, options, folder):
    run(trit, "train", "--data", text, "--out", folder, "--vocab-size", "512", "--layers", "2", "--d-model", "96",
        "--d-ff", "160", "--heads", "4", "--kv-heads", "2", "--seq-len", str(SEQ), "--batch", str(BATCH),
        "--micro-batch", "3", "--steps", str(STEPS), "--lr", "4e-3", "--warmup", "3", "--val-every", "0",
        "--type", "f16", "-t", "1", *options)
    tokens = one_step_more(folder)
    before = load_file(folder + "/checkpoint.safetensors")
    run(trit, "train", "--resume", "--out", folder, "--val-every", "0", "--type", "f16", "-t", "1")
    path = folder + "/checkpoint.safetensors"
    after = load_file(path)
    with safe_open(path, "np") as f:
        meta = f.metadata()
    assert meta["step"] == str(STEPS + 1)
    weights = {n: w for n, w in before.items() if not n.startswith(("m.", "v."))}
    assert all(np.array_equal(w, after[n]) for n, w in weights.items()), "the weights moved"
    with open(folder + "/metrics.jsonl") as f:
        last = [line for line in map(json.loads, f) if "loss" in line][-1]
    return weights, {n: after["m." + n] for n in weights}, last, tokens, meta


# ---- the comparison -------------------------------------------------------------------------------------------------

def loss_of_epoch(net, tokens):
    """The loss of each of the offsets an epoch can have."""
    with torch.no_grad():
        return [net.loss(tokens[o:][:BATCH * SEQ + 1].unfold(0, SEQ + 1, SEQ)).item() for o in range(SEQ)]


def compare(name, trit, text, options):
    """Worst tensor's error, and the table of errors."""
    with tempfile.TemporaryDirectory() as folder:
        weights, gradient, last, tokens, meta = gradient_of_trit(trit, text, options, folder)
    net = Network({n: torch.tensor(w, dtype=torch.float64, requires_grad=True) for n, w in weights.items()}, meta)
    tokens = torch.from_numpy(tokens)
    losses = loss_of_epoch(net, tokens)
    offset = min(range(SEQ), key=lambda o: abs(losses[o] - last["loss"]))
    loss = net.loss(tokens[offset:][:BATCH * SEQ + 1].unfold(0, SEQ + 1, SEQ))
    loss.backward()
    table, worst, squares = "", 0.0, 0.0
    for n, w in net.w.items():
        a, b = torch.from_numpy(gradient[n]).double(), w.grad
        euclid = ((a - b).norm() / b.norm()).item()
        largest = ((a - b).abs().max() / b.abs().max()).item()
        worst, squares = max(worst, euclid), squares + b.square().sum().item()
        table += f"    {n:28s} |g| {b.norm():.3e}   error {euclid:.1e}   largest {largest:.1e}\n"
    print(f"{name}, seed {meta['seed']}: loss {last['loss']:.7f}, PyTorch {loss.item():.7f}; norm of the gradient "
          f"{last['grad_norm']:.7f}, PyTorch {math.sqrt(squares):.7f}; worst tensor {worst:.1e}", flush=True)
    if not abs(loss.item() - last["loss"]) <= LOSS * loss.item():
        worst = math.inf
    return worst, table


def check(name, trit, text, options):
    results = [compare(name, trit, text, [*options, "--seed", str(seed)]) for seed in range(1, SEEDS + 1)]
    print(min(results)[1], end="")
    return min(results)[0] <= BEST and max(results)[0] <= ANY


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    trit = os.path.abspath(sys.argv[1])
    failed = [n for n, options in NETWORKS.items() if not check(n, trit, sys.argv[2], options)]
    sys.exit(f"beyond the limits: {'; '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
