#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_arch_golden.py - writes tests/data/model/arch_*: tiny random models of every architecture and their logits.

The logits are transformers' (eager attention, double precision, on the CPU); the files are written with llama.cpp's
`gguf` package under the names and with the conventions of llama.cpp's converter (norms of Gemma plus 1, rows of q and k
of LLaMA interleaved, rope_freqs.weight). All weights are random, norms and biases too, so that nothing hides.

    pip install torch transformers gguf numpy
    python3 tests/reference/make_arch_golden.py [NAME...]

Keys and values pass through half precision, as in the cache they are read from. Ternary cases replace the projections
by BitLinear (8-bit activations, ternary weights). Such roundings make a network discontinuous, so models are taken
whose roundings are not near ties.

arch_NAME.gguf: the model. arch_NAME.f32: logits [N_TOKENS, V], little-endian floats; arch_NAME.exact.f32, of
full-precision models: the same without the rounding of keys and values. Token i is (7 i^2 + 3 i + 5) mod
V.
"""
import pathlib
import sys

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as T
from transformers.cache_utils import DynamicCache

OUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "model"
N_TOKENS = 40

SMALL = dict(vocab_size=100, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64)
# blocks of ternary weights have 256 elements
WIDE = SMALL | dict(vocab_size=48, hidden_size=256, intermediate_size=256, num_hidden_layers=1, num_attention_heads=8,
                    num_key_value_heads=1)
LLAMA3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=24)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)
LINEAR = dict(rope_type="linear", factor=2.0)
GEMMA3_ROPE = dict(full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1e6),
                   sliding_attention=dict(rope_type="default", rope_theta=1e4))


def layer_types(period, n):
    return ["full_attention" if period and i % period == period - 1 else "sliding_attention" for i in range(n)]


def rope(theta, scaling=None, **more):
    return dict(rope_parameters=dict(rope_theta=theta, **(scaling or dict(rope_type="default")), **more))


# name: (GGUF architecture, configuration class, settings, ternary)
CASES = {
    "llama": ("llama", "Llama", SMALL | rope(500000.0, LLAMA3) | dict(head_dim=24, attention_bias=True, mlp_bias=True),
              False),
    "mistral": ("llama", "Mistral", SMALL | rope(10000.0) | dict(head_dim=24, sliding_window=7), False),
    "qwen2": ("qwen2", "Qwen2", SMALL | rope(10000.0, YARN) | dict(tie_word_embeddings=True), False),
    "qwen3": ("qwen3", "Qwen3", SMALL | rope(1000000.0, LINEAR) | dict(head_dim=24), False),
    "gemma": ("gemma", "Gemma", SMALL | rope(10000.0) | dict(head_dim=24, num_key_value_heads=1), False),
    "gemma2": ("gemma2", "Gemma2", SMALL | rope(10000.0) | dict(
        head_dim=24, sliding_window=7, query_pre_attn_scalar=24, attn_logit_softcapping=3.0,
        final_logit_softcapping=20.0, layer_types=layer_types(2, 2)), False),
    "gemma3": ("gemma3", "Gemma3Text", SMALL | dict(
        hidden_size=32, intermediate_size=64, num_hidden_layers=7, head_dim=16, sliding_window=7,
        query_pre_attn_scalar=16, layer_types=layer_types(6, 7), rope_parameters=GEMMA3_ROPE), False),
    "stablelm": ("stablelm", "StableLm", SMALL | rope(10000.0, partial_rotary_factor=0.5) | dict(
        use_qkv_bias=True, qk_layernorm=True, use_parallel_residual=False), False),
    "bitnet_2b4t": ("bitnet-b1.58", "BitNet", WIDE | rope(500000.0) | dict(hidden_act="relu2",
                                                                           tie_word_embeddings=True), True),
    "qwen3_ternary": ("qwen3", "Qwen3", WIDE | rope(1000000.0) | dict(num_attention_heads=4, num_key_value_heads=1,
                                                                      head_dim=64), True),
    "gemma3_ternary": ("gemma3", "Gemma3Text", WIDE | dict(
        head_dim=32, sliding_window=7, query_pre_attn_scalar=20, layer_types=layer_types(6, 1),
        rope_parameters=GEMMA3_ROPE), True),
    "stablelm_ternary": ("stablelm", "StableLm", WIDE | rope(10000.0, partial_rotary_factor=0.25) | dict(
        use_qkv_bias=True, use_parallel_residual=False), True),
}

# Seeds of models that no rounding of an activation or a key lies near a tie of, or few: there, another order of sums
# makes another model.
SEEDS = {"llama": 7, "mistral": 3, "qwen2": 4, "qwen3": 20, "gemma": 9, "gemma2": 11, "gemma3": 2, "stablelm": 11,
         "bitnet_2b4t": 22, "qwen3_ternary": 51, "gemma3_ternary": 20, "stablelm_ternary": 7}

NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "self_attn.attn_sub_norm": "attn_sub_norm", "self_attn.q_layernorm": "attn_q_norm",
    "self_attn.k_layernorm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "mlp.ffn_sub_norm": "ffn_sub_norm", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
POST_NORMS = NAMES | {
    "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
# how dense projections are stored, in turn
TYPES = [T.Q8_0, T.F16, T.Q8_0, T.Q8_0, T.BF16, T.Q8_0, T.Q8_0, T.F32, T.Q8_0, T.Q8_0, T.Q8_0]


class HalfCache(DynamicCache):
    """Keys and values as IEEE halves, every position for every layer (masks do the windows)."""

    def update(self, key_states, value_states, *args, **kwargs):
        seen.append((key_states.half(), value_states.half()))
        dtype = key_states.dtype
        return super().update(key_states.half().to(dtype), value_states.half().to(dtype), *args, **kwargs)


seen = []  # what was rounded: codes of activations, halves


class BitLinear(torch.nn.Linear):
    def forward(self, x):
        a = x.abs().amax(dim=-1, keepdim=True).clamp(min=1e-5)
        q = (x * (127 / a)).round()
        seen.append(q.to(torch.int8))
        return torch.nn.functional.linear(q * (a / 127), self.weight, self.bias)


def set_ternary(model):
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear) and not name.endswith("lm_head"):
            module.__class__ = BitLinear


def randomise(model, less_one, rng):
    for name, p in model.named_parameters():
        x = rng.standard_normal(tuple(p.shape))
        if p.dim() == 2 and "embed" not in name and "lm_head" not in name:
            x *= 1.3 / np.sqrt(p.shape[1])
        elif name.endswith("weight") and p.dim() == 1:
            x = 0.2 * x + (0 if less_one else 1)
        elif name.endswith("bias"):
            x *= 0.3
        else:
            x *= 0.5
        p.data = torch.tensor(x, dtype=torch.float32)


def permuted(x, heads):
    """Rows of a projection of Hugging Face's LLaMA as GGUF's "llama" has them: (i, i + n/2) become neighbours."""
    return x.reshape(heads, 2, -1, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def quantised(x, kind):
    """Stored bytes, and the numbers they stand for."""
    data = gguf.quants.quantize(np.ascontiguousarray(x), kind)
    return data, gguf.quants.dequantize(data, kind).astype(np.float32)


def ternary(x):
    scale = np.float32(np.float16(np.abs(x).mean()))
    return (np.clip(np.rint(x / scale), -1, 1) * scale).astype(np.float32)


def store(model, arch, config, is_ternary):
    """[(GGUF name, bytes, type)]; the model's parameters become what is stored."""
    stored, heads_of, types = [], {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}, 0
    names = POST_NORMS if arch in ("gemma2", "gemma3") else NAMES
    stacks = {}
    for name, p in model.named_parameters():
        x = p.data.numpy().copy()
        part = name.rsplit(".", 1)[1]
        if ".layers." in name:
            _, _, layer, rest = name.split(".", 3)
            rest = rest.rsplit(".", 1)[0]
            if ".norms." in rest:  # a norm for each head
                stacks.setdefault(f"blk.{layer}.{NAMES[rest.split('.norms.')[0]]}.{part}", []).append(x)
                continue
            short = names[rest]
            full = f"blk.{layer}.{short}.{part}"
        else:
            short = {"model.embed_tokens": "token_embd", "model.norm": "output_norm",
                     "lm_head": "output"}[name.rsplit(".", 1)[0]]
            full = f"{short}.{part}"
        kind = T.F32
        if x.ndim == 2:
            kind = T.F16 if short in ("token_embd", "output") else T.TQ1_0 if is_ternary else TYPES[types % len(TYPES)]
            types += 1
        if kind == T.TQ1_0:
            x = ternary(x)
        x = quantised(x, kind)[1]
        p.data = torch.tensor(x)
        if "norm" in short and arch.startswith("gemma"):
            x = (x + np.float32(1)).astype(np.float32)
        if arch == "llama" and short in heads_of:
            x = permuted(x, heads_of[short])
        stored.append((full, quantised(x, kind)[0], kind))
    for full, x in stacks.items():
        stored.append((full, np.stack(x), T.F32))
    return stored


def round_embedding_scale(model, config):
    """transformers multiplies by the root of D as a number of the embedding's type: here a half."""
    model.model.embed_tokens.embed_scale.fill_(float(np.float16(np.sqrt(config.hidden_size))))


def logits_of(model, tokens, dtype, cache=HalfCache):
    seen.clear()
    with torch.no_grad():
        out = model.to(dtype)(input_ids=tokens[None], past_key_values=cache(), use_cache=True)
    return out.logits[0].numpy(), list(seen)


def count_others(a, b):
    return sum(int((x != y).sum()) for x, y in zip(flat(a), flat(b)))


def flat(values):
    for v in values:
        yield from (v if isinstance(v, tuple) else (v,))


def write_model(path, arch, config, stored):
    d, heads = config.hidden_size, config.num_attention_heads
    width = getattr(config, "head_dim", None) or d // heads
    out = gguf.GGUFWriter(path, arch)
    out.add_name(path.stem)
    out.add_quantization_version(2)
    out.add_context_length(config.max_position_embeddings)
    out.add_vocab_size(config.vocab_size)
    out.add_embedding_length(d)
    out.add_block_count(config.num_hidden_layers)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(heads)
    out.add_head_count_kv(config.num_key_value_heads)
    if width * heads != d or arch.startswith("gemma"):
        out.add_key_length(width)
        out.add_value_length(width)
    if arch == "stablelm":
        out.add_layer_norm_eps(config.layer_norm_eps)
        out.add_parallel_residual(False)
    else:
        out.add_layer_norm_rms_eps(config.rms_norm_eps)
    if getattr(config, "sliding_window", None):
        out.add_sliding_window(config.sliding_window)
    if getattr(config, "attn_logit_softcapping", None):
        out.add_attn_logit_softcapping(config.attn_logit_softcapping)
    if getattr(config, "final_logit_softcapping", None):
        out.add_final_logit_softcapping(config.final_logit_softcapping)
    if getattr(config, "query_pre_attn_scalar", width) != width:
        out.add_attention_scale(config.query_pre_attn_scalar ** -0.5)
    parameters = config.rope_parameters
    parameters = parameters.get("full_attention", parameters)
    out.add_rope_freq_base(parameters["rope_theta"])
    out.add_rope_dimension_count(int(width * (parameters.get("partial_rotary_factor") or 1)))
    if parameters["rope_type"] in ("linear", "yarn"):
        out.add_rope_scaling_type(gguf.RopeScalingType(parameters["rope_type"]))
        out.add_rope_scaling_factor(parameters["factor"])
    if parameters["rope_type"] == "yarn":
        out.add_rope_scaling_orig_ctx_len(parameters["original_max_position_embeddings"])
    if parameters["rope_type"] == "llama3":
        stored = stored + [("rope_freqs.weight", llama3_factors(config, width), T.F32)]
    for name, data, kind in stored:
        out.add_tensor(name, data, raw_dtype=kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def llama3_factors(config, width):
    """How much slower transformers turns each pair."""
    scaled, _ = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    plain = 1.0 / config.rope_parameters["rope_theta"] ** (np.arange(0, width, 2) / width)
    return (plain / scaled.double().numpy()).astype(np.float32)


def build(name, seed):
    arch, family, settings, is_ternary = CASES[name]
    config = getattr(transformers, family + "Config")(**settings)
    model = getattr(transformers, family.removesuffix("Text") + "ForCausalLM")._from_config(
        config, attn_implementation="eager").float().eval()
    if is_ternary:
        set_ternary(model)
    randomise(model, arch.startswith("gemma"), np.random.default_rng(seed))
    model.tie_weights()
    stored = store(model, arch, config, is_ternary)
    model.tie_weights()
    if arch.startswith("gemma"):
        round_embedding_scale(model, config)
    i = torch.arange(N_TOKENS)
    tokens = (7 * i * i + 3 * i + 5) % config.vocab_size
    single, narrow = logits_of(model, tokens, torch.float32)
    double, wide = logits_of(model, tokens, torch.float64)
    others = count_others(narrow, wide)
    error = np.abs(single - double).max() / np.abs(double).max()
    exact = logits_of(model, tokens, torch.float64, DynamicCache)[0]
    return (others, error), config, stored, double, exact


def make(name):
    arch, _, _, is_ternary = CASES[name]
    (others, error), config, stored, logits, exact = build(name, SEEDS[name])
    assert not (others and is_ternary), f"{name}: {others} roundings on a tie"
    print(f"{name}: {others} other roundings in single precision, which is off by {error:.1e}")
    write_model(OUT / f"arch_{name}.gguf", arch, config, stored)
    (OUT / f"arch_{name}.f32").write_bytes(logits.astype("<f4").tobytes())
    if not is_ternary:
        (OUT / f"arch_{name}.exact.f32").write_bytes(exact.astype("<f4").tobytes())


def main():
    for name in sys.argv[1:] or CASES:
        make(name)


if __name__ == "__main__":
    main()
