#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_training_text.py - writes tests/data/train/garden.txt: a few kilobytes of text for the tests of training.

Sentences drawn from small tables, in documents that end with <|endoftext|>; some letters outside ASCII.

    python3 tests/reference/make_training_text.py
"""
import pathlib
import random

WHO = ["The cat", "A small bird", "Zoë", "The old gardener", "My sister", "The fox", "Señor Ruiz", "A snail"]
DID = ["saw", "found", "carried", "lost", "painted", "looked for", "sang to", "hid behind"]
WHAT = ["a red apple", "the garden wall", "two blue stones", "the café door", "a ladder", "an umbrella", "the moon"]
WHEN = ["in the morning", "before breakfast", "after the rain", "at night", "on Sunday", "while it snowed"]
END = [".", ".", ".", "!", ", and then went home.", "; nobody knew why."]


def main():
    rng = random.Random(1)
    documents = []
    for number in range(1, 41):
        lines = [f"Story {number}"]
        for _ in range(rng.randint(3, 7)):
            lines.append(f"{rng.choice(WHO)} {rng.choice(DID)} {rng.choice(WHAT)} {rng.choice(WHEN)}{rng.choice(END)}")
        documents.append("\n".join(lines) + "\n")
    path = pathlib.Path(__file__).resolve().parents[1] / "data" / "train" / "garden.txt"
    path.write_text("<|endoftext|>\n".join(documents), encoding="utf-8")


if __name__ == "__main__":
    main()
