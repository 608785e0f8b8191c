#!/usr/bin/env python3
"""make_tokenizer_golden.py - makes tests/data/tokenizer/{vocab,golden}.txt.

The reference is Hugging Face's tokenizers:

    pip install tokenizers==0.23.3
    python3 tests/reference/make_tokenizer_golden.py

corpus.txt (an input, not made here): chapters I and II of Lewis Carroll, Alice's Adventures in Wonderland (1865, public
domain), then lines of our own in other languages.
vocab.txt: the vocabulary that BpeTrainer learns from corpus.txt, then tokens that no merge makes, then special ones.
golden.txt: strings; how each family of pre-tokenisers cuts them; what tokens that gives with that vocabulary. Families
that do the same as gpt-2 are left out. The form of the files is in tests/text_fixture.h and tests/test_text_golden.c.

SPDX-License-Identifier: MIT
"""
import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "tokenizer"
LEARNT = 900  # tokens learnt, the 256 bytes included

# Tokens that no merge makes; only families that ignore merges ever give them.
UNMERGED = [
    "ĠDinah", "Ġcuriouser", "Hello", "Ġ1865", "wonderful", "ĠWAISTCOAT", "ĉĉĉĉ", "ĠĠĠĠĠĠĠ", "...",
    "123",
]
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im", "<s>"]
USER = ["<tool>", "<tool>s", "  ¶  ", "Δημο", "\t\t|"]

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
          r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_level(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), behavior="isolated")


# name: (pre-tokeniser, whether a word that is a token is taken as it is)
FAMILIES = {
    "gpt-2": (byte_level(True), False),
    "llama-bpe": (pre_tokenizers.Sequence([split(LLAMA3), byte_level(False)]), True),
    "qwen2": (pre_tokenizers.Sequence([split(QWEN2), byte_level(False)]), False),
    "tekken": (pre_tokenizers.Sequence([split(TEKKEN), byte_level(False)]), True),
    "smollm": (pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(True)]), False),
    "default": (pre_tokenizers.Sequence([split(r"[\p{P}\$\+<=>\^~\|]+"), split(GPT2), split(r"\p{N}+"),
                                         split("[0-9][0-9][0-9]"), byte_level(False)]), False),
}

PLAIN = [
    "", " ", "  ", "   ", "a", " a", "  a", "a ", "a  ", "a   b", "\n", "\n\n", "\n\n\n", " \n", "\n ", "  \n  ",
    "a\n", "\na", "a\n\nb", "a \n b", "a\n  b", "\t", "\t\t", "\ta", " \t ", "a\tb", "\r", "\r\n", "\r\n\r\n",
    "a\r\nb", "a \r\n b", "\n\r\n\r", "\v", "\f", "\v\f", "a\vb\fc", "\0", "a\0b", "\0\0\0", " \0 ",
    "\x01\x02\x1f\x7f", "\x85", "a\x85b", "\xa0", "a\xa0b", "\xa0\xa0x", "\u1680", "a\u1680 b", "\u180e", "a\u180eb",
    " \u180e ", "\u2000\u2001\u2002", "a\u2003b", "\u2028", "a\u2028b", "\u2029\u2029", "\u202f", "1\u202f000",
    "\u205f", "\u3000", "\u3000\u3000あ", "\u200b", "a\u200bb", "\u2060", "\ufeff", "\ufeffAlice", "a\ufeffb",
    "\u00ad", "so\u00adft", "Hello world", "Hello, world!", " Hello  World ", "HELLO", "hElLo WoRlD", "Alice",
    " Alice", "ALICE", "Rabbit", " Rabbit", " Rabbits", " curiouser", " curiouser and curiouser", "wonderful",
    " wonderful", "WAISTCOAT", " WAISTCOAT-POCKET", "1865", " 1865", "in 1865, ", "\t\t\t\t", "\t\t\t\tx",
    "        x", "       ", "...", "....", " ...", "123", " 123", "1234", "don't", "can't", "I'm", "you're", "we've",
    "they'll", "he'd", "it's", "DON'T", "CAN'T", "I'M", "YOU'RE", "WE'VE", "THEY'LL", "HE'D", "IT'S", "'s", "'S",
    " 's", "'t", "'re", "'RE", "'Re", "'rE", "'ve", "'m", "'ll", "'lL", "'d", "'x", "''s", "'s's", "a's b't",
    "o'clock", "rock'n'roll", "'tis", "'\u017f", "a'\u017fb", "it’s", "don’t", "‘Oh dear!’", "“quoted”",
    "'", "''", "'''", "\"", "\"\"", "`", "``", "```python\nx\n```", "a'", "'a", "'1", "1's", "'\n", "!'s", "0", "1",
    "12", "12345", "123456", "1234567890", "0.5", "1,000,000", "1e-5", "-1", "+1", "1 2 3", "1  2", "a1", "1a",
    "a1b2c3", "3rd", "v2.0", "٣٤٥", "१२३", "四五六", "Ⅷ", "ⅷⅸ", "½", "x²", "²³¹", "①②③",
    "𝟘𝟙𝟚", "𝟙a", "1½", "百", "٪", "2024-01-02T03:04:05Z", "$100", "€5", "£1.50", "100%", "#1",
    "@user", "user@example.com", "https://example.com/a?b=c&d=e#f", "C:\\dir\\file.txt", "/usr/bin/env", "a/b",
    "a//b", "//", "/\n", ".\n", "!\n\n", "a.\nb", ".\r\n", "!/\n/", "--", "---", "- -", "==", "===", "!=", "->", "=>",
    "<-", "<=", ">=", "<>", "&&", "||", "++", "--i", "i++;", "{}", "[]", "()", "(){}", "a[0]", "f(x, y)", "{\n\t}\n",
    "for (int i = 0; i < n; i++) {\n\tx += a[i];\n}\n", "def f(x):\n    return x\n", "if x:\n        y()\n\n\n",
    "  # comment", "/* c */ // d", "<html>\n  <p class=\"x\">T</p>\n</html>",
    "{\"a\": [1, 2.5, null], \"b\": {\"c\": \"\\n\"}}", "a_b", "__init__", "_", "snake_case_name", "camelCaseName",
    "PascalCaseName", "XMLHttpRequest", "iPhone", "McDonald", "aB", "Ab", "ABc", "aBC", "ABcD", "ǅ", "ǅa", "aǅ",
    "ABC def", "ABCdef GHI", "éÉ", "ÉCOLE", "École", "école", "naïve", "Übung", "ß", "STRASSE straße", "ĳ",
    "ﬁ", "ŉ", "İstanbul", "ıI", "e\u0301", "E\u0301", "cafe\u0301", "a\u0308\u0323", "n\u0303o", "\u0301",
    " \u0301", "\u0301\u0302a", "1\u0301", "!\u0301", "\u0301!", "Z\u0351\u036b\u0343a\u0337l\u0321g\u0335o",
    "क्षत्रिय", "नमस्ते दुनिया", "की", "สวัสดี",
    "ไม้อ่อน", "ကမ္ဘာ", "தமிழ்", "বাংলা", "ગુજરાતી",
    "你好，世界！", "千里之行", "人 有", "中a文1", "日本語とEnglish", "カタカナ",
    "ひらがな", "々〆〇", "안녕하세요", "가나다 라", "\u1112\u1161\u11ab", "𠀀𠀁", "。",
    "、、", "「」", "ｆｕｌｌ", "１２３", "Привет, мир!", "ПРИВЕТ", "Тише едешь",
    "ё", "Ѐ", "Ελλάδα", "ΣΊΣΥΦΟΣ σίσυφος", "Հայերեն", "ქართული",
    "ᲥᲐᲠᲗ", "ꙋ", "Ꭰꭰ", "שלום", "כל התחלות", "مرحبا بالعالم",
    "خير الكلام", "abc שלום 123", "\u200fabc\u200e", "\u202babc\u202c", "ﷺ", "لا", "א\u05b8ב",
    "👍", "👍👍", " 👍", "a👍b", "👍🏽", "👩\u200d👩\u200d👧\u200d👦", "🏳\ufe0f\u200d🌈",
    "🇩🇪", "🇩🇪🇫🇷", "❤\ufe0f", "☺", "1\ufe0f\u20e3", "😀 😃", "😀\n", "\u200d", "a\u200db",
    "\ufe0f", "🧑🏿\u200d🚀!", "∀x∈ℝ: ⌈x⌉", "∑∏∫", "α+β=γ", "H₂O", "™®©", "°C", "±5",
    "×÷", "→←", "█▓▒░", "│├└", "•", "…", "—", "–", "a—b", "a – b", "¡¿", "«a»",
    "„b“", "‹›", "§§", "¶", "\ue000", "\U000f0000", "\U0010ffff", "\ufffd", "\ufffe", "\uffff", "\ufdd0",
    "𝒜𝓑", "𝐀b", "🄰", "ª", "º", "ʰ", "ˈa", "ᵃᵇ", "aʼb", "ℵ", "K", "Å", "㍿", "ﬀ", "ⓐⓑ",
    "Ⓐa", "ⅠⅤ", "a" * 100, "ab" * 60, " " * 100, "\n" * 50, "." * 80, "-" * 77, "=" * 64, "0" * 70, "A" * 65,
    "aA" * 40, " a" * 50, "a b" * 30, "é" * 50, "中" * 40, "👍" * 20, "e\u0301" * 20, " \n" * 20, "\n " * 20,
    "\t " * 20, "'s" * 30, "x" * 64, "x" * 65, "the" * 30, "thethethe", "aaaa aaa aa a", " the the  the   the",
    "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do",
    "once or twice she had peeped into the book her sister was reading,\nbut it had no pictures",
    "thought Alice ‘without pictures or\nconversations?’\n\nSo she was considering in her own mind", "DRINK ME",
    "‘Curiouser and curiouser!’ cried Alice", "O Mouse!", "antidisestablishmentarianism",
    "Pneumonoultramicroscopicsilicovolcanoconiosis", "The quick brown fox jumps over the lazy dog.",
    "THE QUICK BROWN FOX", "Lorem ipsum dolor sit amet", "x=1;y=2;z=x+y", "a,b,c", "a, b, c", "a;b", "a:b",
    "a b\tc\nd\re", "trailing space ", "trailing newline\n", " leading", "\nleading", "a \n", "a  \n", "a\n \n b",
    "a   \n   b", "   \n\n   ", "\n   \n", " \r ", "a \t b", "\t \t", "a\t\n", "  \t\n  x", "x  \u3000 y",
    "x\u2003\u2003y", "\xa0 \xa0a", " \xa0", "\xa0 ", "a \u2028 b", "\u2028\n", "\n\u2028", " \x85 ",
    "\x1c\x1d\x1e\x1f", "a\x1cb", "<|endoftext|>", "a<|endoftext|>b", "<|im_start|>user\nhi<|im_end|>\n", "<|im|>",
    "<|", "|>", "<s>", "</s>", "<tool>", "<tool>s", "<tool>x", "a<tool> b", "<tool><tool>s<tool", "  ¶  ",
    "a  ¶  b", "   ¶   ", "  ¶ ", "Δημο", "Δημοκρατία", "ΔημΔημο", "\t\t|", "\t\t\t|",
    "\t\t||",
]
SPECIAL = [
    "<|endoftext|>", "a<|endoftext|>b", "<|im_start|>user\nhi<|im_end|>\n", "<|im_start|><|im_end|>", "<|im_star",
    "<|im|>", "<|im", "<|im<|im_end|>", " <s> ", "<s><s>", "</s>", "<tool>s<s>", "<|endoftext|>" * 3, "x<|im_end|>'s",
    " <|im_start|> a", "\n<s>\n\n", "<<s>>", "<|<|im_start|>", "  ¶  <s>  ¶  ",
]


def learn():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = byte_level(True)
    text = (DATA / "corpus.txt").read_text(encoding="utf-8")  # as one string: train() would cut it into lines
    tokenizer.train_from_iterator([text], trainers.BpeTrainer(
        vocab_size=LEARNT, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    vocab = sorted(model["vocab"], key=model["vocab"].get)
    assert len(vocab) == LEARNT and len(merges) == LEARNT - 256
    return vocab, merges


def build(vocab, merges, family):
    pre_tokenizer, ignore_merges = FAMILIES[family]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(vocab)},
                                     merges=[tuple(m.split(" ")) for m in merges], ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    if family == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in CONTROL])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in USER])
    return tokenizer


def main():
    vocab, merges = learn()
    vocab += UNMERGED
    assert len(set(vocab)) == len(vocab)
    with open(DATA / "vocab.txt", "w", encoding="utf-8", newline="\n") as f:
        f.write(f"pre gpt-2\ntokens {len(vocab) + len(CONTROL) + len(USER)}\n")
        f.writelines(f"{kind} {t}\n" for kind, ts in ((1, vocab), (3, CONTROL), (4, USER)) for t in ts)
        f.write(f"merges {len(merges)}\n")
        f.writelines(m + "\n" for m in merges)
    tokenizers = {name: build(vocab, merges, name) for name in FAMILIES}
    strings = [(0, s) for s in dict.fromkeys(PLAIN)] + [(2, s) for s in SPECIAL]
    with open(DATA / "golden.txt", "w", encoding="ascii", newline="\n") as f:
        for flags, s in strings:
            f.write(f"text {flags} {s.encode().hex() or '-'}\n")
            usual = {}
            for name, tokenizer in tokenizers.items():
                tokenizer.encode_special_tokens = flags == 0
                made = {"ids": tokenizer.encode(s, add_special_tokens=False).ids}
                if flags == 0:  # lengths in bytes: after ByteLevel a byte is a character
                    made["cut"] = [len(piece) for piece, _ in FAMILIES[name][0].pre_tokenize_str(s)]
                for what, numbers in made.items():
                    if numbers != usual.setdefault(what, numbers) or name == "gpt-2":
                        f.write(" ".join([what, name, *map(str, numbers)]) + "\n")
    print(len(strings), "strings")


if __name__ == "__main__":
    main()
