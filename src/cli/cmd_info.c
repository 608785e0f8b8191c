/*
 * cmd_info.c - trit info: what a model file holds, what it needs, and the kernels that would run it here.
 *
 * Every fact is one row: printed as "label  text" for people, or as a member of a JSON object.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdarg.h>

#include "cli/cmd.h"

#include "kernel/cpu.h"
#include "model/kv.h"
#include "model/model.h"

struct printer {
	bool json, first;
};

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static void begin_row(struct printer *p, const char *label, const char *key)
{
	if (p->json)
		trit_outf("%s\n  \"%s\": ", p->first ? "" : ",", key);
	else
		trit_outf("%-22s ", label);
	p->first = false;
}

static void end_row(const struct printer *p)
{
	if (!p->json)
		trit_out(1, "\n");
}

static void put_text(struct printer *p, const char *label, const char *key, const char *text)
{
	struct trit_error printable;
	begin_row(p, label, key);
	if (p->json) {
		trit_out_json(strlen(text), text);
	} else {
		trit_fail(&printable, TRIT_ERR_ARG, "%s", text);
		trit_outf("%s", printable.message);
	}
	end_row(p);
}

static void put_bool(struct printer *p, const char *label, const char *key, bool v)
{
	begin_row(p, label, key);
	if (p->json)
		trit_outf("%s", v ? "true" : "false");
	else
		trit_outf("%s", v ? "yes" : "no");
	end_row(p);
}

/* A number; for people followed by `more`. */
static void put_number(struct printer *p, const char *label, const char *key, double v, const char *more, ...)
    TRIT_PRINTF(5, 6);
static void put_number(struct printer *p, const char *label, const char *key, double v, const char *more, ...)
{
	char text[200];
	va_list args;
	va_start(args, more);
	vsnprintf(text, sizeof text, more, args);
	va_end(args);
	begin_row(p, label, key);
	if (!isfinite(v))
		trit_outf("null");
	else if (v == floor(v) && fabs(v) < 0x1p53)
		trit_outf("%.0f", v);
	else
		trit_outf("%.6g", v);
	if (!p->json && text[0])
		trit_outf("%s", text);
	end_row(p);
}

static void put_bytes(struct printer *p, const char *label, const char *key, double v)
{
	char text[TRIT_NUMBER_BYTES];
	if (p->json)
		put_number(p, label, key, v, "%s", "");
	else
		put_text(p, label, key, trit_text_bytes(text, v));
}

/* ---- what is known about a model --------------------------------------------------------------------------------- */

static void put_sizes(struct printer *p, const struct trit_config *c)
{
	char count[TRIT_NUMBER_BYTES];
	double parameters = (double)trit_config_parameters(c);
	if (p->json) {
		put_text(p, "", "architecture", c->arch->name);
		put_text(p, "", "architecture_title", c->arch->title);
	} else {
		trit_outf("%-22s %s (%s)\n", "architecture", c->arch->name, c->arch->title);
	}
	if (c->name[0])
		put_text(p, "name", "name", c->name);
	put_number(p, "parameters", "parameters", parameters, " (%s)", trit_text_count(count, parameters));
	put_number(p, "layers", "layers", c->n_layers, "%s", "");
	put_number(p, "width", "d_model", c->d_model, "%s", "");
	put_number(p, "feed-forward width", "d_ff", c->d_ff, ", %s",
	           c->arch->activation == TRIT_ACT_RELU2 ? "squared ReLU" : "SwiGLU");
	put_number(p, "heads", "heads", c->n_heads, " of width %d", c->head_dim);
	put_number(p, "key/value heads", "kv_heads", c->n_kv_heads, "%s", "");
	if (p->json)
		put_number(p, "", "head_dim", c->head_dim, "%s", "");
	put_number(p, "rotary dimensions", "rope_dimensions", c->n_rot, ", base %g, pairs %s", (double)c->rope_base,
	           c->rope_half ? "(i, i + n/2)" : "(2i, 2i + 1)");
	if (p->json)
		put_number(p, "", "rope_base", (double)c->rope_base, "%s", "");
	put_number(p, "norm epsilon", "norm_eps", (double)c->eps, ", %s",
	           c->arch->sub_norm ? "with sub-norms" : "no sub-norms");
	put_number(p, "context", "context_length", c->n_ctx, " tokens");
	put_number(p, "vocabulary", "vocab_size", c->n_vocab, " tokens, head %s", c->tied ? "tied" : "of its own");
}

/* Shannon entropy of the codes, in bits a weight. */
static double entropy(const double share[3])
{
	double bits = 0;
	for (int i = 0; i < 3; i++)
		bits -= share[i] > 0 ? share[i] * log2(share[i]) : 0;
	return bits;
}

/* How the weights lie in memory: "t5, head i8, a scale a row". */
static void put_layout(struct printer *p, const struct trit_model *m)
{
	const struct trit_linear *l[2] = { &m->layers[0].q, &m->output };
	char text[2][40];
	for (int i = 0; i < 2; i++) {
		const char *name = trit_linear_layout(l[i]);
		if (l[i]->quantised && l[i]->scaling == TRIT_SCALE_ROW)
			snprintf(text[i], sizeof text[i], "%s, a scale a row", name);
		else if (l[i]->quantised && l[i]->scaling > TRIT_SCALE_ROW)
			snprintf(text[i], sizeof text[i], "%s, a scale for %d columns", name, (int)l[i]->scaling);
		else
			snprintf(text[i], sizeof text[i], "%s", name);
	}
	put_text(p, "projections in memory", "layout", text[0]);
	put_text(p, "head in memory", "head", text[1]);
}

static int put_weights(struct printer *p, const struct trit_model *m, struct trit_error *err)
{
	const struct trit_model_stats *s = &m->stats;
	uint64_t counts[3];
	double codes = (double)s->ternary_weights;
	put_text(p, "file", "format", trit_file_kind_name(m->file.kind));
	put_bytes(p, "  size", "file_bytes", (double)s->file_bytes);
	put_text(p, "tensors", "types", s->types);
	put_number(p, "bits per weight", "bits_per_weight", (double)s->weight_bytes * 8 / (double)s->parameters, "%s", "");
	if (codes == 0) {
		put_number(p, "ternary weights", "ternary_weights", 0, " (a full-precision model)");
		return 0;
	}
	int e = trit_model_count_codes(m, counts, err);
	if (e)
		return e;
	double share[3];
	for (int i = 0; i < 3; i++)
		share[i] = (double)counts[i] / codes;
	put_number(p, "ternary weights", "ternary_weights", codes, ", %.1f %% of all", codes / (double)s->parameters * 100);
	put_number(p, "  bits per weight", "ternary_bits_per_weight", (double)s->ternary_bytes * 8 / codes, " in the file");
	if (p->json) {
		put_number(p, "", "ternary_share_minus", share[0], "%s", "");
		put_number(p, "", "ternary_share_zero", share[1], "%s", "");
		put_number(p, "", "ternary_share_plus", share[2], "%s", "");
	} else {
		trit_outf("%-22s -1: %.2f %%   0: %.2f %%   +1: %.2f %%\n", "  shares", share[0] * 100, share[1] * 100,
		          share[2] * 100);
	}
	put_number(p, "  entropy", "ternary_entropy_bits", entropy(share), " bits a weight");
	return 0;
}

static void put_special(struct printer *p, const struct trit_vocab *v, const char *label, const char *key,
                        trit_token id)
{
	if (p->json)
		put_number(p, label, key, id, "%s", "");
	else if (id >= 0)
		put_number(p, label, key, id, " %.*s", (int)v->pieces[id].len, v->pieces[id].text);
}

static void put_vocab(struct printer *p, const struct trit_tokenizer *t)
{
	if (!t) {
		put_text(p, "tokenizer", "tokenizer", "none");
		return;
	}
	const struct trit_vocab *v = trit_tokenizer_vocab(t);
	put_text(p, "tokenizer", "tokenizer", v->model);
	put_text(p, "  pre-tokenizer", "pre_tokenizer", v->pre);
	put_special(p, v, v->add_bos ? "  BOS (added)" : "  BOS", "bos", v->bos);
	put_special(p, v, v->add_eos ? "  EOS (added)" : "  EOS", "eos", v->eos);
	put_special(p, v, "  end of turn", "eot", v->eot);
	put_special(p, v, "  unknown", "unk", v->unk);
	put_special(p, v, "  padding", "pad", v->pad);
	put_bool(p, "  chat template", "chat_template", v->chat_template);
}

static void put_memory(struct printer *p, const struct trit_model *m)
{
	double kv = (double)trit_kv_bytes(&m->config, trit_model_kv_type(m, TRIT_KV_AUTO), m->config.n_ctx);
	double weights = (double)m->arena.size + (double)m->stats.mapped_bytes;
	put_layout(p, m);
	put_bytes(p, "KV cache, full context", "kv_cache_bytes", kv);
	put_bytes(p, "weights in memory", "weights_memory_bytes", weights);
	put_bytes(p, "memory, about", "memory_bytes", weights + kv);
}

static void put_kernels(struct printer *p, const struct trit_model *m)
{
	unsigned flags = trit_cpu_flags();
	const char *tier = trit_tier_name(m->kernels.tier), *best = trit_tier_name(trit_best_tier());
	const char *cpu = flags & TRIT_CPU_AVX512 ? "AVX-512, AVX2" : flags & TRIT_CPU_AVX2 ? "AVX2" : "baseline";
	put_text(p, "CPU", "cpu_features", cpu);
	put_text(p, "kernels", "kernels", tier);
	if (p->json || strcmp(tier, best) != 0)
		put_text(p, "  best for this CPU", "kernels_best", best);
}

/* What was found, assumed and missing when the file was opened. */
static void put_notes(struct printer *p, const struct trit_notes *notes)
{
	if (p->json) {
		begin_row(p, "", "notes");
		trit_outf("[");
	}
	for (size_t i = 0; i < notes->n; i++) {
		const struct trit_note *note = &notes->lines[i];
		const char *kind = trit_note_kind_name(note->kind);
		if (p->json) {
			trit_outf("%s\n    {\"kind\": \"%s\", \"text\": ", i ? "," : "", kind);
			trit_out_json(strlen(note->text), note->text);
			trit_outf("}");
		} else {
			trit_outf("%-22s %s\n", kind, note->text);
		}
	}
	if (p->json)
		trit_outf("%s]", notes->n ? "\n  " : "");
	else if (notes->left_out)
		trit_outf("%-22s %zu more notes\n", "", notes->left_out);
}

int trit_cmd_info(int argc, char **argv)
{
	const char *file = NULL;
	struct trit_model_options open = { 0 };
	struct printer p = { .first = true };
	struct trit_model *model = NULL;
	struct trit_error err;
	struct trit_opt options[] = {
		{ 'm', "model", TRIT_OPT_STRING, &file, .metavar = "FILE", .help = "the model; the same as FILE alone",
		  .env = "TRIT_MODEL" },
		{ 0, "json", TRIT_OPT_FLAG, &p.json, .help = "print one JSON object" },
		TRIT_ROWS_OPEN(open),
	};
	struct trit_opt_table table = {
		.command = "info",
		.usage = "FILE [OPTIONS]",
		.about = "Describes a model file: sizes, weights, vocabulary, memory, and the kernels that would run it here.",
		.options = options,
		.n_options = TRIT_N(options),
		.max_args = 1,
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status >= 0)
		return status;
	if (table.n_args)
		file = table.args[0];
	if (!file)
		return trit_opt_error(&table, "no model: give a GGUF file or a folder");
	if (trit_model_open_with(&model, file, &open, &err))
		return trit_out_finish("info", trit_cmd_fail("info", &err));
	if (p.json)
		trit_out(1, "{");
	put_sizes(&p, &model->config);
	int e = put_weights(&p, model, &err);
	put_vocab(&p, model->tokenizer);
	put_memory(&p, model);
	put_kernels(&p, model);
	put_notes(&p, &model->file.notes);
	if (p.json)
		trit_outf("\n}\n");
	trit_model_close(model);
	return trit_out_finish("info", e ? trit_cmd_fail("info", &err) : 0);
}
