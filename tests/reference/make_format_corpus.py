#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_format_corpus.py - writes the seeds of tests/fuzz/corpus/ for the file formats. Standard library only.

Small files that reach each part of a parser; the fuzzer does the rest.
"""
import json
import pathlib
import struct

OUT = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "corpus"
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)"
         r"|\s+")
U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def key(name, kind, value):
    return text(name) + struct.pack("<I", kind) + value


def array(kind, n, elements):
    return struct.pack("<IQ", kind, n) + elements


def gguf_file(keys, tensors, version=3):
    """tensors: (name, type, dims, data)"""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys)
    data = b""
    for name, kind, dims, content in tensors:
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(data))
        data += content + bytes(-len(content) % 32)
    return head + (bytes(-len(head) % 32) + data if tensors else b"")


def gguf_seeds():
    arch = key("general.architecture", STRING, text("bitnet"))
    vocab = [
        key("tokenizer.ggml.model", STRING, text("gpt2")),
        key("tokenizer.ggml.pre", STRING, text("gpt-2")),
        key("tokenizer.ggml.tokens", ARRAY, array(STRING, 3, text("a") + text("b") + text("ab"))),
        key("tokenizer.ggml.token_type", ARRAY, array(5, 3, struct.pack("<3i", 1, 1, 3))),
        key("tokenizer.ggml.scores", ARRAY, array(F32, 3, struct.pack("<3f", 0, -1, 2))),
        key("tokenizer.ggml.merges", ARRAY, array(STRING, 1, text("a b"))),
        key("tokenizer.ggml.bos_token_id", U32, struct.pack("<I", 2)),
        key("tokenizer.ggml.add_bos_token", BOOL, b"\1"),
        key("tokenizer.chat_template", STRING, text("{{ x }}")),
    ]
    scalars = [key(f"k{kind}", kind, bytes(size)) for kind, size in
               [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (6, 4), (7, 1), (10, 8), (11, 8), (12, 8)]]
    arrays = [key(f"a{kind}", ARRAY, array(kind, 2, bytes(2 * size))) for kind, size in [(0, 1), (7, 1), (12, 8)]]
    half = struct.pack("<H", 0x3C00)
    tensors = [
        ("f32", 0, [2, 3], bytes(24)), ("f16", 1, [4], bytes(8)), ("bf16", 30, [1, 2, 1, 2], bytes(8)),
        ("q8_0", 8, [32], half + bytes(range(32))), ("tq1_0", 34, [256], bytes(range(52)) + half),
        ("tq2_0", 35, [256], b"\x55" * 64 + half), ("i2_s", 36, [128], b"\x99" * 32 + struct.pack("<f28x", 0.5)),
        ("q6_k", 14, [256], bytes(210)),
    ]
    mixed = bytes(i * 37 % 251 for i in range(1024))
    others = [(2, 32, 18), (3, 32, 20), (6, 32, 22), (7, 32, 24), (10, 256, 84), (11, 256, 110), (12, 256, 144),
              (13, 256, 176), (15, 256, 292), (20, 32, 18), (24, 8, 8), (28, 4, 32), (41, 128, 18), (42, 64, 18),
              (134, 64, 15), (135, 64, 20)]
    types = [(f"t{kind}", kind, [cols], mixed[:size]) for kind, cols, size in others]
    types += [("r4", 335, [64, 4], mixed[:80]), ("i2", 36, [128, 4], b"\x58" * 128 + struct.pack("<f28x", 2))]
    return {
        "types.gguf": gguf_file([arch], types),
        "q2_0_g128.gguf": gguf_file([arch], [("a", 42, [128, 2], mixed[:68]), ("b", 42, [128, 4], mixed[:136])]),
        "mxfp4.gguf": gguf_file([arch], [("a", 39, [32, 4], mixed[:68]), ("b", 0, [2], bytes(8))]),
        "keys.gguf": gguf_file([arch] + scalars + arrays, []),
        "vocabulary.gguf": gguf_file([arch] + vocab, []),
        "tensors.gguf": gguf_file([arch], tensors),
        "version2_align8.gguf": gguf_file([key("general.alignment", U32, struct.pack("<I", 8))], tensors[:1], 2),
    }


def safetensors_file(header, data):
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


def safetensors_seeds():
    two = {"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
           "e": {"dtype": "BF16", "shape": [0], "data_offsets": [16, 16]},
           "s": {"dtype": "U8", "shape": [], "data_offsets": [16, 17]}}
    return {"two.safetensors": safetensors_file(two, bytes(17)), "none.safetensors": safetensors_file({}, b""),
            "meta.safetensors": safetensors_file({"__metadata__": {"a": "b\n"}}, b"")}


def tokenizer_seeds():
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    split = {"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": False}
    gpt2 = {"added_tokens": [{"id": 3, "content": "<s>", "special": True}], "normalizer": None, "pre_tokenizer": level,
            "model": {"type": "BPE", "unk_token": "<s>", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
            "post_processor": {"type": "TemplateProcessing", "single": [
                {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]}}
    qwen2 = dict(gpt2, normalizer={"type": "NFC"}, post_processor=level)
    qwen2["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, dict(level, use_regex=False)]}
    qwen2["model"] = dict(gpt2["model"], merges=[["a", "b"]])
    return {"gpt2.json": json.dumps(gpt2).encode(), "qwen2.json": json.dumps(qwen2).encode()}


def main():
    for name, seeds in [("gguf", gguf_seeds()), ("safetensors", safetensors_seeds()),
                        ("tokenizer_json", tokenizer_seeds())]:
        (OUT / name).mkdir(parents=True, exist_ok=True)
        for file, content in seeds.items():
            (OUT / name / file).write_bytes(content)


if __name__ == "__main__":
    main()
