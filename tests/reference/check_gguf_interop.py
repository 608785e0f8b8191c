#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_gguf_interop.py - reads files that Trit wrote with the formats' own libraries; not part of `make test`.

    pip install gguf==0.19.0 safetensors==0.8.0 numpy
    python3 tests/reference/check_gguf_interop.py FILE.gguf|FILE.safetensors...
    python3 tests/reference/check_gguf_interop.py --peer build/dev/tests/print_logits PEER_LOGITS FILE.gguf...

With --peer another engine (peer_logits.c, built against llama.cpp, ik_llama.cpp or bitnet.cpp) computes the logits
of 16 made-up tokens of each file, which are compared with Trit's: `rms` is about 1e-3 where the mathematics is the
same, 2e-2 where the engines quantise activations differently.

For each file: every key and tensor is read, ternary types are dequantised and must hold -d, 0 and d only, vocabulary
lists must have one length. bitnet.cpp's I2_S is no type of the gguf package; such files need bitnet.cpp itself.
"""
import subprocess
import sys

import gguf
import numpy as np
import safetensors
from gguf import GGMLQuantizationType as T


def check_gguf(path):
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert next(n for n in reader.fields if not n.startswith("GGUF.")) == "general.architecture"
    lists = {len(fields[n]) for n in ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.scores")
             if n in fields}
    assert len(lists) <= 1, f"vocabulary lists of lengths {lists}"
    for t in reader.tensors:
        values = gguf.quants.dequantize(t.data, t.tensor_type)
        assert values.size == t.n_elements, t.name
        assert np.isfinite(values).all(), f"{t.name}: not finite"
        if t.tensor_type in (T.TQ1_0, T.TQ2_0):
            magnitudes = np.unique(np.abs(values))
            assert len(magnitudes[magnitudes > 0]) <= 1, f"{t.name}: several scales"
    kinds = sorted({t.tensor_type.name for t in reader.tensors})
    print(f"{path}: ok, {len(fields)} keys, {len(reader.tensors)} tensors: {' '.join(kinds)}")


def check_safetensors(path):
    with safetensors.safe_open(path, framework="numpy") as f:
        kinds = set()
        for name in f.keys():
            kinds.add(f.get_slice(name).get_dtype())
            f.get_slice(name).get_shape()
        print(f"{path}: ok, {len(f.metadata() or {})} metadata, {len(f.keys())} tensors: {' '.join(sorted(kinds))}")


def logits(program, path, n_vocab):
    ids = [str((i * 7919 + i * i) % n_vocab) for i in range(16)]
    r = subprocess.run([program, path, *ids], capture_output=True, text=True)
    if r.returncode:
        return None, (r.stderr.strip().splitlines() or [f"ends with {r.returncode}"])[0]
    return np.array([[float(x) for x in line.split()] for line in r.stdout.splitlines()]), ""


def check_peer(ours, peer, path):
    embedding = next(t for t in gguf.GGUFReader(path).tensors if t.name == "token_embd.weight")
    n_vocab = int(embedding.shape[1])
    (want, why), (got, why_not) = logits(ours, path, n_vocab), logits(peer, path, n_vocab)
    if want is None or got is None:
        print(f"{path}: does not run: {why or why_not}")
        return
    rms = np.sqrt(((got - want) ** 2).mean() / (want ** 2).mean())
    print(f"{path}: rms {rms:.1e}, the same likeliest token for {(got.argmax(1) == want.argmax(1)).mean():.0%}")


def main():
    if sys.argv[1] == "--peer":
        for path in sys.argv[4:]:
            check_peer(sys.argv[2], sys.argv[3], path)
        return
    for path in sys.argv[1:]:
        (check_safetensors if path.endswith(".safetensors") else check_gguf)(path)


if __name__ == "__main__":
    main()
