#!/usr/bin/env python3
"""make_bpe_golden.py - makes tests/data/tokenizer/pipelines.txt and strings.txt, models.txt beside it.

The reference is Hugging Face's tokenizers, and for tiktoken files tiktoken:

    pip install tokenizers==0.23.3 tiktoken==0.14.0
    python3 tests/reference/make_bpe_golden.py

models.txt: "model NAME JSON" a line: vocabularies learnt from corpus.txt (make_tokenizer_golden.py says what that is).
The byte-level one is learnt from text that is not cut, so that its tokens cross every place where a pre-tokeniser may
cut, and each cut shows in the ids.
strings.txt: awkward strings, one a line in hexadecimal digits.
pipelines.txt: for each tokenizer two lines and its ids:
    case NAME MODEL PRE WHOLE EVERY    PRE: the name that GGUF has for it, or "-"; "=NAME": built by that name, for the
                                       JSON cannot say it to us; WHOLE: 1 for ignore_merges; EVERY: of the strings
                                       every so many are used
    JSON                               all of the tokenizer.json but for its model
    letters                            four for each string: the low 24 bits of FNV-1a (64 bits) over its ids as
                                       little-endian 32-bit words, in Base64
tiktoken.model, tiktoken.ids: a file in tiktoken's form and its letters with cl100k's expression.

SPDX-License-Identifier: MIT
"""
import base64
import copy
import json
import random
import struct

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

import make_tokenizer_golden as awkward

DATA = awkward.DATA
SPACE = "\u2581"

GPT2, LLAMA3, QWEN2, TEKKEN = awkward.GPT2, awkward.LLAMA3, awkward.QWEN2, awkward.TEKKEN
SHORT = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
QWEN35 = (SHORT + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CASED = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
GPT4O = (rf"[^\r\n\p{{L}}\p{{N}}]?{CASED[0]}*{CASED[1]}+{SHORT}?|[^\r\n\p{{L}}\p{{N}}]?{CASED[0]}+{CASED[1]}*{SHORT}?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
HAN = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
KIMI = (rf"[\p{{Han}}]+|[^\r\n\p{{L}}\p{{N}}]?{HAN[0]}*{HAN[1]}+{SHORT}?"
        rf"|[^\r\n\p{{L}}\p{{N}}]?{HAN[0]}+{HAN[1]}*{SHORT}?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BLOOM = " ?[^(\\s|[.,!?…。，、।۔،])]+"
CJK = "[一-龥\u3040-ゟ゠-ヿ]+"
DEEPSEEK3 = ("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
             "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")
DEEPSEEK_WORDS = (
    "\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373"
    "\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f"
    "\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79"
    "-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-"
    "\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-"
    "\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-"
    "\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-"
    "\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2"
    "\U000118a0-\U000118df\U0001e900-\U0001e943]+")
DEEPSEEK_CJK = "[一-龥ࠀ-一가-\ud7ff]+"


def byte_level(regex, prefix=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def digits(one_by_one):
    return {"type": "Digits", "individual_digits": one_by_one}


def punctuation(behavior):
    return {"type": "Punctuation", "behavior": behavior}


def stages(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def normal(*steps):
    return {"type": "Sequence", "normalizers": list(steps)}


def by_regex(*patterns):
    return stages(*map(split, patterns), byte_level(False))


def replace(pattern, content, kind="String"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def metaspace(scheme, cut):
    return {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": cut}


def bert(lowercase, accents=None):
    return {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": accents,
            "lowercase": lowercase}


NFC = {"type": "NFC"}
PREPEND = {"type": "Prepend", "prepend": SPACE}
ESCAPE = replace(" ", SPACE)
PLAIN = byte_level(True)
CUT = split(r"\p{N}|--", "Isolated")

# name: (model, name in GGUF, ignore_merges, every so many strings, normalizer, pre_tokenizer)
CASES = {
    "gpt-2": ("bytes", "gpt-2", 0, 1, None, PLAIN),
    "llama-3": ("bytes", "llama-bpe", 1, 1, None, by_regex(LLAMA3)),
    "llama-3-merging": ("bytes", "smaug-bpe", 0, 1, None, by_regex(LLAMA3)),
    "qwen-2": ("bytes", "qwen2", 0, 1, NFC, by_regex(QWEN2)),
    "qwen-2-plain": ("bytes", "deepseek-r1-qwen", 0, 1, None, by_regex(QWEN2)),
    "qwen-3.5": ("bytes", "qwen35", 0, 1, None, by_regex(QWEN35)),
    "tekken": ("bytes", "tekken", 1, 1, None, by_regex(TEKKEN)),
    "gpt-4o": ("bytes", "gpt-4o", 0, 1, None, by_regex(GPT4O)),
    "gpt-4o-npm": ("bytes", "gpt-4o", 0, 1, None, stages(split(GPT4O, "Removed", True), byte_level(False))),
    "kimi-k2": ("bytes", "=kimi-k2", 0, 1, None, by_regex(KIMI)),
    "smollm": ("bytes", "smollm", 0, 1, None, stages(digits(True), PLAIN)),
    "command-r": ("bytes", "command-r", 0, 1, NFC, stages(digits(True), PLAIN)),
    "olmo": ("bytes", "olmo", 0, 1, NFC, PLAIN),
    "falcon": ("bytes", "falcon", 0, 1, None,
               stages(punctuation("Contiguous"), PLAIN, digits(False), split("[0-9][0-9][0-9]"))),
    "bloom": ("bytes", "bloom", 0, 1, None, by_regex(BLOOM)),
    "viking": ("bytes", "viking", 0, 1, None, by_regex(BLOOM, r"\p{N}")),
    "deepseek-llm": ("bytes", "deepseek-llm", 0, 1, None,
                     stages(split("[\r\n]"), split(DEEPSEEK_WORDS), split("\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+"),
                            split(r"\s+$"), split(DEEPSEEK_CJK), digits(False), byte_level(False))),
    "deepseek-coder": ("bytes", "deepseek-coder", 0, 1, None,
                       stages(split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(DEEPSEEK_CJK),
                              digits(True), byte_level(False))),
    "deepseek-v3": ("bytes", "deepseek-v3", 0, 1, None, by_regex(r"\p{N}{1,3}", CJK, DEEPSEEK3)),
    "superbpe": ("bytes", "-", 0, 4, None, by_regex(r"\p{N}+", r"(?=(\d{3})+(?!\d))")),
    "prefix-space": ("bytes", "-", 0, 4, None, byte_level(True, True)),
    "uncut": ("bytes", "-", 0, 4, None, byte_level(False)),
    "removed": ("bytes", "-", 0, 4, None, stages(split(r"[aeiou]+|\s", "Removed"), byte_level(False))),
    "kept": ("bytes", "-", 0, 4, None, stages(split(r"[aeiou]+|\s", "Removed", True), byte_level(False))),
    "previous": ("bytes", "-", 0, 4, None, stages(split(r"[aeiou]|\s", "MergedWithPrevious"), byte_level(False))),
    "previous-inverted": ("bytes", "-", 0, 4, None,
                          stages(split(r"[aeiou]|\s", "MergedWithPrevious", True), byte_level(False))),
    "next": ("bytes", "-", 0, 4, None, stages(split(r"[aeiou]|\s", "MergedWithNext"), byte_level(False))),
    "next-inverted": ("bytes", "-", 0, 4, None,
                      stages(split(r"[aeiou]|\s", "MergedWithNext", True), byte_level(False))),
    "contiguous": ("bytes", "-", 0, 4, None, stages(split(r"[aeiou]|\s", "Contiguous"), byte_level(False))),
    "isolated-inverted": ("bytes", "-", 0, 4, None, stages(split(r"[aeiou]|\s", "Isolated", True), byte_level(False))),
    "string": ("bytes", "-", 0, 4, None, stages(split(". ", "MergedWithPrevious", False, "String"), byte_level(False))),
    "classes": ("bytes", "-", 0, 4, None, by_regex(r"\w+|\W|\h", r"[\w\s[,;]]{2,3}", r"^t|e$|\u0301|(?m:a.)")),
    "whitespace": ("bytes", "-", 0, 4, None, stages({"type": "Whitespace"}, byte_level(False))),
    "whitespace-split": ("bytes", "-", 0, 4, None, stages({"type": "WhitespaceSplit"}, byte_level(False))),
    "bert-words": ("bytes", "-", 0, 4, None, stages({"type": "BertPreTokenizer"}, byte_level(False))),
    "punctuation": ("bytes", "-", 0, 4, None, stages(punctuation("Isolated"), CUT, byte_level(False))),
    "nfd-lower": ("bytes", "-", 0, 4, normal({"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}), PLAIN),
    "nfkc": ("bytes", "-", 0, 4, {"type": "NFKC"}, PLAIN),
    "nfkd": ("bytes", "-", 0, 4, {"type": "NFKD"}, PLAIN),
    "bert-normal": ("bytes", "-", 0, 4, bert(True), PLAIN),
    "nmt-strip": ("bytes", "-", 0, 4, normal({"type": "Nmt"}, {"type": "Strip", "strip_left": True,
                                                               "strip_right": True}), PLAIN),
    "replace": ("bytes", "-", 0, 4, normal(replace("the", "a thing"), replace("\\s+", " ", "Regex"),
                                           {"type": "Prepend", "prepend": ">>"}), PLAIN),
    "llama-2": ("spm", "-", 0, 1, normal(PREPEND, ESCAPE), None),
    "gemma": ("spm", "-", 0, 1, ESCAPE, split(" ", "MergedWithPrevious", False, "String")),
    "metaspace-first": ("spm", "-", 0, 4, None, metaspace("first", False)),
    "metaspace-always": ("spm", "-", 0, 4, None, metaspace("always", False)),
    "metaspace-never": ("spm", "-", 0, 4, None, metaspace("never", False)),
    "unigram": ("unigram", "-", 0, 1, replace(" {2,}", " ", "Regex"), metaspace("always", True)),
    "unigram-words": ("unigram", "-", 0, 4, {"type": "NFKC"}, stages({"type": "WhitespaceSplit"},
                                                                    metaspace("always", True))),
    "bert-uncased": ("wordpiece", "-", 0, 1, bert(True), {"type": "BertPreTokenizer"}),
    "bert-cased": ("wordpiece", "-", 0, 4, bert(False), {"type": "BertPreTokenizer"}),
}

# content, special, lstrip, rstrip, single_word
ADDED = [("<|endoftext|>", True, False, False, False), ("<mask>", True, True, False, False),
         ("<after>", False, False, True, False), ("whole", False, False, False, True),
         ("<both>", False, True, True, False)]


def strings():
    """The lists of make_tokenizer_golden.py, then mixtures of them, of words, and of characters of many scripts."""
    rng = random.Random(4)
    made = list(dict.fromkeys(awkward.PLAIN + awkward.SPECIAL))
    text = (DATA / "corpus.txt").read_text(encoding="utf-8")
    parts = [s for s in made if 0 < len(s) < 30] + [a[0] for a in ADDED]
    while len(made) < 1000:
        made.append("".join(rng.choice(parts) for _ in range(rng.randint(2, 4)))[:60])
    added = [a[0] for a in ADDED] + ["wholesome", "the whole ", " ", "  ", "\n"]
    while len(made) < 1150:
        made.append("".join(rng.choice(added + parts[:40]) for _ in range(rng.randint(2, 5)))[:60])
    while len(made) < 1550:
        begin = rng.randrange(len(text) - 60)
        made.append(text[begin:begin + rng.randint(3, 50)])
    ranges = [(0x20, 0x7e), (0x20, 0x7e), (0x30, 0x39), (0xa1, 0x17f), (0x300, 0x345), (0x391, 0x3a1), (0x410, 0x44f),
              (0x5d0, 0x5ea), (0x621, 0x64a), (0x905, 0x939), (0xe01, 0xe30), (0x10d0, 0x10f0), (0x1100, 0x1112),
              (0x1161, 0x1175), (0x11a8, 0x11c2), (0x1e00, 0x1eff), (0x2010, 0x2027), (0x2070, 0x2071),
              (0x2080, 0x208e), (0x2160, 0x2188), (0x2460, 0x249b), (0x3041, 0x3096), (0x30a1, 0x30fa),
              (0x4e00, 0x4e80), (0xac00, 0xac40),
              (0xf900, 0xf910), (0xfb00, 0xfb06), (0xff01, 0xff5e), (0x1d400, 0x1d454), (0x1f600, 0x1f64f)]
    while len(made) < 2000:
        few = rng.sample(ranges, 3)
        made.append("".join(chr(rng.randint(*rng.choice(few))) for _ in range(rng.randint(1, 16))))
    return made


def learn():
    text = (DATA / "corpus.txt").read_text(encoding="utf-8")
    lines = text.split("\n")
    found = {}
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.train_from_iterator(lines + awkward.PLAIN, trainers.BpeTrainer(
        vocab_size=900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, max_token_length=12))
    found["bytes"] = json.loads(tokenizer.to_str())["model"]

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=900, show_progress=False, special_tokens=["<unk>"] + [f"<0x{i:02X}>" for i in range(256)]))
    found["spm"] = json.loads(tokenizer.to_str())["model"]

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(lines, trainers.UnigramTrainer(vocab_size=500, show_progress=False, unk_token="<unk>",
                                                                 special_tokens=["<unk>"]))
    found["unigram"] = json.loads(tokenizer.to_str())["model"]
    # With it "---" has two ways of the same probability, of which rounding chooses; ours rounds as SentencePiece does.
    found["unigram"]["vocab"] = [entry for entry in found["unigram"]["vocab"] if entry[0] != "--"]

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=500, show_progress=False,
                                                                   special_tokens=["[UNK]"]))
    found["wordpiece"] = json.loads(tokenizer.to_str())["model"]
    for model in found.values():
        model.pop("ignore_merges", None)
    return found


def letters(ids):
    h = 0xcbf29ce484222325
    for byte in struct.pack(f"<{len(ids)}I", *ids):
        h = (h ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return base64.b64encode((h & 0xffffff).to_bytes(3, "big")).decode()


def put_letters(f, all_ids):
    line = "".join(map(letters, all_ids))
    for i in range(0, len(line), 112):
        f.write(line[i:i + 112] + "\n")


def pipeline(model, normalizer, pre_tokenizer):
    first = len(model["vocab"])
    added = [{"id": first + i, "content": text, "single_word": word, "lstrip": left, "rstrip": right,
              "normalized": False, "special": special}
             for i, (text, special, left, right, word) in enumerate(ADDED)]
    return {"added_tokens": added, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": None,
            "decoder": None}


def dump(value):
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def make_tiktoken(model, texts):
    import tiktoken

    byte_of = {c: bytes([b]) for b, c in awkward_alphabet().items()}
    ranks = {b"".join(byte_of[c] for c in token): i for token, i in model["vocab"].items()}
    with open(DATA / "tiktoken.model", "w", encoding="ascii", newline="\n") as f:
        for token, rank in ranks.items():
            f.write(f"{base64.b64encode(token).decode()} {rank}\n")
    encoding = tiktoken.Encoding("small", pat_str=LLAMA3, mergeable_ranks=ranks, special_tokens={})
    with open(DATA / "tiktoken.ids", "w", encoding="ascii", newline="\n") as f:
        put_letters(f, (encoding.encode_ordinary(text) for text in texts))


def awkward_alphabet():
    """GPT-2's characters of the bytes."""
    plain = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(rest)}


def main():
    found = learn()
    texts = strings()
    with open(DATA / "models.txt", "w", encoding="ascii", newline="\n") as f:
        for name, model in found.items():
            f.write(f"model {name} {dump(model)}\n")
    with open(DATA / "strings.txt", "w", encoding="ascii", newline="\n") as f:
        f.writelines(text.encode().hex() + "\n" for text in texts)
    with open(DATA / "pipelines.txt", "w", encoding="ascii", newline="\n") as f:
        for name, (model_name, pre, whole, every, normalizer, pre_tokenizer) in CASES.items():
            model = copy.copy(found[model_name])
            rest = pipeline(model, normalizer, pre_tokenizer)
            if whole:
                model["ignore_merges"] = True
            tokenizer = Tokenizer.from_str(json.dumps({"version": "1.0"} | rest | {"model": model}))
            f.write(f"case {name} {model_name} {pre} {whole} {every}\n{dump(rest)}\n")
            put_letters(f, (tokenizer.encode(text, add_special_tokens=False).ids for text in texts[::every]))
    make_tiktoken(found["bytes"], texts)
    print(len(CASES), "tokenizers,", len(texts), "strings")


if __name__ == "__main__":
    main()
