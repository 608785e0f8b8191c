/*
 * cmd_synth.c - trit synth: a model of random weights in the sizes of a published one, or of any other.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cmd.h"

#include "convert/synth.h"

struct options {
	const char *size, *type, *embedding_type, *head_type;
	int arch, scaling, weights;
	bool untied;
	struct trit_config sizes; /* those given; 0: as --size says */
	uint64_t seed;
};

static const char *const archs[] = { "bitnet", "bitnet-b1.58", "bitnet-25", "llama", NULL };
static const char *const weight_names[] = { "ternary", "binary", NULL };
static const char *const scaling_names[] = { "tensor", "row", "g64", "g128", NULL };
static const enum trit_scaling scalings[] = { TRIT_SCALE_TENSOR, TRIT_SCALE_ROW, TRIT_SCALE_GROUP64,
	                                      TRIT_SCALE_GROUP128 };

static void replace(int *value, int given)
{
	if (given)
		*value = given;
}

/* The configuration that size and sizes make. */
static int configure(const struct options *o, struct trit_config *c, struct trit_error *err)
{
	const struct trit_config *given = &o->sizes;
	*c = (struct trit_config){ .eps = 1e-5f, .tied = !o->untied };
	trit_config_set_arch(c, trit_arch_by_name(archs[o->arch], strlen(archs[o->arch])));
	int e = trit_synth_size(c, o->size, err);
	if (e)
		return e;
	/* A model of another width has heads of the same width, all with their own keys and values. */
	int head_dim = c->d_model / c->n_heads;
	if (given->d_model && !given->n_heads)
		c->n_heads = c->n_kv_heads = given->d_model / head_dim > 0 ? given->d_model / head_dim : 1;
	if (given->n_heads)
		c->n_kv_heads = given->n_heads;
	replace(&c->n_vocab, given->n_vocab);
	replace(&c->n_layers, given->n_layers);
	replace(&c->d_model, given->d_model);
	replace(&c->d_ff, given->d_ff);
	replace(&c->n_heads, given->n_heads);
	replace(&c->n_kv_heads, given->n_kv_heads);
	replace(&c->n_ctx, given->n_ctx);
	c->head_dim = given->head_dim ? given->head_dim : c->d_model / c->n_heads;
	c->n_rot = c->head_dim;
	c->rope_base = given->rope_base > 0 ? given->rope_base : c->rope_base;
	snprintf(c->name, sizeof c->name, "synthetic %.40s", o->size);
	return TRIT_OK;
}

#define ROW_SIZE(name, member, most, text) { 0, name, TRIT_OPT_INT, &o->sizes.member, .min = 1, .max = most, \
	.metavar = "N", .help = text, .shown = "the size's" }

/* Reads the options. Returns -1 or an exit status. */
static int parse(struct options *o, struct trit_export_options *export, const char **out, int argc, char **argv)
{
	*o = (struct options){ .size = "2b4t", .type = "t5", .embedding_type = "auto", .head_type = "auto", .seed = 1 };
	struct trit_opt options[] = {
		{ 0, "size", TRIT_OPT_STRING, &o->size, .metavar = "NAME",
		  .help = "700m, 1.3b, 3b, 3.9b, 7b, 13b, 70b (the paper's) or 2b4t" },
		TRIT_ROWS_EXPORT(o->type, o->embedding_type),
		TRIT_ROW_HEAD_TYPE(o->head_type),
		{ 0, "arch", TRIT_OPT_CHOICE, &o->arch, .metavar = "NAME",
		  .help = "general.architecture; only bitnet is known to all other programs", .choices = archs },
		{ 's', "seed", TRIT_OPT_UINT64, &o->seed, .metavar = "N",
		  .help = "the same seed gives the same weights, in every type" },
		{ .type = TRIT_OPT_HEADING, .help = "Other sizes" },
		ROW_SIZE("vocab-size", n_vocab, TRIT_MAX_VOCAB, "tokens"),
		ROW_SIZE("layers", n_layers, TRIT_MAX_LAYERS, "transformer layers"),
		ROW_SIZE("d-model", d_model, TRIT_MAX_COLS, "embedding width"),
		ROW_SIZE("d-ff", d_ff, TRIT_MAX_COLS, "feed-forward width"),
		ROW_SIZE("heads", n_heads, 4096, "attention heads"),
		ROW_SIZE("kv-heads", n_kv_heads, 4096, "key/value heads"),
		ROW_SIZE("head-dim", head_dim, 4096, "width of a head"),
		ROW_SIZE("ctx-size", n_ctx, TRIT_MAX_CTX, "context length"),
		{ 0, "rope-base", TRIT_OPT_FLOAT, &o->sizes.rope_base, .min = 1, .max = 1e9, .metavar = "X",
		  .help = "base of the rotary embedding", .shown = "the size's" },
		{ 0, "untied", TRIT_OPT_FLAG, &o->untied, .help = "a head of its own instead of the embedding" },
		{ 0, "weights", TRIT_OPT_CHOICE, &o->weights, .metavar = "KIND",
		  .help = "of the projections: ternary, or binary as --type b1 has them", .choices = weight_names },
		{ 0, "scales", TRIT_OPT_CHOICE, &o->scaling, .metavar = "KIND",
		  .help = "one a tensor, a row, or 64 or 128 columns of a row (t5, t2, b1)", .choices = scaling_names },
	};
	struct trit_opt_table table = {
		.command = "synth",
		.usage = "[--size NAME] [--type TYPE] OUT.gguf",
		.about =
			"Writes a model of random weights to the GGUF file OUT, to measure speed and memory where the weights\n"
			"of a size cannot be had. It has no vocabulary. OUT appears when it is complete.",
		.options = options,
		.n_options = TRIT_N(options),
		.min_args = 1,
		.max_args = 1,
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status < 0)
		status = trit_export_types_parse(&table, o->type, o->embedding_type, o->head_type, export);
	if (status < 0)
		*out = table.args[0];
	return status;
}

int trit_cmd_synth(int argc, char **argv)
{
	struct trit_export_options export = { 0 };
	struct options o;
	struct trit_synth s = { 0 };
	struct trit_error err;
	const char *out;
	int status = parse(&o, &export, &out, argc, argv);
	if (status >= 0)
		return status;
	s.seed = o.seed;
	s.scaling = scalings[o.scaling];
	s.binary = o.weights == 1 || export.type == TRIT_GGML_PACKED_TYPE(TRIT_B1, 0);
	if (configure(&o, &s.config, &err))
		return trit_cmd_fail("synth", &err);
	trit_export_watch("synth", &export);
	return trit_export_finish("synth", out, trit_synth(out, &s, &export, &err), &err);
}
