#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_checkpoint_golden.py - writes tests/data/checkpoint/ with the libraries whose files Trit reads.

A folder for each model, as transformers, safetensors and torch write them, and in it logits.txt: a line with the
tokens, then a line of logits for each, computed by transformers in fp32 from the files as they lie there. So nothing
shares code with Trit. llama2.c's checkpoints are written here after its export.py, and computed by transformers too.

    pip install torch==2.15.0 transformers==5.23.0 safetensors==0.8.0 accelerate numpy sentencepiece==0.2.3
    python3 tests/reference/make_checkpoint_golden.py [NAME...]
"""
import json
import pathlib
import shutil
import struct
import sys

import numpy as np
import sentencepiece
import torch
import transformers as tf
from safetensors.torch import load_file, save_file
from transformers.integrations.bitnet import BitLinear, pack_weights

OUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "checkpoint"
TOKENS = [5, 17, 3, 44, 2, 30, 9, 21]
SMALL = dict(vocab_size=48, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=128, bos_token_id=None, eos_token_id=None,
             pad_token_id=None)
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def randomise(model, seed):
    """Weights large enough that every part of the network shows in the logits."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            x = torch.randn(p.shape, generator=g)
            one = 0 if "gemma" in model.config.model_type else 1
            norm = "norm" in name and not name.endswith("bias")
            p.copy_(one + 0.2 * x if norm else 0.15 * x if p.dim() > 1 else 0.3 * x)


def build(config, seed, dtype=torch.bfloat16):
    model = tf.AutoModelForCausalLM.from_config(config)
    randomise(model, seed)
    return model.to(dtype)


def write_logits(folder, logits, tokens=TOKENS):
    lines = [" ".join(map(str, tokens))] + [" ".join(f"{v:.7g}" for v in row) for row in logits]
    (folder / "logits.txt").write_text("\n".join(lines) + "\n")


class HalfCache(tf.DynamicCache):
    """Keys and values in fp16, as Trit's cache keeps them."""

    def update(self, keys, values, *args, **kwargs):
        return super().update(keys.half().float(), values.half().float(), *args, **kwargs)


def logits_of(model, tokens=TOKENS):
    with torch.no_grad():
        cache = HalfCache(config=model.config)
        return model.eval()(torch.tensor([tokens]), past_key_values=cache, use_cache=True).logits[0].float().numpy()


def finish(folder):
    """Logits of what now lies in the folder."""
    model = tf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    torch.nn.Module.float(model)  # quantised modules come as the file has them
    for module in model.modules():
        if isinstance(module, BitLinear):
            module.dtype = torch.float32
    write_logits(folder, logits_of(model))


def edit(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config, indent=2) + "\n")


def old_style(config):
    """Rotary parameters where transformers 4 has them."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type")
    config["rope_scaling"] = None if kind == "default" else dict(rope, rope_type=kind)


def save(name, model, **options):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, **options)
    (folder / "generation_config.json").unlink(missing_ok=True)
    return folder


def llama():
    """One safetensors file, fp32, configuration of transformers 4, a head of its own."""
    folder = save("llama", build(tf.LlamaConfig(**SMALL, tie_word_embeddings=False), 1, torch.float32))
    edit(folder, old_style)
    finish(folder)


def mistral_sharded():
    """Several safetensors files with an index, bf16, a window, heads wider than D / H."""
    config = tf.MistralConfig(**SMALL, sliding_window=4, head_dim=12, tie_word_embeddings=False)
    finish(save("mistral_sharded", build(config, 2), max_shard_size="20KB"))


def llama3_bin():
    """A PyTorch archive, fp16, Llama 3's rotary scaling, head tied."""
    scaling = dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=16)
    config = tf.LlamaConfig(**SMALL, tie_word_embeddings=True, rope_parameters=scaling)
    model = build(config, 3, torch.float16)
    folder = save("llama3_bin", model)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    edit(folder, old_style)
    finish(folder)


def qwen2_bins():
    """Two PyTorch archives with an index, biases."""
    model = build(tf.Qwen2Config(**SMALL, tie_word_embeddings=False), 4)
    folder = save("qwen2_bins", model)
    (folder / "model.safetensors").unlink()
    state = model.state_dict()
    files = {k: f"pytorch_model-0000{1 + i % 2}-of-00002.bin" for i, k in enumerate(state)}
    for file in sorted(set(files.values())):
        torch.save({k: v.clone() for k, v in state.items() if files[k] == file}, folder / file)
    index = {"metadata": {"total_size": 0}, "weight_map": files}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=1))
    finish(folder)


def qwen3_yarn():
    """q/k norms, heads wider than D / H, yarn."""
    scaling = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=32)
    config = tf.Qwen3Config(**SMALL, head_dim=16, tie_word_embeddings=True, rope_parameters=scaling)
    finish(save("qwen3_yarn", build(config, 5)))


def gemma2():
    """Norms less 1, four of them a layer, soft caps, a window in every other layer."""
    config = tf.Gemma2Config(**SMALL, head_dim=8, query_pre_attn_scalar=16, sliding_window=4,
                             attn_logit_softcapping=5.0, final_logit_softcapping=4.0)
    finish(save("gemma2", build(config, 6)))


def gemma3():
    """Two rotary bases, layers of two kinds."""
    small = dict(SMALL, num_hidden_layers=3)
    config = tf.Gemma3TextConfig(**small, head_dim=8, query_pre_attn_scalar=8, sliding_window=4,
                                 layer_types=["sliding_attention", "sliding_attention", "full_attention"])
    finish(save("gemma3", build(config, 7)))


def stablelm():
    """LayerNorms with biases, a quarter of each head rotates."""
    config = tf.StableLmConfig(**dict(SMALL, hidden_size=64), tie_word_embeddings=False, use_qkv_bias=True)
    finish(save("stablelm", build(config, 8)))


def mixtral():
    """Experts as LLaMA's, their names Mixtral's."""
    finish(save("mixtral", build(tf.MixtralConfig(**SMALL, num_local_experts=3, num_experts_per_tok=2), 15)))


def qwen3_moe():
    """Experts beside q/k norms; the weights of the chosen ones sum to 1."""
    config = tf.Qwen3MoeConfig(**SMALL, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24,
                               norm_topk_prob=True)
    finish(save("qwen3_moe", build(config, 16)))


def qwen2_moe():
    """Experts, one of them shared behind a gate, weights as they are; biases."""
    config = tf.Qwen2MoeConfig(**SMALL, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24,
                               shared_expert_intermediate_size=20)
    finish(save("qwen2_moe", build(config, 17)))


def bitnet_config(**options):
    return tf.BitNetConfig(**SMALL, hidden_act="relu2", tie_word_embeddings=True, rms_norm_eps=1e-5, **options)


def pack(folder, divide):
    """Packs the projections of model.safetensors as transformers does."""
    state = load_file(folder / "model.safetensors")
    for name in list(state):
        if name.split(".")[-2] not in PROJECTIONS:
            continue
        w = state[name].float()
        scale = w.abs().mean().clamp(min=1e-5)
        state[name] = pack_weights((w / scale).round().clamp(-1, 1))
        state[name + "_scale"] = (1 / scale if divide else scale).reshape(1).to(torch.bfloat16)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def quantised(folder, linear_class, mode):
    edit(folder, lambda c: c.update(quantization_config=dict(
        quant_method="bitnet", linear_class=linear_class, quantization_mode=mode, modules_to_not_convert=None)))


def bitnet_offline():
    """As microsoft/bitnet-b1.58-2B-4T: packed, multiply."""
    folder = save("bitnet_offline", build(bitnet_config(), 9))
    pack(folder, divide=False)
    quantised(folder, "autobitlinear", "offline")
    finish(folder)


def bitnet_online():
    """As its -bf16 sibling: masters."""
    folder = save("bitnet_online", build(bitnet_config(), 10))
    quantised(folder, "autobitlinear", "online")
    finish(folder)


def projection_norms():
    """A norm in front of each projection, as BitNet's embedding models have; masters."""
    config = tf.Qwen3Config(**SMALL, head_dim=8, tie_word_embeddings=True)
    folder = save("projection_norms", build(config, 18))
    state = load_file(folder / "model.safetensors")
    g = torch.Generator().manual_seed(18)
    for name in list(state):
        if name.split(".")[-2] in PROJECTIONS:
            norm = (1 + 0.2 * torch.randn(state[name].shape[1], generator=g)).to(torch.bfloat16)
            state[name.replace(".weight", ".rms_norm.weight")] = norm
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    quantised(folder, "autobitlinear", "online")
    edit(folder, lambda c: c["quantization_config"].update(use_rms_norm=True, rms_norm_eps=1e-6))
    finish(folder)


def llama_bitlinear():
    """As Falcon3 and Llama3-8B-1.58: LLaMA with packed weights, divide."""
    folder = save("llama_bitlinear", build(tf.LlamaConfig(**SMALL, tie_word_embeddings=False), 11))
    pack(folder, divide=True)
    quantised(folder, "bitlinear", "offline")
    finish(folder)


def bitnet_unpacked():
    """The same before it is packed: codes as bf16 numbers, as transformers saves such a model again."""
    folder = save("bitnet_unpacked", build(bitnet_config(), 9))
    state = load_file(folder / "model.safetensors")
    for name in list(state):
        if name.split(".")[-2] in PROJECTIONS:
            scale = state[name].float().abs().mean()
            state[name] = (state[name].float() / scale).round().clamp(-1, 1).to(torch.bfloat16)
            state[name + "_scale"] = scale.reshape(1).to(torch.bfloat16)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    quantised(folder, "autobitlinear", "offline")
    finish(folder)


def bitnet_first():
    """As 1bitLLM/bitnet_b1_58-large: a LLaMA by its name, with sub-norms and masters. Logits of the same network as
    transformers' bitnet with SiLU."""
    folder = save("bitnet_first", build(tf.BitNetConfig(**SMALL, hidden_act="silu", tie_word_embeddings=True,
                                                        rms_norm_eps=1e-5), 12, torch.float16))
    quantised(folder, "autobitlinear", "online")
    finish(folder)
    state = load_file(folder / "model.safetensors")
    rename = {"attn_sub_norm": "inner_attn_ln", "ffn_sub_norm": "ffn_layernorm"}
    renamed = {}
    for name, w in state.items():
        for new, old in rename.items():
            name = name.replace(new, old)
        renamed[name] = w
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})

    def change(c):
        del c["quantization_config"]
        c.update(architectures=["BitnetForCausalLM"], model_type="llama", weight_bits=1, input_bits=8)
        old_style(c)
    edit(folder, change)


def with_vocabulary():
    """A vocabulary, what is special in it told by four files, and a chat template."""
    folder = save("with_vocabulary", build(tf.LlamaConfig(**dict(SMALL, vocab_size=280, hidden_size=16,
                                                                 intermediate_size=24)), 14))
    shutil.copy(OUT.parent / "format" / "gpt2_style.json", folder / "tokenizer.json")
    end, user = 0, json.loads((folder / "tokenizer.json").read_text())["added_tokens"][-1]["id"]
    write = lambda name, value: (folder / name).write_text(json.dumps(value, indent=1) + "\n")
    write("generation_config.json", dict(bos_token_id=1, eos_token_id=[end, user], transformers_version="5.23.0"))
    write("tokenizer_config.json", dict(add_bos_token=True, bos_token="!", eos_token=dict(content="<|endoftext|>"),
                                        chat_template="unused", tokenizer_class="PreTrainedTokenizerFast"))
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    finish(folder)


def llama2c():
    """llama2.c's three forms. Its pairs of a rotation are neighbours, transformers' are half a head apart."""
    d, f, n_layers, heads, kv, vocab, ctx = 32, 64, 2, 4, 2, 48, 24
    a = d // heads
    config = tf.LlamaConfig(**dict(SMALL, hidden_size=d, intermediate_size=f), rms_norm_eps=1e-5,
                            tie_word_embeddings=False)
    model = build(config, 13, torch.float32)
    state = {k: v.detach().numpy() for k, v in model.state_dict().items()}

    def neighbours(w, n):
        return w.reshape(n, 2, a // 2, d).swapaxes(1, 2).reshape(n * a, d)

    def layers(name, n_heads=None):
        w = [state[f"model.layers.{i}.{name}.weight"] for i in range(n_layers)]
        return [neighbours(x, n_heads) for x in w] if n_heads else w

    emb, head, norm = state["model.embed_tokens.weight"], state["lm_head.weight"], [state["model.norm.weight"]]
    attn_norm, ffn_norm = layers("input_layernorm"), layers("post_attention_layernorm")
    attention = layers("self_attn.q_proj", heads) + layers("self_attn.k_proj", kv)
    attention += layers("self_attn.v_proj") + layers("self_attn.o_proj")
    feed = layers("mlp.gate_proj") + layers("mlp.down_proj") + layers("mlp.up_proj")
    sizes = lambda v: struct.pack("<7i", d, f, n_layers, heads, kv, v, ctx)
    raw = lambda tensors: b"".join(np.ascontiguousarray(t, dtype="<f4").tobytes() for t in tensors)
    angles = np.zeros((ctx, a // 2 * 2), dtype=np.float32)

    def quantise(w, group):
        g = w.reshape(-1, group)
        scale = (np.abs(g).max(axis=1) / 127).astype("<f4")
        q = np.round(g / scale[:, None]).astype(np.int8)
        return q.tobytes() + scale.tobytes(), (q * scale[:, None]).astype(np.float32).reshape(w.shape)

    for name, tied in (("llama2c_legacy", False), ("llama2c_tied", True)):
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        tensors = [emb] + attn_norm + attention + ffn_norm + feed + norm + [angles] + ([] if tied else [head])
        (folder / "model.bin").write_bytes(sizes(vocab if tied else -vocab) + raw(tensors))
        m = tf.AutoModelForCausalLM.from_config(config)
        m.load_state_dict(model.state_dict())
        if tied:
            m.lm_head.weight = torch.nn.Parameter(torch.from_numpy(emb.copy()))
        write_logits(folder, logits_of(m))

    folder = OUT / "llama2c_v1"
    folder.mkdir(parents=True, exist_ok=True)
    start = struct.pack("<Ii", 0x616b3432, 1) + sizes(vocab) + struct.pack("<B", 0)
    tensors = attn_norm + ffn_norm + norm + [emb] + attention + feed + [head]
    (folder / "model.bin").write_bytes(start.ljust(256, b"\0") + raw(tensors))
    write_logits(folder, logits_of(model))

    folder = OUT / "llama2c_v2"
    folder.mkdir(parents=True, exist_ok=True)
    group = 16
    start = struct.pack("<Ii", 0x616b3432, 2) + sizes(vocab) + struct.pack("<B", 0) + struct.pack("<i", group)
    data = start.ljust(256, b"\0") + raw(attn_norm + ffn_norm + norm)
    for w in [emb] + attention + feed + [head]:
        data += quantise(w, group)[0]
    (folder / "model.bin").write_bytes(data)
    rounded = {}
    for k, w in state.items():
        # groups of rows that move together: the order of neighbours changes nothing within a row
        rounded[k] = torch.from_numpy(quantise(w, group)[1] if w.ndim == 2 else w)
    m = tf.AutoModelForCausalLM.from_config(config)
    m.load_state_dict(rounded)
    write_logits(folder, logits_of(m))


def sentencepiece_vocabulary():
    """tokenizer.model in a folder, the same as llama2.c's tokenizer.bin, and the ids that SentencePiece gives."""
    folder = OUT / "sentencepiece"
    folder.mkdir(parents=True, exist_ok=True)
    text = OUT.parent / "train" / "garden.txt"
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "tokenizer"), model_type="bpe", vocab_size=380, byte_fallback=True,
        normalization_rule_name="identity", split_digits=True, remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, minloglevel=2)
    (folder / "tokenizer.vocab").unlink()
    sp = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    data, longest = b"", 0
    for i in range(sp.vocab_size()):  # as tokenizer.py's export
        piece = "\n<s>\n" if i == sp.bos_id() else "\n</s>\n" if i == sp.eos_id() else sp.id_to_piece(i)
        piece = piece.replace("\u2581", " ").encode()
        longest = max(longest, len(piece))
        data += struct.pack("<fI", sp.get_score(i), len(piece)) + piece
    (folder / "tokenizer.bin").write_bytes(struct.pack("<I", longest) + data)
    texts = ["the garden", "Hello, world!", "  two  spaces ", "caf\u00e9 \u4e2d\u6587 \U0001f600", "x", "1234",
             "a\tb", " "]
    lines = [t + "|" + " ".join(map(str, [sp.bos_id()] + sp.encode(t))) for t in texts]
    (folder / "ids.txt").write_text("\n".join(lines) + "\n")


def torch_files():
    """Small files of torch.save, of every kind that has to be told apart."""
    folder = OUT / "torch"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    numbers = torch.arange(6).reshape(2, 3)
    kinds = dict(f32=torch.float32, f16=torch.float16, bf16=torch.bfloat16, f64=torch.float64, i8=torch.int8,
                 u8=torch.uint8, i32=torch.int32, i64=torch.int64, flag=torch.bool)
    tensors = {name: numbers.to(kind) for name, kind in kinds.items()}
    tensors["part"] = torch.arange(10.0)[4:6]  # inside the storage of another
    tensors["scalar"] = torch.tensor(2.5)
    tensors["same"] = tensors["f32"]
    torch.save(tensors, folder / "kinds.pt")
    torch.save(tensors, folder / "protocol4.pt", pickle_protocol=4)
    linear = torch.nn.Linear(3, 2)
    with torch.no_grad():
        linear.weight.copy_(numbers)
        linear.bias.fill_(7)
    torch.save(linear.state_dict(), folder / "state_dict.pt")
    trained = {"epoch": 3, "lr": 0.5, "name": "run", "best": None, "list": [1, 2, (3, -4)],
               "optimizer": {"state": {}, "big": 2 ** 40}, "model": dict(linear.named_parameters())}
    torch.save(trained, folder / "nested.pt")
    torch.save({"w": numbers.float().t()}, folder / "transposed.pt")
    torch.save(tensors, folder / "before_1_6.pt", _use_new_zipfile_serialization=False)
    torch.save(linear, folder / "module.pt")
    torch.save({"w": numbers, "path": pathlib.PurePosixPath("a")}, folder / "object.pt")
    torch.save([numbers], folder / "list.pt")


def main():
    cases = [llama, mistral_sharded, llama3_bin, qwen2_bins, qwen3_yarn, gemma2, gemma3, stablelm, mixtral, qwen3_moe,
             qwen2_moe, bitnet_offline, bitnet_online, bitnet_unpacked, projection_norms, llama_bitlinear, bitnet_first,
             with_vocabulary, llama2c, sentencepiece_vocabulary, torch_files]
    for case in cases:
        if len(sys.argv) < 2 or case.__name__ in sys.argv[1:]:
            print(case.__name__)
            case()
    for path in OUT.rglob("*.*"):
        path.chmod(0o644)


if __name__ == "__main__":
    main()
