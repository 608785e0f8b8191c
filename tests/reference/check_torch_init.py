#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_torch_init.py - compares a training step from models of Hugging Face with transformers; not in `make test`.

    pip install torch==2.15.0 transformers safetensors numpy
    python3 tests/reference/check_torch_init.py build/release/trit TEXT

TEXT is any plain text of 20 kB or more. A tiny model of each architecture with random weights is written by
transformers as a folder. `trit train --init FOLDER --weights full` takes one step that shows the gradient: with
--beta1 0 and --clip 0 AdamW's first moment is the gradient, and a learning rate of 1e-30 leaves the weights where they
are. The text is so short that an epoch is one window; of its possible offsets the one with Trit's loss is taken. The
same sequence goes through transformers' network in fp64 (but for norms and angles, which it computes in fp32), with
eager attention.

Then the step's checkpoint is converted to GGUF and, where transformers has the network, to a folder again, which must
hold the weights that Trit began with, to the bit.

Printed are per architecture both losses and the error of each tensor's gradient, |a - b| / |b| in the Euclidean norm.
Exit status 1 beyond the limits.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from safetensors.numpy import load_file

SEQ, VOCAB = 150, 512
LOSS, GRADIENT = 1e-6, 2e-5  # relative

SMALL = dict(vocab_size=VOCAB, hidden_size=96, intermediate_size=160, num_hidden_layers=4, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=512, bos_token_id=0, eos_token_id=0, pad_token_id=0)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64, rope_theta=10000.0)
NETWORKS = {
    "llama": ("LlamaConfig", dict(rope_parameters=LLAMA3, tie_word_embeddings=False)),
    "mistral": ("MistralConfig", dict(sliding_window=40, head_dim=32)),
    "qwen2": ("Qwen2Config", dict(tie_word_embeddings=True)),
    "qwen3": ("Qwen3Config", dict(head_dim=32)),
    "gemma": ("GemmaConfig", dict(head_dim=32, hidden_activation="gelu_pytorch_tanh")),
    "gemma2": ("Gemma2Config", dict(head_dim=32, sliding_window=40, query_pre_attn_scalar=20,
                                    attn_logit_softcapping=1.5, final_logit_softcapping=3.0)),
    "gemma3": ("Gemma3TextConfig", dict(head_dim=32, sliding_window=40, query_pre_attn_scalar=20,
                                        layer_types=["sliding_attention", "full_attention"] * 2)),
    "stablelm": ("StableLmConfig", dict(use_qkv_bias=True, tie_word_embeddings=False)),
}
FOLDERS = {"llama", "mistral", "qwen2", "qwen3"}  # that trit convert writes

NAMES = {
    "embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output", "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "post_feedforward_layernorm": "post_ffw_norm", "pre_feedforward_layernorm": "ffn_norm",
}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")


def make_model(config_class, options, folder):
    torch.manual_seed(1)
    config = getattr(transformers, config_class)(**(SMALL | options))
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for name, w in model.named_parameters():
            one = "norm" in name and name.endswith("weight") and not config_class.startswith("Gemma")
            w.copy_((1.0 if one else 0.0) + 0.15 * torch.randn_like(w))
    model.save_pretrained(folder)
    return model


def gguf_name(name, post_norms):
    """The name that Trit's checkpoint has for a parameter of transformers."""
    name = name.removeprefix("model.")
    stem, kind = name.rsplit(".", 1)
    layer = re.match(r"layers\.(\d+)\.(.*)", stem)
    if not layer:
        return f"{NAMES[stem]}.{kind}"
    part = layer[2]
    if part == "post_attention_layernorm":
        part = "post_attention_norm" if post_norms else "ffn_norm"
    return f"blk.{layer[1]}.{NAMES.get(part, part)}.{kind}"


def gradients(model, tokens):
    """Of all parameters, by their names in the checkpoint."""
    model.zero_grad()
    loss = F.cross_entropy(model(tokens[None, :-1]).logits[0], tokens[1:])
    loss.backward()
    post_norms = any("pre_feedforward_layernorm" in n for n, _ in model.named_parameters())
    return loss.item(), {gguf_name(n, post_norms): w.grad for n, w in model.named_parameters()}


def short_text(trit, text, folder):
    """A file of about 1.5 windows of tokens, and a vocabulary."""
    run(trit, "train", "--data", text, "--out", folder + "/vocab", "--size", "260k", "--vocab-size", str(VOCAB),
        "--steps", "1", "--seq-len", "32", "--batch", "1", "-t", "1")
    with open(text, encoding="utf-8") as f:
        some = f.read(SEQ * 3)
    path = folder + "/short.txt"
    with open(path, "w", encoding="utf-8") as f:
        f.write(some)
    return path, folder + "/vocab/vocab.gguf"


def check(name, trit, text, vocab, folder):
    config_class, options = NETWORKS[name]
    model_folder, out = f"{folder}/{name}", f"{folder}/{name}-run"
    model = make_model(config_class, options, model_folder)
    run(trit, "train", "--init", model_folder, "--tokenizer", vocab, "--weights", "full", "--data", text, "--out", out,
        "--steps", "1", "--seq-len", str(SEQ), "--batch", "1", "--beta1", "0", "--clip", "0", "--lr", "1e-30",
        "--weight-decay", "0", "--val-share", "0", "--type", "f32", "--embedding-type", "f32", "-t", "2")
    state = load_file(out + "/checkpoint.safetensors")
    shard, = glob.glob(out + "/data/train-*")
    tokens = torch.from_numpy(load_file(shard)["tokens"].astype(np.int64))
    with open(out + "/metrics.jsonl") as f:
        trit_loss = json.loads(f.readline())["loss"]
    model = model.double()
    with torch.no_grad():
        losses = [F.cross_entropy(model(tokens[None, o:o + SEQ]).logits[0], tokens[o + 1:o + SEQ + 1]).item()
                  for o in range(len(tokens) - SEQ)]
    o = min(range(len(losses)), key=lambda i: abs(losses[i] - trit_loss))
    loss, expected = gradients(model, tokens[o:o + SEQ + 1])
    worst = 0.0
    for n, g in expected.items():
        got = torch.from_numpy(state["m." + n]).double().reshape(g.shape)
        error = ((got - g).norm() / g.norm()).item()
        worst = max(worst, error)
        if error > GRADIENT:
            print(f"    {n:32s} |g| {g.norm():.3e}   error {error:.1e}")
    extra = [n for n in state if n.startswith("m.") and n[2:] not in expected and n != "m.rope_freqs.weight"]
    print(f"{name}: loss {trit_loss:.8f}, transformers {loss:.8f}; {len(expected)} tensors, worst {worst:.1e}"
          + (f"; not in transformers: {extra}" if extra else ""), flush=True)
    ok = abs(trit_loss / loss - 1) <= LOSS and worst <= GRADIENT and not extra
    if name in FOLDERS:
        ok = same_folder(trit, out, model_folder, folder + "/back") and ok
    return ok


def same_folder(trit, run_folder, original, back):
    """The run's weights, which did not move, as a folder again."""
    run(trit, "convert", run_folder, back + "/", "--type", "f32", "--embedding-type", "f32", "--force")
    a, b = (load_file(f + "/model.safetensors") for f in (original, back))
    differ = [n for n in a if n not in b or not np.array_equal(a[n], b[n])]
    if differ:
        print(f"    differ in the folder written: {differ[:5]}")
    return not differ


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    trit = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        text, vocab = short_text(trit, sys.argv[2], folder)
        failed = [n for n in NETWORKS if not check(n, trit, text, vocab, folder)]
    sys.exit(f"beyond the limits: {'; '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
