/*
 * hf_config.c - configurations as transformers reads them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "convert/hf_config.h"

#include "trit.h"

#include "model/tensors.h"

#define BIAS(id) ((uint64_t)1 << TRIT_TENSOR_##id)
#define QKV_BIASES (BIAS(ATTN_Q) | BIAS(ATTN_K) | BIAS(ATTN_V))
#define ATTENTION_BIASES (QKV_BIASES | BIAS(ATTN_OUTPUT))
#define MLP_BIASES (BIAS(FFN_GATE) | BIAS(FFN_UP) | BIAS(FFN_DOWN))

/* The network of transformers that computes what an architecture does. */
static const struct network {
	const char *arch; /* general.architecture */
	const char *model_type, *class;
	bool divides;     /* the published packed models of the kind have linear class bitlinear */
	bool window;      /* it has a sliding window, without one it is the row before */
	uint64_t biases;  /* that it always has */
	uint64_t options; /* that it may have, the groups that config.json names */
} networks[] = {
	{ "bitnet", "bitnet", "BitNetForCausalLM", false, false, 0, 0 },
	{ "bitnet-b1.58", "bitnet", "BitNetForCausalLM", false, false, 0, 0 },
	{ "bitnet-25", "bitnet", "BitNetForCausalLM", false, false, 0, 0 },
	{ "llama", "llama", "LlamaForCausalLM", true, false, 0, ATTENTION_BIASES | MLP_BIASES },
	{ "llama", "mistral", "MistralForCausalLM", true, true, 0, 0 },
	{ "qwen2", "qwen2", "Qwen2ForCausalLM", true, false, QKV_BIASES, 0 },
	{ "qwen2", "qwen2", "Qwen2ForCausalLM", true, true, QKV_BIASES, 0 },
	{ "qwen3", "qwen3", "Qwen3ForCausalLM", true, false, 0, ATTENTION_BIASES },
	{ "qwen3", "qwen3", "Qwen3ForCausalLM", true, true, 0, ATTENTION_BIASES },
};

static const struct network *find_network(const struct trit_config *c)
{
	for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++)
		if (!strcmp(networks[i].arch, c->arch->name) && networks[i].window == (c->window > 0))
			return &networks[i];
	return NULL;
}

bool trit_hf_divides(const struct trit_config *c)
{
	const struct network *n = find_network(c);
	return n && n->divides;
}

/* Biases come in groups: all of attention's or none, all of the feed-forward half's or none. */
static bool has_biases_of(const struct network *n, uint64_t biases)
{
	uint64_t extra = biases & ~n->biases, attention = extra & ATTENTION_BIASES, mlp = extra & MLP_BIASES;
	return (biases & n->biases) == n->biases && !(extra & ~n->options) &&
	       (attention == 0 || attention == ATTENTION_BIASES) && (mlp == 0 || mlp == MLP_BIASES);
}

/* What the network of transformers lacks; NULL if it has everything. */
static const char *find_lack(const struct network *n, const struct trit_config *c)
{
	if (c->rope_freqs && c->rope_scaling.kind != TRIT_ROPE_LLAMA3)
		return "divisors of the rotary frequencies (rope_freqs.weight)";
	if (c->window && c->window_period)
		return "layers with and without a window";
	if (c->n_labels && !strcmp(n->model_type, "bitnet"))
		return "a head of labels";
	if (c->n_labels && c->pooling != TRIT_POOLING_LAST && c->pooling != 0)
		return "a head of labels on another state than the last";
	if (!has_biases_of(n, c->biases))
		return c->biases ? "these biases" : "no biases";
	if (c->n_rot != c->head_dim)
		return "elements of a head that do not rotate";
	if (c->attn_softcap > 0 || c->logit_softcap > 0 || c->score_scale > 0 || c->embedding_scale > 0)
		return "other scales of scores, logits or embeddings";
	if (c->sub_norm != c->arch->sub_norm)
		return "norms before the output and down projections";
	if (c->qk_norms != c->arch->qk_norms)
		return "norms of queries and keys";
	return NULL;
}

int trit_hf_check(const struct trit_config *c, struct trit_error *err)
{
	const struct network *n = find_network(c);
	const char *lack = n ? find_lack(n, c) : NULL;
	if (!n)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "a model of architecture %s%s is not written as a Hugging Face folder; write a GGUF file",
		                 c->arch->name, c->window ? " with a sliding window" : "");
	if (lack)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "transformers' %s cannot have %s, as this model has; write a GGUF file", n->class, lack);
	if (c->sub_norm && c->n_heads * c->head_dim != c->d_model)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "all heads together are %d wide and the model %d, which must be the same in transformers' %s; "
		                 "write a GGUF file", c->n_heads * c->head_dim, c->d_model, n->class);
	return TRIT_OK;
}

static const char *activation_name(enum trit_activation a)
{
	return a == TRIT_ACT_RELU2 ? "relu2" : "silu";
}

static void put_token(struct trit_json *j, const char *key, trit_token id)
{
	if (id < 0)
		trit_json_null(j, key);
	else
		trit_json_int(j, key, id);
}

/* The tokens that end a text: one, or those of a text and of a turn. */
static void put_ends(struct trit_json *j, const struct trit_vocab *v)
{
	if (v->eos >= 0 && v->eot >= 0 && v->eot != v->eos) {
		trit_json_begin(j, "eos_token_id", '[');
		trit_json_int(j, NULL, v->eos);
		trit_json_int(j, NULL, v->eot);
		trit_json_end(j, ']');
	} else {
		put_token(j, "eos_token_id", v->eos >= 0 ? v->eos : v->eot);
	}
}

static void put_special_ids(struct trit_json *j, const struct trit_vocab *v)
{
	/* Without a vocabulary nulls are better than the network's defaults, which are ids of another model. */
	put_token(j, "bos_token_id", v ? v->bos : -1);
	if (v)
		put_ends(j, v);
	else
		trit_json_null(j, "eos_token_id");
	put_token(j, "pad_token_id", v ? v->pad : -1);
}

static void put_quantization(struct trit_json *j, enum trit_hf_linear linear)
{
	trit_json_begin(j, "quantization_config", '{');
	trit_json_string(j, "quant_method", "bitnet");
	trit_json_string(j, "linear_class", linear == TRIT_HF_DIVIDE ? "bitlinear" : "autobitlinear");
	trit_json_string(j, "quantization_mode", linear == TRIT_HF_ONLINE ? "online" : "offline");
	trit_json_end(j, '}');
}

static void put_rope_scaling(struct trit_json *j, const struct trit_rope_scaling *s)
{
	static const char *const kinds[] = { [TRIT_ROPE_LINEAR] = "linear", [TRIT_ROPE_LLAMA3] = "llama3",
		                             [TRIT_ROPE_YARN] = "yarn" };
	if (s->kind == TRIT_ROPE_PLAIN) {
		trit_json_null(j, "rope_scaling");
		return;
	}
	trit_json_begin(j, "rope_scaling", '{');
	trit_json_string(j, "rope_type", kinds[s->kind]);
	trit_json_float(j, "factor", s->factor);
	if (s->kind != TRIT_ROPE_LINEAR) {
		trit_json_float(j, s->kind == TRIT_ROPE_YARN ? "beta_slow" : "low_freq_factor", s->slow);
		trit_json_float(j, s->kind == TRIT_ROPE_YARN ? "beta_fast" : "high_freq_factor", s->fast);
		trit_json_int(j, "original_max_position_embeddings", s->n_ctx_original);
	}
	if (s->kind == TRIT_ROPE_YARN)
		trit_json_float(j, "attention_factor", s->magnitude);
	trit_json_end(j, '}');
}

static void put_window(struct trit_json *j, const struct network *n, const struct trit_config *c)
{
	bool qwen = !strncmp(n->model_type, "qwen", 4);
	if (!c->window && !qwen)
		return;
	if (c->window)
		trit_json_int(j, "sliding_window", c->window);
	else
		trit_json_null(j, "sliding_window");
	if (!qwen)
		return;
	trit_json_bool(j, "use_sliding_window", c->window > 0);
	trit_json_int(j, "max_window_layers", c->window ? 0 : c->n_layers);
}

static void put_label(struct trit_json *j, int i, const char *label)
{
	char number[32];
	snprintf(number, sizeof number, "%d", i);
	trit_json_string(j, number, label);
}

/* The class, and of a classifier the labels. */
static void put_class(struct trit_json *j, const struct network *n, const struct trit_config *c,
                      const struct trit_labels *labels)
{
	char class[64], name[32];
	snprintf(class, sizeof class, "%.*s%s", (int)(strlen(n->class) - strlen("ForCausalLM")), n->class,
	         c->n_labels ? "ForSequenceClassification" : "ForCausalLM");
	trit_json_begin(j, "architectures", '[');
	trit_json_string(j, NULL, class);
	trit_json_end(j, ']');
	if (!c->n_labels)
		return;
	for (int back = 0; back < 2; back++) {
		trit_json_begin(j, back ? "label2id" : "id2label", '{');
		for (int i = 0; i < c->n_labels; i++) {
			snprintf(name, sizeof name, "LABEL_%d", i);
			const char *label = labels && i < labels->n ? labels->names[i] : name;
			if (back)
				trit_json_int(j, label, i);
			else
				put_label(j, i, label);
		}
		trit_json_end(j, '}');
	}
}

void trit_hf_put_config(struct trit_json *j, const struct trit_hf_description *m)
{
	const struct trit_config *c = m->config;
	const struct network *n = find_network(c);
	trit_json_begin(j, NULL, '{');
	put_class(j, n, c, m->labels);
	trit_json_string(j, "model_type", n->model_type);
	trit_json_int(j, "vocab_size", c->n_vocab);
	trit_json_int(j, "hidden_size", c->d_model);
	trit_json_int(j, "intermediate_size", c->d_ff);
	trit_json_int(j, "num_hidden_layers", c->n_layers);
	trit_json_int(j, "num_attention_heads", c->n_heads);
	trit_json_int(j, "num_key_value_heads", c->n_kv_heads);
	trit_json_int(j, "head_dim", c->head_dim);
	trit_json_int(j, "max_position_embeddings", c->n_ctx);
	trit_json_string(j, "hidden_act", activation_name(c->arch->activation));
	trit_json_float(j, "rms_norm_eps", c->eps);
	trit_json_float(j, "rope_theta", c->rope_base);
	put_rope_scaling(j, &c->rope_scaling);
	put_window(j, n, c);
	trit_json_bool(j, "attention_bias", (c->biases & ~n->biases & ATTENTION_BIASES) != 0);
	if (n->options & MLP_BIASES)
		trit_json_bool(j, "mlp_bias", (c->biases & MLP_BIASES) != 0);
	trit_json_float(j, "attention_dropout", 0);
	trit_json_float(j, "initializer_range", 0.02f);
	trit_json_bool(j, "tie_word_embeddings", c->tied);
	trit_json_bool(j, "use_cache", true);
	put_special_ids(j, m->vocab);
	trit_json_string(j, "torch_dtype", m->dtype);
	if (m->linear != TRIT_HF_PLAIN)
		put_quantization(j, m->linear);
	trit_json_end(j, '}');
}

void trit_hf_put_generation(struct trit_json *j, const struct trit_hf_description *m)
{
	trit_json_begin(j, NULL, '{');
	trit_json_bool(j, "_from_model_config", true);
	put_special_ids(j, m->vocab);
	trit_json_end(j, '}');
}

static void put_piece(struct trit_json *j, const char *key, const struct trit_vocab *v, trit_token id)
{
	if (id < 0)
		trit_json_null(j, key);
	else
		trit_json_text(j, key, v->pieces[id].len, v->pieces[id].text);
}

void trit_hf_put_tokenizer(struct trit_json *j, const struct trit_hf_description *m)
{
	const struct trit_vocab *v = m->vocab;
	trit_json_begin(j, NULL, '{');
	trit_json_string(j, "tokenizer_class", "PreTrainedTokenizerFast");
	trit_json_bool(j, "add_bos_token", v->add_bos);
	trit_json_bool(j, "add_eos_token", v->add_eos);
	put_piece(j, "bos_token", v, v->bos);
	put_piece(j, "eos_token", v, v->eos);
	put_piece(j, "unk_token", v, v->unk);
	put_piece(j, "pad_token", v, v->pad);
	trit_json_bool(j, "clean_up_tokenization_spaces", false);
	trit_json_int(j, "model_max_length", m->config->n_ctx);
	if (v->chat_template)
		trit_json_string(j, "chat_template", v->chat_template);
	trit_json_end(j, '}');
}
