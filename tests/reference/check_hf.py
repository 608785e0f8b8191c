#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_hf.py - loads folders that `trit convert` wrote with transformers, compares logits and tokens with Trit's; not
part of `make test`.

    pip install transformers==5.23.0 torch accelerate
    ninja -C build/dev print_logits trit
    python3 tests/reference/check_hf.py build/dev FOLDER...
    python3 tests/reference/check_hf.py build/dev --same FOLDER TOKENIZER.json

For each folder: transformers' network in the type of its config.json and Trit's over the same 24 tokens.
Full-precision logits differ by the rounding of Trit's KV cache to F16, some 5e-4. In a ternary network that moves some
activations over the edge between two of their 8-bit steps, each by 1/127 of the largest, so there it is up to 3e-2 in
random models. If it has a tokenizer, the ids of some awkward strings must be the same. --same compares the ids of a
folder's tokenizer with those of another tokenizer.json.
"""
import os
import subprocess
import sys

import numpy as np

STRINGS = ["Hello world", " Hello  world ", "one\ntwo\n\n three", "\ttabs\t\tand  spaces   ",
           "It's 1234567 o'clock, isn't it?", "naïve café Ünïcödé",
           "日本語のテキスト", "emoji 🙂👍🏽 and \u200b zero width", "https://example.org/a?b=c&d=%20",
           "def f(x):\n    return x ** 2  # comment", "", " ", "   ", "a", "ÿ\u00a0\u2003wide", "x" * 50, "MiXeD CaSe",
           "<s>not special?</s>", "Привет, мир!", "مرحبا بالعالم", "한국어 텍스트", "1+1=2; 3.14159 -0.5e-7"]


def trit_logits(build, folder, ids):
    out = subprocess.run([os.path.join(build, "tests", "print_logits"), folder, *map(str, ids)], check=True,
                         capture_output=True, text=True).stdout
    return np.array([[float(x) for x in line.split()] for line in out.splitlines()])


def check_model(build, folder):
    import torch
    from transformers import AutoModelForCausalLM
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.eval()
    n = model.config.vocab_size
    ids = [(i * 7919 + i * i) % n for i in range(24)]
    with torch.no_grad():
        want = model(torch.tensor([ids])).logits[0].float().numpy()
    got = trit_logits(build, folder, ids)
    error = np.abs(got - want).max() / np.abs(want).max()
    typical = np.sqrt(((got - want) ** 2).mean() / (want ** 2).mean())
    same = (got.argmax(1) == want.argmax(1)).mean()
    linear = type(model.model.layers[0].self_attn.q_proj).__name__
    print(f"{folder}: {type(model).__name__}, {linear}, {str(model.dtype)[6:]}: rms {typical:.1e}, most {error:.1e} of "
          f"the largest, same likeliest {same:.0%}")
    limit = 0.05 if linear != "Linear" else 0.02 if model.dtype == torch.bfloat16 else 0.002
    return typical < limit and same > (0.8 if limit > 0.01 else 0.99)


def check_tokenizer(build, folder):
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(folder)
    wrong = 0
    for text in STRINGS:
        want = tokenizer(text).input_ids
        out = subprocess.run([os.path.join(build, "trit"), "tokenize", "-m", folder, "--ids", "--special"], input=text,
                             text=True, capture_output=True, check=True).stdout
        got = [int(x) for x in out.split()]
        if got != want:
            wrong += 1
            print(f"{folder}: {text!r}: {got} but {want}")
    print(f"{folder}: tokenizer: {len(STRINGS) - wrong} of {len(STRINGS)} strings the same")
    return wrong == 0


def check_same(folder, other):
    from tokenizers import Tokenizer
    a, b = Tokenizer.from_file(os.path.join(folder, "tokenizer.json")), Tokenizer.from_file(other)

    def ids(tokenizer, text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    wrong = [s for s in STRINGS if ids(a, s) != ids(b, s)]
    for s in wrong:
        print(f"{folder}: {s!r}: {ids(a, s)} but {ids(b, s)}")
    texts = [s for s in STRINGS if a.decode(ids(a, s)) != b.decode(ids(b, s))]
    print(f"{folder}: {len(STRINGS) - len(wrong)} of {len(STRINGS)} strings have the ids of {other}, {len(texts)} "
          f"decode to another text")
    return not wrong and not texts


def main():
    build, *rest = sys.argv[1:]
    if rest[0] == "--same":
        sys.exit(not check_same(rest[1], rest[2]))
    good = True
    for folder in rest:
        good &= check_model(build, folder)
        if os.path.exists(os.path.join(folder, "tokenizer.json")):
            good &= check_tokenizer(build, folder)
    sys.exit(not good)


if __name__ == "__main__":
    main()
