#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""train_torch.py - speed of whole training steps in PyTorch, of the network that `trit bench --train` trains.

    pip install torch
    bench/train_torch.py --size 25m [--weights ternary|full] [--dtype bf16|f32] [--compile] [--seq-len 256] [--batch 16]

The network is written from the papers: RMSNorm, rotary embedding, grouped-query attention (PyTorch's own fused one),
SwiGLU; with ternary weights BitLinear with the detach trick for weights and activations, and sub-norms. AdamW (fused),
clipping, random tokens. Prints a JSON object: tokens_per_s (median of the steps after the warm-up), seconds of each
step, peak_rss_bytes, loss of the last step. bench/training runs this beside Trit.
"""
import argparse
import json
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

# V, L, D, F, H, K: the sizes of `trit train --size`
SIZES = {
    "260k": (512, 4, 64, 192, 4, 4), "1m": (2048, 4, 128, 384, 4, 2), "3m": (4096, 4, 256, 512, 8, 4),
    "5m": (4096, 5, 256, 768, 8, 4), "10m": (4096, 4, 512, 1024, 8, 4), "25m": (8192, 7, 512, 1536, 8, 4),
    "50m": (16384, 12, 512, 1536, 8, 4), "125m": (32768, 12, 768, 2048, 12, 6),
    "gpt2": (50257, 12, 768, 2048, 12, 12),  # GPT-2 124M: three matrices of 2048 for two of 3072
}


def through(x, quantised):
    return x + (quantised - x).detach()


class BitLinear(nn.Linear):
    def forward(self, x):
        scale = 127 / x.abs().amax(-1, keepdim=True).clamp(min=1e-5)
        x = through(x, (x * scale).round().clamp(-128, 127) / scale)
        g = self.weight.abs().mean().clamp(min=1e-5)
        return F.linear(x, through(self.weight, (self.weight / g).round().clamp(-1, 1) * g))


def linear(ternary, n_in, n_out):
    return (BitLinear if ternary else nn.Linear)(n_in, n_out, bias=False)


def norm(width, wanted=True):
    return nn.RMSNorm(width, eps=1e-5) if wanted else nn.Identity()


class Layer(nn.Module):
    def __init__(self, d, ff, heads, kv_heads, ternary):
        super().__init__()
        self.heads, self.kv_heads, self.width = heads, kv_heads, d // heads
        self.norm1, self.norm2 = norm(d), norm(d)
        self.sub1, self.sub2 = norm(d, ternary), norm(ff, ternary)
        self.q, self.o = linear(ternary, d, d), linear(ternary, d, d)
        self.k = linear(ternary, d, kv_heads * self.width)
        self.v = linear(ternary, d, kv_heads * self.width)
        self.gate, self.up, self.down = linear(ternary, d, ff), linear(ternary, d, ff), linear(ternary, ff, d)

    def forward(self, x, cos, sin):
        b, s, _ = x.shape
        h = self.norm1(x)
        q = self.q(h).view(b, s, self.heads, self.width).transpose(1, 2)
        k = self.k(h).view(b, s, self.kv_heads, self.width).transpose(1, 2)
        v = self.v(h).view(b, s, self.kv_heads, self.width).transpose(1, 2)
        q, k = (t * cos + torch.cat((-t[..., self.width // 2:], t[..., :self.width // 2]), -1) * sin for t in (q, k))
        y = F.scaled_dot_product_attention(q, k.to(q.dtype), v.to(q.dtype), is_causal=True,
                                           enable_gqa=self.heads != self.kv_heads)
        x = x + self.o(self.sub1(y.transpose(1, 2).reshape(b, s, -1)))
        h = self.norm2(x)
        return x + self.down(self.sub2(F.silu(self.gate(h)) * self.up(h)))


class Network(nn.Module):
    def __init__(self, v, layers, d, ff, heads, kv_heads, ternary, seq_len):
        super().__init__()
        self.embedding = nn.Embedding(v, d)
        self.layers = nn.ModuleList(Layer(d, ff, heads, kv_heads, ternary) for _ in range(layers))
        self.norm = norm(d)
        width = d // heads
        angle = torch.arange(seq_len)[:, None] * 10000.0 ** (-torch.arange(0, width, 2) / width)
        self.register_buffer("cos", torch.cat((angle, angle), -1).cos(), persistent=False)
        self.register_buffer("sin", torch.cat((angle, angle), -1).sin(), persistent=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        logits = F.linear(self.norm(x), self.embedding.weight)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--size", choices=SIZES, default="25m")
    p.add_argument("--weights", choices=("ternary", "full"), default="ternary")
    p.add_argument("--dtype", choices=("bf16", "f32"), default="bf16")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--seq-len", type=int, default=256)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--warmup", type=int, default=2)
    p.add_argument("--threads", type=int, default=0)
    a = p.parse_args()
    torch.manual_seed(1)
    if a.threads:
        torch.set_num_threads(a.threads)
    v, layers, d, ff, heads, kv_heads = SIZES[a.size]
    net = Network(v, layers, d, ff, heads, kv_heads, a.weights == "ternary", a.seq_len)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    run = torch.compile(net) if a.compile else net
    seconds = []
    for _ in range(a.warmup + a.steps):
        tokens = torch.randint(v, (a.batch, a.seq_len + 1))
        begin = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=a.dtype == "bf16"):
            loss = run(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - begin)
    measured = seconds[a.warmup:]
    json.dump({"engine": f"PyTorch {torch.__version__}", "threads": torch.get_num_threads(),
               "parameters": sum(p.numel() for p in net.parameters()),
               "tokens_per_s": a.batch * a.seq_len / statistics.median(measured), "seconds": seconds,
               "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
               "loss": loss.item()}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
