/*
 * recipe.c - the settings of a training run: table, sizes by name, text form.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/recipe.h"

#include <errno.h>
#include <limits.h>
#include <math.h>

#include "text/labels.h"
#include "train/lora.h"

static const char *const weight_names[] = { "ternary", "binary", "full", NULL };
static const char *const activation_names[] = { "silu", "relu2", "gelu", NULL };
static const char *const sub_norm_names[] = { "auto", "yes", "no", NULL };
static const char *const schedule_names[] = { "two-stage", "linear", "cosine", "wsd", NULL };
static const char *const decay_names[] = { "linear", "sqrt", NULL };
static const char *const ramp_names[] = { "linear", "exponential", "sigmoid", NULL };
static const char *const loss_names[] = { "answers", "last", "all", NULL };
static const char *const label_pooling_names[] = { "last", "mean", NULL };
static const char *const label_trains_names[] = { "all", "head", NULL };
static const char *const optimizer_names[] = { "adamw", "muon", "normuon", NULL };
static const char *const backward_names[] = { "int8", "int16", "f32", NULL };
static const char *const precision_names[] = { "auto", "bf16", "f32", NULL };

#define AT(member) offsetof(struct trit_recipe, member)

const struct trit_setting trit_settings[] = {
	{ "weights", TRIT_SETTING_CHOICE, AT(weights), 0, 0, "KIND",
	  "of the projections: BitNet b1.58, BitNet b1, or the LLaMA baseline", weight_names },
	{ "scales", TRIT_SETTING_CHOICE, AT(scales), 0, 0, "WHICH",
	  "of quantised weights: one a matrix, a row, or each 128 or 64 columns of a row", trit_scaling_names },
	{ "activation", TRIT_SETTING_CHOICE, AT(activation), 0, 0, "NAME",
	  "of the feed-forward half: SwiGLU or squared ReLU (gelu: of models that exist)", activation_names },
	{ "sub-norm", TRIT_SETTING_CHOICE, AT(sub_norm), 0, 0, "WHEN",
	  "norms before the output and down projections (auto: as the architecture "
	  "has it; where full-precision weights become ternary, yes)", sub_norm_names },
	{ "vocab-size", TRIT_SETTING_INT, AT(n_vocab), 257, TRIT_MAX_VOCAB, "N", "tokens to learn", NULL },
	{ "layers", TRIT_SETTING_INT, AT(n_layers), 1, TRIT_MAX_LAYERS, "N", "transformer layers", NULL },
	{ "d-model", TRIT_SETTING_INT, AT(d_model), 16, 65536, "N", "embedding width", NULL },
	{ "d-ff", TRIT_SETTING_INT, AT(d_ff), 16, 65536, "N", "feed-forward width", NULL },
	{ "heads", TRIT_SETTING_INT, AT(n_heads), 1, 4096, "N", "attention heads", NULL },
	{ "kv-heads", TRIT_SETTING_INT, AT(n_kv_heads), 1, 4096, "N", "key/value heads (grouped-query attention)", NULL },
	{ "head-dim", TRIT_SETTING_INT, AT(head_dim), 2, 4096, "N", "width of a head", NULL },
	{ "untied", TRIT_SETTING_BOOL, AT(untied), 0, 0, NULL, "a head of its own instead of the embedding", NULL },
	{ "rope-base", TRIT_SETTING_FLOAT, AT(rope_base), 1, 1e9, "X", "base of the rotary embedding", NULL },
	{ "eps", TRIT_SETTING_FLOAT, AT(eps), 1e-12, 0.1, "X", "epsilon of RMSNorm", NULL },
	{ "seq-len", TRIT_SETTING_INT, AT(seq_len), 8, 65536, "N", "tokens a sequence, the model's context", NULL },
	{ "batch", TRIT_SETTING_INT, AT(batch), 1, 65536, "N", "sequences a step", NULL },
	{ "micro-batch", TRIT_SETTING_INT, AT(micro_batch), 0, 65536, "N",
	  "sequences computed at once (0: about 2048 tokens); less memory, the same "
	  "gradient but for rounding", NULL },
	{ "parts", TRIT_SETTING_INT, AT(parts), 0, 65536, "N",
	  "equal parts of a batch whose gradients are summed in a fixed tree: what as "
	  "many processes would do (0: as many as there are processes)", NULL },
	{ "steps", TRIT_SETTING_INT, AT(steps), 0, 999999999, "N", "optimiser steps (0: as --epochs says)", NULL },
	{ "epochs", TRIT_SETTING_FLOAT, AT(epochs), 0, 1e6, "X", "passes over the text, when --steps is not given", NULL },
	{ "optimizer", TRIT_SETTING_CHOICE, AT(optimizer), 0, 0, "NAME",
	  "of the projections; embedding, head and norms always go by AdamW", optimizer_names },
	{ "schedule", TRIT_SETTING_CHOICE, AT(schedule), 0, 0, "NAME",
	  "of the learning rate: the paper's two stages, linear to 0, cosine to a "
	  "tenth, or constant and then linear to 0",
	  schedule_names },
	{ "decay-share", TRIT_SETTING_FLOAT, AT(decay_share), 0, 1, "X", "share of the steps at the end that wsd decays in",
	  NULL },
	{ "decay", TRIT_SETTING_CHOICE, AT(decay), 0, 0, "SHAPE",
	  "how wsd falls at the end: in proportion to the steps left, or by 1 - sqrt", decay_names },
	{ "warmup", TRIT_SETTING_INT, AT(warmup), 0, INT_MAX, "N",
	  "steps over which the learning rate rises (at most a tenth of all)", NULL },
	{ "lr", TRIT_SETTING_FLOAT, AT(lr), 0, 10, "X", "peak learning rate (0: by size, weights and optimizer)", NULL },
	{ "lr2", TRIT_SETTING_FLOAT, AT(lr2), 0, 10, "X",
	  "of two-stage: peak of the second half (0: 2/3 of --lr; for full weights the same)", NULL },
	{ "weight-decay", TRIT_SETTING_FLOAT, AT(weight_decay), 0, 10, "X", "in the first half", NULL },
	{ "weight-decay2", TRIT_SETTING_FLOAT, AT(weight_decay2), 0, 10, "X",
	  "in the second half (0; for full weights as in the first unless given)", NULL },
	{ "embedding-decay", TRIT_SETTING_FLOAT, AT(embedding_decay), 0, 10, "X",
	  "weight decay of embedding and head (as that of the projections unless given)", NULL },
	{ "z-loss", TRIT_SETTING_FLOAT, AT(z_loss), 0, 1, "X",
	  "adds X log^2 Z to the loss, Z being what the softmax divides by; 1e-4 is usual", NULL },
	{ "experts", TRIT_SETTING_INT, AT(experts), 0, TRIT_MAX_EXPERTS, "N",
	  "feed-forward networks side by side, of which a token goes to some (0: one)", NULL },
	{ "experts-used", TRIT_SETTING_INT, AT(experts_used), 1, TRIT_MAX_EXPERTS, "N", "to how many", NULL },
	{ "d-expert", TRIT_SETTING_INT, AT(d_expert), 0, 65536, "N", "width of an expert (0: --d-ff)", NULL },
	{ "shared-expert", TRIT_SETTING_BOOL, AT(shared_expert), 0, 0, NULL, "one more expert, for all tokens", NULL },
	{ "balance", TRIT_SETTING_FLOAT, AT(balance), 0, 100, "X", "weight of the loss that evens out the experts' loads",
	  NULL },
	{ "router-z-loss", TRIT_SETTING_FLOAT, AT(router_z_loss), 0, 100, "X",
	  "weight of the loss that keeps the router's scores small", NULL },
	{ "quant-warmup", TRIT_SETTING_INT, AT(quant_warmup), 0, INT_MAX, "N",
	  "steps over which weights and activations go from full precision to quantised", NULL },
	{ "quant-ramp", TRIT_SETTING_CHOICE, AT(quant_ramp), 0, 0, "SHAPE", "how they do: linear is best in most hands",
	  ramp_names },
	{ "beta1", TRIT_SETTING_FLOAT, AT(beta1), 0, 0.9999999, "X", "AdamW's first moment", NULL },
	{ "beta2", TRIT_SETTING_FLOAT, AT(beta2), 0, 0.9999999, "X", "AdamW's second moment", NULL },
	{ "adam-eps", TRIT_SETTING_FLOAT, AT(adam_eps), 1e-16, 1, "X", "AdamW's epsilon", NULL },
	{ "momentum", TRIT_SETTING_FLOAT, AT(momentum), 0, 0.9999999, "X", "Muon's", NULL },
	{ "momentum-warmup", TRIT_SETTING_INT, AT(momentum_warmup), 0, INT_MAX, "N",
	  "steps over which it rises from 0.85", NULL },
	{ "muon-lr", TRIT_SETTING_FLOAT, AT(muon_lr), 0, 10, "X",
	  "peak learning rate of what goes by Muon (0: twice --lr); its ratio to --lr stays", NULL },
	{ "clip", TRIT_SETTING_FLOAT, AT(clip), 0, 1e6, "X", "largest norm of the gradient (0: no clipping)", NULL },
	{ "backward", TRIT_SETTING_CHOICE, AT(backward), 0, 0, "NAME",
	  "arithmetic of the backward products of ternary and binary weights: gradients "
	  "in 8 or 16 bits with exact sums, or like all others",
	  backward_names },
	{ "precision", TRIT_SETTING_CHOICE, AT(precision), 0, 0, "NAME",
	  "of all other products of a training step: fp32, or rounded to bfloat16, "
	  "which is fast with AMX and on AMD from Zen 4 on (auto: there)", precision_names },
	{ "val-share", TRIT_SETTING_FLOAT, AT(val_share), 0, 0.5, "X", "share of the documents held out for validation",
	  NULL },
	{ "seed", TRIT_SETTING_U64, AT(seed), 0, 0, "N", "of first weights and data order", NULL },
	{ "loss", TRIT_SETTING_CHOICE, AT(loss_on), 0, 0, "WHAT",
	  "what of an example is learnt: the assistant's answers, the last of them, or every token", loss_names },
	{ "padded", TRIT_SETTING_BOOL, AT(padded), 0, 0, NULL, "one example a sequence, instead of as many as fit", NULL },
	{ "lora", TRIT_SETTING_INT, AT(lora), 0, 4096, "RANK",
	  "train low-rank adapters of this rank beside the model's weights, which stay as they are (0: train the weights)",
	  NULL },
	{ "lora-alpha", TRIT_SETTING_FLOAT, AT(lora_alpha), 0, 1e6, "X",
	  "what adapters add is multiplied by X / RANK (0: twice the rank)", NULL },
	{ "lora-targets", TRIT_SETTING_CHOICE, AT(lora_set), 0, 0, "WHICH", "projections that get an adapter",
	  trit_lora_set_names },
	{ "warm-steps", TRIT_SETTING_INT, AT(warm_steps), 0, INT_MAX, "N", "first steps, that have no teacher yet",
	  NULL },
	{ "temperature", TRIT_SETTING_FLOAT, AT(temperature), 0.01, 1000, "X", "at which predictions are compared",
	  NULL },
	{ "kl-share", TRIT_SETTING_FLOAT, AT(kl_share), 0, 1e6, "X",
	  "gradient of the predictions' divergence from the teacher's, as a share of "
	  "the cross-entropy's (0: none)", NULL },
	{ "kl-weight", TRIT_SETTING_FLOAT, AT(kl_weight), 0, 1e6, "X", "a fixed weight of that loss (0: by --kl-share)",
	  NULL },
	{ "relation-share", TRIT_SETTING_FLOAT, AT(relation_share), 0, 1e6, "X",
	  "gradient of the divergence of relations among queries, keys and values, as "
	  "a share of the other losses' (0: none)", NULL },
	{ "relation-weight", TRIT_SETTING_FLOAT, AT(relation_weight), 0, 1e9, "X",
	  "a fixed weight of that loss (0: by --relation-share)", NULL },
	{ "relation-layer", TRIT_SETTING_INT, AT(relation_layer), 0, TRIT_MAX_LAYERS, "N",
	  "layer of the student that has it, from 1 (0: the last)", NULL },
	{ "relation-heads", TRIT_SETTING_INT, AT(relation_heads), 0, 4096, "N",
	  "into which its queries are cut, as its keys and values (0: as both models' allow)", NULL },
	{ "labels-count", TRIT_SETTING_INT, AT(n_labels), 0, TRIT_MAX_LABELS, "N", "labels of a classifier", NULL },
	{ "pooling", TRIT_SETTING_CHOICE, AT(label_pooling), 0, 0, "WHICH",
	  "state that the head reads: of the last token, or the mean of all", label_pooling_names },
	{ "train", TRIT_SETTING_CHOICE, AT(label_trains), 0, 0, "WHAT",
	  "all weights, or the head alone, of a model that stays as it is", label_trains_names },
};
const int trit_n_settings = (int)(sizeof trit_settings / sizeof trit_settings[0]);

struct trit_recipe trit_recipe_defaults(void)
{
	return (struct trit_recipe){ .rope_base = 10000, .eps = 1e-5f, .seq_len = 256, .batch = 16, .epochs = 4,
		                     .optimizer = TRIT_OPTIMIZER_NORMUON, .schedule = TRIT_SCHEDULE_LINEAR,
		                     .warmup = 375, .weight_decay = 0.1f,
		                     .weight_decay2 = -1, .embedding_decay = -1,
		                     .experts_used = 2, .balance = 0.01f, .router_z_loss = 1e-3f, .beta1 = 0.9f,
		                     .beta2 = 0.95f, .adam_eps = 1e-8f, .momentum = 0.95f, .decay_share = 0.2f, .clip = 1,
		                     .val_share = 0.01f, .seed = 1337, .temperature = 2, .kl_share = 0.1f,
		                     .relation_share = 0.1f };
}

bool trit_setting_of_teacher(const struct trit_setting *s)
{
	return s->offset >= AT(warm_steps) && s->offset <= AT(relation_heads);
}

const struct trit_setting *trit_setting_by_name(const char *name)
{
	for (int i = 0; i < trit_n_settings; i++)
		if (!strcmp(name, trit_settings[i].name))
			return &trit_settings[i];
	return NULL;
}

const char *trit_setting_needs(const struct trit_setting *s, const struct trit_recipe *r, bool from_model)
{
	bool experts = r->experts > 0 || from_model;
	bool wsd = r->schedule == TRIT_SCHEDULE_WSD, muon = r->optimizer != TRIT_OPTIMIZER_ADAMW;
	const struct {
		size_t offset;
		bool met;
		const char *what;
	} needs[] = {
		{ AT(lr2), r->schedule == TRIT_SCHEDULE_TWO_STAGE, "--schedule two-stage" },
		{ AT(decay_share), wsd, "--schedule wsd" },
		{ AT(decay), wsd, "--schedule wsd" },
		{ AT(momentum), muon, "--optimizer normuon or muon" },
		{ AT(momentum_warmup), muon, "--optimizer normuon or muon" },
		{ AT(muon_lr), muon, "--optimizer normuon or muon" },
		{ AT(quant_ramp), r->quant_warmup > 0, "--quant-warmup" },
		{ AT(experts_used), experts, "--experts" },
		{ AT(balance), experts, "--experts" },
		{ AT(router_z_loss), experts, "--experts" },
		{ AT(lora_alpha), r->lora > 0, "--lora" },
		{ AT(lora_set), r->lora > 0, "--lora" },
	};
	for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
		if (s->offset == needs[i].offset && !needs[i].met)
			return needs[i].what;
	return NULL;
}

/* ---- sizes by name ----------------------------------------------------------------------------------------------- */

/* Widths are multiples of 256 from 3m on, so that every ternary file type can hold them. The learning rates, AdamW's,
 * fall with size; ternary ones are about five times those of full precision [Tips, table 2]. */
static const struct size {
	const char *name;
	int n_vocab, n_layers, d_model, d_ff, n_heads, n_kv_heads;
	float lr, lr_full;
} sizes[] = {
	{ "260k", 512, 4, 64, 192, 4, 4, 5e-3f, 3e-3f },
	{ "1m", 2048, 4, 128, 384, 4, 2, 4e-3f, 2e-3f },
	{ "3m", 4096, 4, 256, 512, 8, 4, 3e-3f, 1e-3f },
	{ "5m", 4096, 5, 256, 768, 8, 4, 3e-3f, 1e-3f },
	{ "10m", 4096, 4, 512, 1024, 8, 4, 2.5e-3f, 8e-4f },
	{ "25m", 8192, 7, 512, 1536, 8, 4, 2.4e-3f, 6e-4f },
	{ "50m", 16384, 12, 512, 1536, 8, 4, 2.4e-3f, 6e-4f },
	{ "125m", 32768, 12, 768, 2048, 12, 6, 2.4e-3f, 6e-4f },
	{ "350m", 32768, 24, 1024, 2816, 16, 8, 1.8e-3f, 3e-4f },
	{ "700m", 32768, 24, 1536, 4096, 24, 24, 1.5e-3f, 2.5e-4f },
};

const char *trit_recipe_sizes(void)
{
	return "260k, 1m, 3m, 5m, 10m, 25m, 50m, 125m, 350m, 700m";
}

static void fill(int *value, int preset)
{
	if (!*value)
		*value = preset;
}

/* AdamW's. */
static float table_lr(const struct trit_recipe *r, const struct size *s)
{
	return r->weights == TRIT_WEIGHT_FULL ? s->lr_full : s->lr;
}

/* The first peak of the learning rate of a new model. Beside Muon's projections embedding and norms bear three times
 * AdamW's in full precision, and with ternary weights twice AdamW's at width 256: less in wider models, as the largest
 * singular value of Muon's update grows with the square root of the width (docs/training.md, ablations). */
static float peak_lr(const struct trit_recipe *r, const struct size *s)
{
	float lr = table_lr(r, s);
	if (r->optimizer == TRIT_OPTIMIZER_ADAMW)
		return lr;
	if (r->weights == TRIT_WEIGHT_FULL)
		return 3 * lr;
	return 2 * lr * sqrtf(256.0f / (float)(s->d_model > 128 ? s->d_model : 128));
}

/* What the run's settings are where they are 0; lr: the first peak of the learning rate. */
static void fill_run(struct trit_recipe *r, float lr)
{
	bool full = r->weights == TRIT_WEIGHT_FULL;
	if (r->lr == 0)
		r->lr = lr;
	if (r->lr2 == 0)
		r->lr2 = full ? r->lr : r->lr * (2.0f / 3.0f);
	if (r->muon_lr == 0 && r->optimizer != TRIT_OPTIMIZER_ADAMW)
		r->muon_lr = 2 * r->lr;
	if (r->weight_decay2 < 0)
		r->weight_decay2 = full ? r->weight_decay : 0;
	int per_micro = 2048 / r->seq_len;
	fill(&r->micro_batch, per_micro < 1 ? 1 : per_micro);
	if (r->micro_batch > r->batch)
		r->micro_batch = r->batch;
}

int trit_recipe_apply_size(struct trit_recipe *r, const char *name, struct trit_error *err)
{
	const struct size *s = NULL;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		if (!strcmp(sizes[i].name, name))
			s = &sizes[i];
	if (!s)
		return trit_fail(err, TRIT_ERR_ARG, "no size is called \"%s\"; there are %s", name, trit_recipe_sizes());
	/* Heads of another width than the preset's: as many as fit. */
	if (r->d_model && !r->n_heads && r->d_model != s->d_model) {
		int width = r->head_dim ? r->head_dim : s->d_model / s->n_heads;
		r->n_heads = r->d_model / width > 0 ? r->d_model / width : 1;
		if (!r->n_kv_heads)
			r->n_kv_heads = r->n_heads;
	}
	if (r->n_heads && r->n_heads != s->n_heads)
		fill(&r->n_kv_heads, r->n_heads);
	fill(&r->n_vocab, s->n_vocab);
	fill(&r->n_layers, s->n_layers);
	fill(&r->d_model, s->d_model);
	fill(&r->d_ff, s->d_ff);
	fill(&r->n_heads, s->n_heads);
	fill(&r->n_kv_heads, s->n_kv_heads);
	fill(&r->head_dim, r->d_model / r->n_heads);
	if (r->d_expert == r->d_ff) /* 0 says so, and is what a checkpoint comes back with */
		r->d_expert = 0;
	fill_run(r, peak_lr(r, s));
	return TRIT_OK;
}

struct trit_weight_method trit_recipe_method(const struct trit_recipe *r)
{
	return (struct trit_weight_method){ (enum trit_weight_kind)r->weights, trit_scalings[r->scales] };
}

int trit_recipe_choose_precision(struct trit_recipe *r, const struct trit_kernels *k, struct trit_error *err)
{
	bool fast = trit_kernels_have_bf16(k);
	if (r->precision == TRIT_PRECISION_BF16 && !fast)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "--precision bf16 takes a CPU with AMX, or AMD's from Zen 4 on (in use: %s); leave it out",
		                 trit_tier_name(k->tier));
	if (r->precision == TRIT_PRECISION_AUTO)
		r->precision = fast ? TRIT_PRECISION_BF16 : TRIT_PRECISION_F32;
	return TRIT_OK;
}

struct trit_kernels trit_recipe_kernels(const struct trit_recipe *r, const struct trit_kernels *k)
{
	struct trit_kernels steps = *k;
	if (r->precision == TRIT_PRECISION_BF16)
		steps.gemm_f32 = k->gemm_bf16;
	return steps;
}

/* Groups of columns are whole in every matrix: other programs know no others. */
int trit_recipe_check_scales(const struct trit_recipe *r, struct trit_error *err)
{
	int group = (int)trit_scalings[r->scales];
	const struct {
		const char *what;
		int value;
	} widths[] = {
		{ "--d-model", r->d_model }, { "--heads times --head-dim", r->n_heads * r->head_dim },
		{ r->experts && r->d_expert ? "--d-expert" : "--d-ff", r->experts && r->d_expert ? r->d_expert : r->d_ff },
	};
	if (r->weights == TRIT_WEIGHT_FULL && r->scales)
		return trit_fail(err, TRIT_ERR_ARG, "--scales %s: full-precision weights have no scales",
		                 trit_scaling_names[r->scales]);
	for (size_t i = 0; group > TRIT_SCALE_ROW && i < sizeof widths / sizeof widths[0]; i++)
		if (widths[i].value % group)
			return trit_fail(err, TRIT_ERR_ARG,
			                 "--scales %s: %s is %d, not a multiple of %d; choose another or --scales row",
			                 trit_scaling_names[r->scales], widths[i].what, widths[i].value, group);
	return TRIT_OK;
}

/* Weights of all projections. */
static double projections(int n_layers, int d_model, int d_ff, int q, int kv)
{
	return (double)n_layers * d_model * (2.0 * q + 2.0 * kv + 3.0 * d_ff);
}

/* By the number of weights in projections. */
static const struct size *nearest_size(const struct trit_config *c)
{
	const struct size *best = &sizes[0];
	double n = projections(c->n_layers, c->d_model, c->d_ff, c->n_heads * c->head_dim, c->n_kv_heads * c->head_dim);
	double least = INFINITY;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		const struct size *s = &sizes[i];
		double apart = fabs(log(n / projections(s->n_layers, s->d_model, s->d_ff, s->d_model,
		                                        s->d_model / s->n_heads * s->n_kv_heads)));
		if (apart < least) {
			best = s;
			least = apart;
		}
	}
	return best;
}

void trit_recipe_take_config(struct trit_recipe *r, const struct trit_config *c)
{
	const struct size *s = nearest_size(c);
	r->n_vocab = c->n_vocab;
	r->n_layers = c->n_layers;
	r->d_model = c->d_model;
	r->d_ff = c->d_ff;
	r->n_heads = c->n_heads;
	r->n_kv_heads = c->n_kv_heads;
	r->head_dim = c->head_dim;
	r->activation = c->arch->activation;
	r->untied = !c->tied;
	r->experts = c->moe.n_experts;
	r->d_expert = r->experts && c->moe.d_ff != c->d_ff ? c->moe.d_ff : 0;
	r->shared_expert = c->moe.d_ff_shared > 0;
	if (r->experts)
		r->experts_used = c->moe.n_used;
	r->rope_base = c->rope_base;
	r->eps = c->eps;
	fill_run(r, table_lr(r, s) / (r->optimizer == TRIT_OPTIMIZER_ADAMW ? 4 : 2));
}

bool trit_setting_is_shape(const struct trit_setting *s)
{
	static const size_t shape[] = { AT(n_vocab), AT(n_layers), AT(d_model), AT(d_ff), AT(n_heads), AT(n_kv_heads),
		                        AT(head_dim), AT(activation), AT(untied), AT(rope_base), AT(eps), AT(experts),
		                        AT(experts_used), AT(d_expert), AT(shared_expert) };
	for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++)
		if (s->offset == shape[i])
			return true;
	return false;
}

bool trit_setting_is_tuning(const struct trit_setting *s)
{
	return s->offset >= AT(loss_on) && s->offset <= AT(lora_set);
}

bool trit_setting_of_labels(const struct trit_setting *s)
{
	return s->offset >= AT(n_labels) && s->offset <= AT(label_trains);
}

bool trit_setting_of_classifier(const struct trit_setting *s)
{
	static const size_t others[] = { AT(n_labels), AT(loss_on), AT(z_loss) };
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (s->offset == others[i])
			return false;
	return !trit_setting_is_shape(s) && !trit_setting_of_teacher(s);
}

int trit_recipe_config(const struct trit_recipe *r, struct trit_config *c, struct trit_error *err)
{
	*c = (struct trit_config){ .n_vocab = r->n_vocab, .n_layers = r->n_layers, .d_model = r->d_model, .d_ff = r->d_ff,
		                   .n_heads = r->n_heads, .n_kv_heads = r->n_kv_heads, .head_dim = r->head_dim,
		                   .n_rot = r->head_dim, .n_ctx = r->seq_len, .rope_base = r->rope_base, .eps = r->eps,
		                   .tied = !r->untied };
	enum trit_activation activation = (enum trit_activation)r->activation;
	/* Without sub-norms ternary weights are those of a LLaMA. */
	enum trit_weight_kind like = r->sub_norm == TRIT_SUB_NORM_NO ? TRIT_WEIGHT_FULL
	                                                             : (enum trit_weight_kind)r->weights;
	const struct trit_arch *arch = trit_arch_for(like, activation);
	if (!arch)
		return trit_fail(err, TRIT_ERR_ARG, "no known architecture has %s with %s; use --activation silu",
		                 like == TRIT_WEIGHT_FULL && like != (enum trit_weight_kind)r->weights ? "no sub-norms"
		                 : like == TRIT_WEIGHT_FULL ? "full-precision weights" : "ternary weights",
		                 activation == TRIT_ACT_GELU ? "GELU" : "squared ReLU");
	trit_config_set_arch(c, arch);
	c->sub_norm = c->sub_norm || r->sub_norm == TRIT_SUB_NORM_YES;
	if (!r->experts && (r->d_expert || r->shared_expert))
		return trit_fail(err, TRIT_ERR_ARG, "--%s: there are no experts; say how many with --experts",
		                 r->d_expert ? "d-expert" : "shared-expert");
	if (r->experts) {
		c->moe.n_experts = r->experts;
		c->moe.n_used = r->experts_used;
		c->moe.d_ff = r->d_expert ? r->d_expert : r->d_ff;
		c->moe.d_ff_shared = r->shared_expert ? c->moe.d_ff : 0;
	}
	int e = r->weights == TRIT_WEIGHT_FULL && r->quant_warmup
	            ? trit_fail(err, TRIT_ERR_ARG, "--quant-warmup: full-precision weights are not quantised")
	            : trit_recipe_check_scales(r, err);
	if (e)
		return e;
	if (r->head_dim % 2)
		return trit_fail(err, TRIT_ERR_ARG, "--head-dim is %d; rotary embedding needs an even width", r->head_dim);
	if (trit_config_check(c, err)) {
		if (err)
			err->status = TRIT_ERR_ARG;
		return TRIT_ERR_ARG;
	}
	return TRIT_OK;
}

/* ---- text form --------------------------------------------------------------------------------------------------- */

void trit_setting_print(char text[TRIT_SETTING_BYTES], const struct trit_setting *s, const struct trit_recipe *r)
{
	const char *at = (const char *)r + s->offset;
	switch (s->type) {
	case TRIT_SETTING_INT:
		snprintf(text, TRIT_SETTING_BYTES, "%d", *(const int *)(const void *)at);
		break;
	case TRIT_SETTING_FLOAT:
		snprintf(text, TRIT_SETTING_BYTES, "%.9g", (double)*(const float *)(const void *)at);
		break;
	case TRIT_SETTING_BOOL:
		snprintf(text, TRIT_SETTING_BYTES, "%d", *(const bool *)(const void *)at ? 1 : 0);
		break;
	case TRIT_SETTING_U64:
		snprintf(text, TRIT_SETTING_BYTES, "%llu", (unsigned long long)*(const uint64_t *)(const void *)at);
		break;
	case TRIT_SETTING_CHOICE:
		snprintf(text, TRIT_SETTING_BYTES, "%s", s->choices[*(const int *)(const void *)at]);
		break;
	}
}

static int parse_choice(const struct trit_setting *s, const char *text)
{
	for (int i = 0; s->choices[i]; i++)
		if (!strcmp(s->choices[i], text))
			return i;
	return -1;
}

int trit_setting_parse(struct trit_recipe *r, const struct trit_setting *s, const char *text, struct trit_error *err)
{
	char *at = (char *)r + s->offset, *end = NULL;
	errno = 0;
	bool ok = *text != 0;
	if (s->type == TRIT_SETTING_CHOICE) {
		int i = parse_choice(s, text);
		ok = i >= 0;
		if (ok)
			*(int *)(void *)at = i;
	} else if (s->type == TRIT_SETTING_U64) {
		*(uint64_t *)(void *)at = strtoull(text, &end, 10);
		ok = ok && *text != '-' && !*end && !errno;
	} else {
		double v = strtod(text, &end);
		bool unset = v == -1 && (s->offset == AT(weight_decay2) || s->offset == AT(embedding_decay));
		bool in_range = s->type == TRIT_SETTING_FLOAT  ? (float)v >= (float)s->min && (float)v <= (float)s->max
		                : s->type == TRIT_SETTING_BOOL ? v == 0 || v == 1
		                                               : v >= s->min && v <= s->max;
		ok = ok && !*end && (unset || in_range);
		if (ok && s->type == TRIT_SETTING_FLOAT)
			*(float *)(void *)at = (float)v;
		else if (ok && s->type == TRIT_SETTING_BOOL)
			*(bool *)(void *)at = v != 0;
		else if (ok)
			*(int *)(void *)at = (int)v;
	}
	if (!ok)
		return trit_fail(err, TRIT_ERR_FORMAT, "setting %s: \"%.32s\" is not a valid value", s->name, text);
	return TRIT_OK;
}
