#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_format_golden.py - writes tests/data/format/ with other people's libraries: gguf, safetensors, tokenizers.

The tests read these files and compare with values that the same libraries computed, so nothing shares code with Trit.

    pip install gguf==0.19.0 safetensors==0.8.0 tokenizers==0.23.3 numpy
    python3 tests/reference/make_format_golden.py

golden.gguf         every type of key; per tensor type T: T.source (F32), T (quantised), T.decoded (F32, dequantised)
golden.safetensors  a tensor of every type that Trit reads, a scalar, an empty tensor, metadata
vocabulary.gguf     the vocabulary of gpt2_style.json without a model
NAME.json, .tokens  tokenizer files and, a line a token: id, c for control, u for user-defined or n for normal, text
"""
import json
import pathlib

import gguf
import numpy as np
import safetensors.numpy
from gguf import GGMLQuantizationType as T, GGUFValueType as V
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

OUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "format"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
TEXT = ["the cat sat on the mat and the rat sat on the hat", "that is the thing that the cat thinks"] * 4


def sources(rng):
    """F32 matrices to quantise. The ternary ones hold 0.75 * {-1, 0, 1}; each quantised one has a block of zeros."""
    plain = (rng.standard_normal((3, 64)) * np.exp2(rng.integers(-18, 12, (3, 64)))).astype(np.float32)
    plain[0, :6] = [0, -0.0, 65504, -65519, 1e-7, 2.0 ** -25]
    plain[0, 6:10] = [1 + 2.0 ** -11, 1 + 3 * 2.0 ** -11, 1 + 2.0 ** -8, 1 + 3 * 2.0 ** -8]  # ties of F16 and of BF16
    blocks = rng.standard_normal((3, 64)).astype(np.float32)
    blocks[1, :32] = 0
    blocks[2, :32] = np.arange(-16, 16)
    blocks[2, 0] = 127  # d = 1: all others are integers and halves
    blocks[2, 1:6] = [0.5, -0.5, 1.5, -1.5, 2.5]
    trits = rng.integers(-1, 2, (3, 256)).astype(np.float32) * 0.75
    trits[1] = 0
    return {T.F16: plain, T.BF16: plain, T.Q8_0: blocks, T.TQ1_0: trits, T.TQ2_0: trits}


def make_gguf(path, rng):
    w = gguf.GGUFWriter(path, "golden")
    numbers = {
        "u8": (w.add_uint8, 200, V.UINT8), "i8": (w.add_int8, -100, V.INT8), "u16": (w.add_uint16, 60000, V.UINT16),
        "i16": (w.add_int16, -30000, V.INT16), "u32": (w.add_uint32, 4000000000, V.UINT32),
        "i32": (w.add_int32, -2000000000, V.INT32), "u64": (w.add_uint64, 10 ** 19, V.UINT64),
        "i64": (w.add_int64, -5 * 10 ** 18, V.INT64), "f32": (w.add_float32, 0.15625, V.FLOAT32),
        "f64": (w.add_float64, 0.1, V.FLOAT64), "bool": (w.add_bool, True, V.BOOL),
    }
    for name, (add, value, kind) in numbers.items():
        add("one." + name, value)
        w.add_key_value("list." + name, [value, 1, 0], V.ARRAY, sub_type=kind)
    w.add_string("one.string", "Größe \u4e2d")
    w.add_array("list.string", ["", "a", "bc\n", "Größe"])
    w.add_tensor("f32", np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 8 - 1)  # dims 4, 3, 2 in the file
    for kind, x in sources(rng).items():
        q = gguf.quants.quantize(x, kind)
        decoded = gguf.quants.dequantize(q, kind).reshape(x.shape).astype(np.float32)
        w.add_tensor(kind.name + ".source", x)
        w.add_tensor(kind.name, q.view(np.uint8), raw_dtype=kind)
        w.add_tensor(kind.name + ".decoded", decoded)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def make_safetensors(path):
    numbers = np.array([[0, 1, 2], [3, 100, 7]])
    tensors = {name: numbers.astype(kind) for name, kind in {
        "f64": np.float64, "f32": np.float32, "f16": np.float16, "i64": np.int64, "u64": np.uint64, "i32": np.int32,
        "u32": np.uint32, "u16": np.uint16, "i8": np.int8, "u8": np.uint8}.items()}
    tensors["scalar"] = np.array(-2.5, dtype=np.float32)
    tensors["empty"] = np.zeros((0, 5), dtype=np.float32)
    safetensors.numpy.save_file(tensors, path, metadata={"format": "np", "note": 'quote " and \\ and Größe\n'})
    path.chmod(0o644)


def save_tokenizer(name, tok, pairs):
    text = json.loads(tok.to_str())
    merges = [m.split(" ") if isinstance(m, str) else m for m in text["model"]["merges"]]
    text["model"]["merges"] = merges if pairs else [" ".join(m) for m in merges]
    (OUT / f"{name}.json").write_text(json.dumps(text, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    Tokenizer.from_file(str(OUT / f"{name}.json"))  # still a tokenizer to its own library
    added = tok.get_added_tokens_decoder()
    lines = []
    for i in range(tok.get_vocab_size()):
        kind = "n" if i not in added else "c" if added[i].special else "u"
        lines.append(f"{i} {kind} {tok.id_to_token(i)}\n")
    (OUT / f"{name}.tokens").write_text("".join(lines), encoding="utf-8")


def make_tokenizers():
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    train = dict(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tok.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=276, special_tokens=["<|endoftext|>"], **train))
    tok.add_tokens([AddedToken("<user tag>", normalized=False)])
    save_tokenizer("gpt2_style", tok, pairs=False)

    tok = Tokenizer(models.BPE(ignore_merges=True))
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=272, **train))
    tok.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"])
    begin = tok.token_to_id("<|begin_of_text|>")
    tok.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A $B:1",
                                      special_tokens=[("<|begin_of_text|>", begin)])])
    save_tokenizer("llama3_style", tok, pairs=True)


def make_vocabulary(path, name):
    """A GGUF file with the vocabulary of NAME.json and nothing else, as llama.cpp's converter writes them."""
    tok = json.loads((OUT / f"{name}.json").read_text(encoding="utf-8"))
    rows = [line.split(" ", 2) for line in (OUT / f"{name}.tokens").read_text(encoding="utf-8").splitlines()]
    kinds = {"n": gguf.TokenType.NORMAL, "c": gguf.TokenType.CONTROL, "u": gguf.TokenType.USER_DEFINED}
    w = gguf.GGUFWriter(path, "llama")
    w.add_type("vocab")
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list([text for _, _, text in rows])
    w.add_token_types([kinds[kind] for _, kind, _ in rows])
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in tok["model"]["merges"]])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    make_gguf(OUT / "golden.gguf", np.random.default_rng(158))
    make_safetensors(OUT / "golden.safetensors")
    make_tokenizers()
    make_vocabulary(OUT / "vocabulary.gguf", "gpt2_style")


if __name__ == "__main__":
    main()
