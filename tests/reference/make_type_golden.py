#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_type_golden.py - writes tests/data/format/types.gguf: element types as other programs read and write them.

Nothing here shares code with Trit: numbers come from the Python package gguf, from llama.cpp's libggml-base.so, from
files that bitnet.cpp's and ik_llama.cpp's llama-quantize wrote, and from bitnet.cpp's converter.

    pip install gguf==0.19.0 numpy
    python3 tests/reference/make_type_golden.py LIBGGML_BASE BITNET_QUANTIZE IK_QUANTIZE BITNET_CONVERTER

LIBGGML_BASE      libggml-base.so of llama.cpp v0.5.0 (ggml 0.25)
BITNET_QUANTIZE   llama-quantize of bitnet.cpp, built for x86 with its default options
IK_QUANTIZE       llama-quantize of ik_llama.cpp
BITNET_CONVERTER  bitnet.cpp's utils/convert-hf-to-gguf-bitnet.py

types.gguf, all tensors but F32 as bytes (I8), since their numbers mean different things to different programs:
    T.bytes, T.decoded   rows of random blocks, as dequantised by gguf or libggml-base (I8, F64: by NumPy)
    source, T.encoded    numbers, as quantised by libggml-base's reference quantiser
    ternary              scale * {-1, 0, 1}, as quantised by llama-quantize:
    T.quantized          ... of bitnet.cpp (I2_S) and of ik_llama.cpp (IQ1_BN, IQ2_BN, IQ2_BN_R4)
tl.txt               a line a tensor that bitnet.cpp's converter packed: type, rows, columns, bytes, FNV-1a of them;
                     weights are pattern(row * columns + column) below
split-*.gguf         a model in three files, by gguf
"""
import configparser
import ctypes
import pathlib
import re
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

OUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "format"
ROWS = 2

# Where the scales of a block are: as F16 at these bytes; Q8_K has a float.
BLOCKS = {"Q4_0": (2, 32, 18, [0]), "Q4_1": (3, 32, 20, [0, 2]), "Q5_0": (6, 32, 22, [0]), "Q5_1": (7, 32, 24, [0, 2]),
          "Q8_0": (8, 32, 34, [0]), "IQ4_NL": (20, 32, 18, [0]), "Q2_K": (10, 256, 84, [80, 82]),
          "Q3_K": (11, 256, 110, [108]), "Q4_K": (12, 256, 144, [0, 2]), "Q5_K": (13, 256, 176, [0, 2]),
          "Q6_K": (14, 256, 210, [208]), "Q8_K": (15, 256, 292, []), "TQ1_0": (34, 256, 54, [52]),
          "TQ2_0": (35, 256, 66, [64]), "Q1_0": (41, 128, 18, [0]), "Q2_0": (42, 64, 18, [0])}
ENCODED = ["Q4_0", "Q8_0", "Q6_K", "TQ1_0", "TQ2_0", "Q1_0", "Q2_0"]
# The tables of the models that bitnet.cpp publishes: rows, columns, tile rows, tile columns, strip rows.
TL1 = [(1024, 4096, 128, 64, 64), (1536, 1536, 128, 64, 64), (1536, 4096, 256, 128, 32)]
TL2 = [(1024, 4096, 256, 96, 32), (1536, 1536, 128, 192, 32), (1536, 4096, 256, 96, 32)]


def pattern(n):
    i = np.arange(n, dtype=np.uint64)
    return ((i * np.uint64(2654435761) >> np.uint64(7)) % np.uint64(3)).astype(np.int8) - 1


def random_blocks(rng, name):
    """Any bytes, but scales that are ordinary numbers, one of them negative and one 0."""
    _, elements, size, scales = BLOCKS[name]
    n = ROWS * max(elements, 64) // elements
    blocks = rng.integers(0, 256, (n, size), dtype=np.uint8)
    if name == "TQ1_0":  # bytes that five digits make
        blocks = ((rng.integers(0, 243, (n, size)) * 256 + 242) // 243).astype(np.uint8)
    for at in scales:
        d = (rng.standard_normal(n) / 16).astype(np.float16)
        d[-1] = 0 if at else d[-1]
        blocks[:, at:at + 2] = d.view(np.uint8).reshape(n, 2)
    if name == "Q8_K":
        blocks[:, :4] = (rng.standard_normal(n) / 16).astype(np.float32).view(np.uint8).reshape(n, 4)
    return blocks


def dequantise(lib, name, blocks):
    number, elements, _, _ = BLOCKS[name]
    if name not in ("Q8_K", "Q1_0", "Q2_0"):
        return gguf.quants.dequantize(blocks, T(number)).astype(np.float32).reshape(ROWS, -1)
    out = np.zeros((ROWS, blocks.shape[0] * elements // ROWS), np.float32)
    f = getattr(lib, "dequantize_row_" + (name.lower() if name != "Q8_K" else "q8_K"))
    f(blocks.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(out.size))
    return out


def quantise(lib, name, x):
    _, elements, size, _ = BLOCKS[name]
    out = np.zeros(x.size // elements * size, np.uint8)
    f = getattr(lib, "quantize_row_" + name.lower().replace("_k", "_K") + "_ref")
    f(x.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(x.size))
    return out


def sources(rng):
    x = rng.standard_normal((6, 256)).astype(np.float32)
    x[1] *= np.exp2(rng.integers(-12, 8, 256)).astype(np.float32)
    x[2] = 0
    x[2, 128:] = rng.integers(-1, 2, 128) * np.float32(0.0421)
    x[3] = np.round(x[3] * 8) / 8  # ties
    x[4, :16] = 0
    x[5] = np.float32(0.3) * np.where(rng.integers(0, 2, 256), 1, -1)
    return x


def write_model(path, weights):
    """A network of one layer whose key projection is `weights` [16, 256]; all others hold its rows again."""
    w = gguf.GGUFWriter(path, "llama")
    w.add_block_count(1)
    w.add_context_length(64)
    w.add_embedding_length(256)
    w.add_feed_forward_length(256)
    w.add_head_count(16)
    w.add_head_count_kv(1)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(16)
    w.add_vocab_size(32)
    w.add_tokenizer_model("llama")
    w.add_token_list([f"<{i}>" for i in range(32)])
    w.add_token_scores([0.0] * 32)
    w.add_token_types([1] * 32)
    square = np.tile(weights, (16, 1))
    one = np.ones(256, np.float32)
    w.add_tensor("token_embd.weight", np.tile(weights, (2, 1)))
    w.add_tensor("output.weight", np.tile(weights, (2, 1)))
    w.add_tensor("output_norm.weight", one)
    for name in ("attn_norm", "ffn_norm"):
        w.add_tensor(f"blk.0.{name}.weight", one)
    for name in ("attn_k", "attn_v"):
        w.add_tensor(f"blk.0.{name}.weight", weights)
    for name in ("attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        w.add_tensor(f"blk.0.{name}.weight", square)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def tensor_bytes(path, name, size):
    """The bytes of a tensor in a file whose type numbers the package does not know: its info is found by its name."""
    data = pathlib.Path(path).read_bytes()
    at = data.index(name.encode() + b"\x02\x00\x00\x00") + len(name)
    offset = int.from_bytes(data[at + 24:at + 32], "little")
    infos = [m.end() for m in re.finditer(rb"\.weight(?=[\x01\x02]\x00\x00\x00)", data)]
    end = max(e + 4 + 8 * data[e] + 12 for e in infos)
    start = (end + 31) // 32 * 32 + offset
    return np.frombuffer(data[start:start + size], np.uint8)


def quantised_by_tools(bitnet, ik, weights):
    out = {}
    rows, cols = weights.shape
    with tempfile.TemporaryDirectory() as folder:
        source, result = folder + "/in.gguf", folder + "/out.gguf"
        write_model(source, weights)
        for tool, name, size in ((bitnet, "I2_S", rows * cols // 4 + 32), (ik, "IQ1_BN", rows * (2 + cols // 64 * 13)),
                                 (ik, "IQ2_BN", rows * (4 + cols // 4)), (ik, "IQ2_BN_R4", rows * (4 + cols // 4))):
            subprocess.run([tool, source, result, name, "1"], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            out[name] = tensor_bytes(result, "blk.0.attn_k.weight", size)
    return out


def pack_tl(converter, rows):
    """Runs the two functions of the converter, cut out of its text, with a table of our own in place of its file."""
    text = pathlib.Path(converter).read_text()
    start, end = text.index("def process_tl1("), text.index("def transform_to_tl1(")
    names = {"np": np, "Tuple": tuple}
    exec(compile(text[start:end], converter, "exec"), names)  # noqa: S102
    lines = []
    for kind, table in (("TL1", TL1), ("TL2", TL2)):
        for m, k, bm, bk, bmm in table:
            def read(self, _path, shape=(m, k, bm, bk, bmm)):
                self.read_dict({"Kernels_0": dict(zip(("m", "k", "bm", "bk", "bmm"), shape))})
            configparser.ConfigParser.read = read
            weights = pattern(m * k).astype(np.float32).reshape(m, k)
            data = names[f"preprocess_weights_{kind.lower()}"](weights).astype(np.uint8).tobytes()
            h = 0xcbf29ce484222325
            for byte in data:
                h = (h ^ byte) * 0x100000001b3 & 0xffffffffffffffff
            lines.append(f"{kind} {m} {k} {len(data)} {h:016x}\n")
    rows.write_text("".join(lines))


def write_split(path):
    """Three parts, as the package splits: tensors a, b, c of 1, 2, 3 numbers, each its own length."""
    w = gguf.GGUFWriter(path, "golden", split_max_tensors=1)
    w.add_uint32("golden.number", 7)
    for i, name in enumerate("abc"):
        w.add_tensor(name, np.full(i + 1, i + 1, np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    lib_path, bitnet, ik, converter = sys.argv[1:]
    lib = ctypes.CDLL(lib_path)
    rng = np.random.default_rng(1584)
    w = gguf.GGUFWriter(OUT / "types.gguf", "golden")

    def add(name, data):
        w.add_tensor(name, data if data.dtype == np.float32 else data.reshape(-1).view(np.int8))

    for name in BLOCKS:
        blocks = random_blocks(rng, name)
        add(name + ".bytes", blocks)
        add(name + ".decoded", dequantise(lib, name, blocks))
    for name, kind in (("I8", np.int8), ("F64", np.float64)):
        x = rng.integers(-128, 128, (ROWS, 16)).astype(kind) * (1 if name == "I8" else 0.3)
        add(name + ".bytes", x.astype(kind).view(np.uint8))
        add(name + ".decoded", x.astype(np.float32))
    x = sources(rng)
    add("source", x)
    for name in ENCODED:
        add(name + ".encoded", quantise(lib, name, x))
    weights = (rng.integers(-1, 2, (16, 256)) * np.float32(0.0421)).astype(np.float32)
    weights[:, 0] = np.float32(0.0421)  # no row of zeros
    add("ternary", weights)
    for name, data in quantised_by_tools(bitnet, ik, weights).items():
        add(name + ".quantized", data)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    pack_tl(converter, OUT / "tl.txt")
    write_split(OUT / "split.gguf")


if __name__ == "__main__":
    main()
