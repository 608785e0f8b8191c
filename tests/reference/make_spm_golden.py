#!/usr/bin/env python3
"""make_spm_golden.py - makes tests/data/spm: small SentencePiece and WordPiece vocabularies, awkward strings, what the
reference implementations make of them, and the corpora of the fuzzers for them.

    pip install sentencepiece==0.2.3 tokenizers==0.23.3 protobuf
    python3 tests/reference/make_spm_golden.py [--show NAME LINE]

The vocabularies are learnt from tests/data/tokenizer/corpus.txt (public domain and our own) by those packages, where
their files are missing: WordPiece's trainer never does the same twice.

NAME.model: of SentencePiece. NAME.vocab: of WordPiece, a token a line as Hugging Face has it. strings.txt: a string a
line; \\\\, \\n, \\r and \\xNN for what would not stand in a line of UTF-8. NAME.golden: a line for each string, then
DECODED more, each eight hexadecimal digits: the beginning of FNV-1a (64 bits) over the string's tokens, written
"1 2 3", then over the texts that lists of tokens decode to. Those lists come from a sequence of numbers that
tests/test_text_spm.c makes as well. --show prints what a line of a golden file was made of.

SPDX-License-Identifier: MIT
"""
import io
import pathlib
import random
import sys
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import BertWordPieceTokenizer

from make_tokenizer_golden import PLAIN

HERE = pathlib.Path(__file__).resolve().parent.parent / "data"
CORPUS = HERE / "tokenizer" / "corpus.txt"
DATA = HERE / "spm"
FUZZ = HERE.parent / "fuzz" / "corpus"
STRINGS = 2000
DECODED = 300
USER = ["<tool>", "<tool>s", "  ¶  ", "Δημο", "x▁y", "\n\n"]
CONTROL = ["<|im_start|>", "<|im_end|>", "<2de>"]
RULES = [("Ä", "AE"), ("ä", "ae"), ("ß", "ss"), ("\t", " "), ("\n", " "), ("\u00a0", " "), ("...", "\u2026"),
         ("\u00ad", ""), ("\u200b", ""), ("A\u0308", "AE"), ("ﷺ", "a  b "), ("—", " - "), ("é", "e\u0301")]

# name: options of the trainer; "patch" changes the model afterwards
MODELS = {
    # as Llama 2
    "llama": dict(model_type="bpe", vocab_size=800, byte_fallback=True, normalization_rule_name="identity",
                  remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True,
                  user_defined_symbols=USER, control_symbols=CONTROL),
    # as Gemma: no space before the text
    "bare": dict(model_type="bpe", vocab_size=700, byte_fallback=True, normalization_rule_name="identity",
                 add_dummy_prefix=False, remove_extra_whitespaces=False,
                 user_defined_symbols=["\n", "\n\n", "▁▁", "▁▁▁"]),
    # unknown tokens, rules of our own, squeezed spaces; some tokens unused
    "rules": dict(model_type="bpe", vocab_size=600, character_coverage=0.99, rules=True, unused=40,
                  user_defined_symbols=USER, pad_id=3),
    "suffix": dict(model_type="bpe", vocab_size=600, byte_fallback=True, normalization_rule_name="identity",
                   treat_whitespace_as_suffix=True, remove_extra_whitespaces=False),
    # as T5 and XLM-R
    "unigram": dict(model_type="unigram", vocab_size=800, normalization_rule_name="nmt_nfkc", character_coverage=0.99,
                    user_defined_symbols=USER, control_symbols=CONTROL, pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
    "bytes": dict(model_type="unigram", vocab_size=800, byte_fallback=True, rules=True, unused=30,
                  remove_extra_whitespaces=False, treat_whitespace_as_suffix=True),
    # spaces as they are
    "spaces": dict(model_type="unigram", vocab_size=500, normalization_rule_name="identity",
                   remove_extra_whitespaces=False, plain=True, hard_vocab_limit=False),
}
WORDPIECE = {"uncased": dict(lowercase=True), "cased": dict(lowercase=False)}
BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def train(options):
    """A model's bytes."""
    options = dict(options)
    rules, unused, plain = options.pop("rules", False), options.pop("unused", 0), options.pop("plain", False)
    out = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as tsv:
        if rules:
            for a, b in RULES:
                print(" ".join(f"{ord(c):X}" for c in a), " ".join(f"{ord(c):X}" for c in b), sep="\t", file=tsv)
            tsv.flush()
            options["normalization_rule_tsv"] = tsv.name
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS.read_text().split("\n")), model_writer=out, num_threads=1,
            minloglevel=2, **options)
    model = sentencepiece_model_pb2.ModelProto.FromString(out.getvalue())
    model.normalizer_spec.ClearField("normalization_rule_tsv")  # a name of the moment
    normal = [p for p in model.pieces if p.type == p.NORMAL and len(p.piece) > 1]
    for p in normal[len(normal) // 3:len(normal) // 3 + unused]:
        p.type = p.UNUSED
    if plain:
        model.normalizer_spec.escape_whitespaces = False
        for p in model.pieces:
            p.piece = p.piece.replace("▁", " ") if p.type == p.NORMAL else p.piece
    return model.SerializeToString()


def strings():
    """The awkward strings, as bytes."""
    rng = random.Random(1)
    made = [s.encode("utf-8", "surrogatepass") for s in PLAIN]
    made += [b"\xff", b"a\xffb", b"\xc3", b"\xc3(", b"\xe4\xb8", b"\xe4\xb8a", b"\xf0\x9f\x91", b"\xed\xa0\x80",
             b"\xc0\x80", b"\xf4\x90\x80\x80", b" \xff ", b"\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe4\xb8\xad\xe4\xb8",
             b"\0", b"a\0b", b"\0\0", "▁".encode(), " ▁".encode(), "▁▁a".encode(), "a▁b".encode(), "x▁y".encode(),
             "xx▁yy x▁y".encode(), b"<s>", b"</s>", b"<unk>", b"<pad>", b"<0x0A>", b"<0x41>b", b"<2de>",
             b"<tool> <tool>s", b"a<tool>b", b"<|im_start|>a<|im_end|>", b"[CLS] a [SEP]", b"[UNK]", b"##ing",
             b"...", b"....", b"......",
             "A\u0308a\u0308".encode(), "ﷺ ﷺ".encode(), "ΔημοΔημ".encode(), "①②Ⅷ½ﬁ".encode(), "㍿㌔".encode(),
             "Ａｌｉｃｅ　ＷＡＳ".encode(), "ｶﾞｷﾞ".encode(), "가각힣".encode(), "\u1100\u1161\u11a8".encode(),
             "İıŞş".encode(), "ẞß".encode(), "Ǆǅǆ".encode(), "ΑΣ ΣΑΣ".encode()]
    made += [b"a" * 3000, b" " * 700, b"ab " * 600, "é".encode() * 500, "中".encode() * 500, b"\xff" * 300,
             b"x" * 99, b"x" * 100, b"x" * 101, "é".encode() * 100, "é".encode() * 101, b"1" * 600, b"the" * 700,
             "▁".encode() * 300, "👩\u200d👩\u200d👧".encode() * 60]
    text = CORPUS.read_text()
    lines = [s for s in text.split("\n") if s]
    odd = [s for s in PLAIN if 0 < len(s) < 12] + USER + CONTROL + ["▁", "<unk>", "\u0301", "\u200d", "\ufffd"]
    while len(made) < STRINGS:
        kind = rng.randrange(5)
        if kind == 0:  # a stretch of the corpus
            a = rng.randrange(len(text) - 200)
            s = text[a:a + rng.randrange(1, 120)].encode()
        elif kind == 1:  # awkward things side by side
            s = rng.choice(["", " ", "  ", "\n"]).join(rng.choice(odd) for _ in range(rng.randrange(2, 9))).encode(
                "utf-8", "surrogatepass")
        elif kind == 2:  # words with spaces of all kinds
            s = "".join(rng.choice(rng.choice(lines).split() or ["a"]) +
                        rng.choice([" ", "  ", "   ", "\t", "\n", " \n ", "\u3000", "\xa0", "\u2003", "\r\n", ""])
                        for _ in range(rng.randrange(1, 9))).encode()
        elif kind == 3:  # characters of one block of Unicode
            block = rng.choice([0x20, 0xa0, 0x300, 0x370, 0x590, 0x900, 0x1100, 0x1e00, 0x2000, 0x2460, 0x3040, 0x4e00,
                                0xac00, 0xf900, 0xfb00, 0xff00, 0x1d400, 0x1f300, 0x20000, 0xe0100])
            s = "".join(chr(block + rng.randrange(0x60)) for _ in range(rng.randrange(1, 20))).encode()
        else:  # bytes damaged
            s = bytearray(rng.choice(lines)[:60].encode())
            for _ in range(rng.randrange(1, 4)):
                s[rng.randrange(len(s))] = rng.randrange(256)
            s = bytes(s)
        made.append(s)
    return made


def escape(data):
    """A line of text for bytes."""
    out = ""
    while data:
        try:
            good, bad = data.decode(), b""
        except UnicodeDecodeError as e:
            good, bad = data[:e.start].decode(), data[e.start:e.start + 1]
        for c in good:
            out += {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}.get(c) or (
                "".join(f"\\x{b:02x}" for b in c.encode()) if ord(c) < 32 or 127 <= ord(c) < 160 else c)
        out += "".join(f"\\x{b:02x}" for b in bad)
        data = data[len(good.encode()) + len(bad):]
    return out


def fnv(data):
    h = 0xcbf29ce484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001b3 % 2**64
    return h


def token_lists(n_tokens):
    """DECODED lists; every other token is one of the first 300, where bytes and special tokens are."""
    x = 1
    for i in range(DECODED):
        ids = []
        for k in range(1 + i % 12):
            x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
            ids.append((x >> 33) % (min(n_tokens, 300) if k % 2 else n_tokens))
        yield ids


class SentencePiece:
    def __init__(self, name):
        self.sp = sentencepiece.SentencePieceProcessor(model_file=str(DATA / f"{name}.model"))
        self.n = self.sp.get_piece_size()

    def encode(self, data):
        return self.sp.encode(data)

    def decode(self, ids):
        return self.sp.decode(ids)


class WordPiece:
    def __init__(self, name):
        self.t = BertWordPieceTokenizer(str(DATA / f"{name}.vocab"), **WORDPIECE[name])
        self.n = self.t.get_vocab_size()

    def encode(self, data):
        return self.t.encode(data.decode("utf-8", "replace"), add_special_tokens=False).ids

    def decode(self, ids):
        return self.t.decode(ids, skip_special_tokens=True)


def results(name, data):
    """For each line of the golden file: what it is of, and what came out."""
    reference = (WordPiece if name in WORDPIECE else SentencePiece)(name)
    for s in data:
        # Those texts are read as special tokens there, always; here only on demand.
        if name in WORDPIECE:
            s = s.replace(b"[", b"(")
        yield s, " ".join(map(str, reference.encode(s))).encode()
    for ids in token_lists(reference.n):
        yield ids, reference.decode(ids).encode()


def write_seeds():
    """Small models and some texts for the fuzzers to begin with."""
    models, texts = FUZZ / "spm_model", FUZZ / "spm_text"
    models.mkdir(exist_ok=True)
    texts.mkdir(exist_ok=True)
    for name in MODELS:
        model = sentencepiece_model_pb2.ModelProto.FromString((DATA / f"{name}.model").read_bytes())
        pieces = [p for p in model.pieces if p.type not in (p.NORMAL, p.UNUSED, p.BYTE)]
        pieces += [p for p in model.pieces if p.type in (p.NORMAL, p.UNUSED)][:40]
        if name == "llama":  # one with bytes
            pieces += [p for p in model.pieces if p.type == p.BYTE]
        del model.pieces[:]
        model.pieces.extend(pieces)
        if len(model.normalizer_spec.precompiled_charsmap) > 10000:
            model.normalizer_spec.precompiled_charsmap = b""
        (models / name).write_bytes(model.SerializeToString())
    for i, (kind, settings, text) in enumerate([
            (0, 1, "the cat  that\n--- aaaaaaa"), (0, 1, "ä中中👍 e\u0301 ▁x the"), (1, 1, "the cat  that\n--- aaaaaaa"),
            (2, 3, "The Ätherisch, the 中中 bc-a.b\ta"), (0, 17, "a<tool>b x\u0301b"), (0, 4, "   a   the    "),
            (1, 7, " \u00c3 x  thes "), (0, 33, "abcabcthesthes"), (1, 65, "unknown ones"), (0, 10, "a the a"),
            (21, 1, "<s>a<|im|>the</s>")]):
        (texts / str(i)).write_bytes(bytes([kind, settings]) + text.encode())


def main():
    data = strings()
    if sys.argv[1:2] == ["--show"]:
        made = list(results(sys.argv[2], data))[int(sys.argv[3]) - 1]
        print(*made, f"{fnv(made[1]) >> 32:08x}", sep="\n")
        return
    DATA.mkdir(exist_ok=True)
    (DATA / "strings.txt").write_text("".join(escape(s) + "\n" for s in data))
    for name, options in MODELS.items():
        if not (DATA / f"{name}.model").exists():
            (DATA / f"{name}.model").write_bytes(train(options))
    for name, options in WORDPIECE.items():
        if (DATA / f"{name}.vocab").exists():
            continue
        t = BertWordPieceTokenizer(**options)
        t.train([str(CORPUS)], vocab_size=600, min_frequency=2, limit_alphabet=200, special_tokens=BERT_SPECIAL,
                show_progress=False)
        vocab = t.get_vocab()
        (DATA / f"{name}.vocab").write_text("".join(s + "\n" for s in sorted(vocab, key=vocab.get)))
    write_seeds()
    for name in list(MODELS) + list(WORDPIECE):
        (DATA / f"{name}.golden").write_text("".join(f"{fnv(out) >> 32:08x}\n" for _, out in results(name, data)))


if __name__ == "__main__":
    main()
