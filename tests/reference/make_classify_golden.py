#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_classify_golden.py - writes tests/data/classify: a tiny random classifier of transformers, and what it gives.

The network is LlamaForSequenceClassification in fp32 (pip install torch transformers safetensors numpy). Three texts of
different lengths go through it one by one, so that nothing is padded.

    python3 tests/reference/make_classify_golden.py

config.json, model.safetensors: the model. expected.txt: "texts N LABELS", then for each text its label, its number of
tokens, the tokens and the logits; then "loss" and the mean cross-entropy. gradients.safetensors: that loss's gradients,
under the model's names.
"""
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "classify"
TEXTS = (([3, 17, 5, 22, 9, 1, 30], 2), ([4], 0), ([11, 29, 2, 8], 1))

torch.manual_seed(7)
config = transformers.LlamaConfig(
    vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=4, max_position_embeddings=32, rms_norm_eps=1e-5, num_labels=3, pad_token_id=None,
    id2label={0: "bad", 1: "so so", 2: "good"}, label2id={"bad": 0, "so so": 1, "good": 2})
model = transformers.LlamaForSequenceClassification(config).float()
with torch.no_grad():
    for name, p in model.named_parameters():
        p.copy_(1 + 0.2 * torch.randn_like(p) if p.dim() == 1 else 0.3 * torch.randn_like(p))

lines, losses = [f"texts {len(TEXTS)} {config.num_labels}"], []
for tokens, label in TEXTS:
    logits = model(input_ids=torch.tensor([tokens])).logits[0]
    losses.append(torch.nn.functional.cross_entropy(logits[None], torch.tensor([label])))
    lines.append(f"{label} {len(tokens)} {' '.join(map(str, tokens))} {' '.join(f'{x:.9g}' for x in logits.tolist())}")
loss = sum(losses) / len(losses)
loss.backward()
lines.append(f"loss {loss.item():.9g}")

shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)
model.save_pretrained(OUT, safe_serialization=True)
(OUT / "generation_config.json").unlink(missing_ok=True)
(OUT / "expected.txt").write_text("\n".join(lines) + "\n")
save_file({name: p.grad for name, p in model.named_parameters()}, OUT / "gradients.safetensors")
