#!/usr/bin/env python3
"""make_sampler_golden.py - prints the tokens that tests/test_sampler.c expects from seed 42.

splitmix64, xoshiro256** and the draw, in Python.

The logits are ln of 1..8 (probabilities i / 36); every token is drawn with u = 53 random bits against the running sum.
Candidates stand in the order of their tokens, since neither top-k nor top-p sorts them here.

SPDX-License-Identifier: MIT
"""
import math

M = (1 << 64) - 1


def splitmix(seed):
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & M
        z = seed
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & M
        z = (z ^ z >> 27) * 0x94D049BB133111EB & M
        yield z ^ z >> 31


def xoshiro(seed):
    def rotl(x, k):
        return (x << k | x >> (64 - k)) & M

    g = splitmix(seed)
    s = [next(g) for _ in range(4)]
    while True:
        yield rotl(s[1] * 5 & M, 7) * 9 & M
        t = s[1] << 17 & M
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotl(s[3], 45)


def main():
    weights = [math.exp(math.log(i)) for i in range(1, 9)]
    tokens, bits = [], xoshiro(42)
    for _ in range(32):
        u, token = (next(bits) >> 11) / 2**53, 0
        for token, w in enumerate(weights):
            u -= w / sum(weights)
            if u < 0:
                break
        tokens.append(token)
    print(", ".join(map(str, tokens)))


if __name__ == "__main__":
    main()
