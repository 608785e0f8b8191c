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

#include "base/mem.h"
#include "base/pool.h"
#include "format/gguf_labels.h"
#include "format/safetensors.h"
#include "kernel/cpu.h"
#include "model/kv.h"
#include "model/model.h"
#include "model/tensor_check.h"
#include "train/kept.h"

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

/* What only some architectures have. */
static void put_extras(struct printer *p, const struct trit_config *c)
{
	static const char *const kinds[] = { "", "linear", "llama3", "yarn" };
	char text[64];
	if (c->rope_scaling.kind != TRIT_ROPE_PLAIN) {
		snprintf(text, sizeof text, "%s, by %g", kinds[c->rope_scaling.kind], (double)c->rope_scaling.factor);
		put_text(p, "rotary scaling", "rope_scaling", text);
	} else if (c->rope_freqs) {
		put_text(p, "rotary scaling", "rope_scaling", "rope_freqs.weight");
	}
	if (c->window && c->window_period)
		put_number(p, "sliding window", "sliding_window", c->window, " tokens, but for each %d. layer",
		           c->window_period);
	else if (c->window)
		put_number(p, "sliding window", "sliding_window", c->window, "%s", " tokens");
	if (c->attn_softcap != 0)
		put_number(p, "cap of scores", "attn_softcap", (double)c->attn_softcap, "%s", "");
	if (c->logit_softcap != 0)
		put_number(p, "cap of logits", "logit_softcap", (double)c->logit_softcap, "%s", "");
}

static void put_sizes(struct printer *p, const struct trit_config *c)
{
	static const char *const activations[] = { "SwiGLU", "squared ReLU", "GELU" };
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
	           activations[c->arch->activation]);
	if (c->moe.n_experts) {
		put_number(p, "experts", "experts", c->moe.n_experts, ", %d a token%s", c->moe.n_used,
		           c->moe.d_ff_shared ? " and a shared one" : "");
		put_number(p, "experts' width", "d_ff_expert", c->moe.d_ff, "%s", "");
	}
	put_number(p, "heads", "heads", c->n_heads, " of width %d", c->head_dim);
	put_number(p, "key/value heads", "kv_heads", c->n_kv_heads, "%s", "");
	if (p->json)
		put_number(p, "", "head_dim", c->head_dim, "%s", "");
	put_number(p, "rotary dimensions", "rope_dimensions", c->n_rot, ", base %g, pairs %s", (double)c->rope_base,
	           c->rope_half ? "(i, i + n/2)" : "(2i, 2i + 1)");
	if (p->json)
		put_number(p, "", "rope_base", (double)c->rope_base, "%s", "");
	put_number(p, "norm epsilon", "norm_eps", (double)c->eps, "%s, %s",
	           c->arch->norm == TRIT_NORM_LAYER ? ", layer norms" : "",
	           c->sub_norm           ? "with sub-norms"
	           : c->arch->post_norms ? "norms before the residual"
	                                 : "no sub-norms");
	put_extras(p, c);
	put_number(p, "context", "context_length", c->n_ctx, " tokens");
	put_number(p, "vocabulary", "vocab_size", c->n_vocab, " tokens, head %s", c->tied ? "tied" : "of its own");
}

static void put_types(struct printer *p, const struct trit_gguf *g)
{
	char text[600];
	trit_describe_types(text, sizeof text, g);
	put_text(p, "tensors", "types", text);
}

/* Of a file that cannot run: what its keys say. */
static void put_outline(struct printer *p, const struct trit_model_file *f)
{
	static const struct {
		const char *key, *label, *json;
	} sizes[] = {
		{ "block_count", "layers", "layers" },
		{ "embedding_length", "width", "d_model" },
		{ "feed_forward_length", "feed-forward width", "d_ff" },
		{ "attention.head_count", "heads", "heads" },
		{ "attention.head_count_kv", "key/value heads", "kv_heads" },
		{ "context_length", "context", "context_length" },
	};
	const char *text;
	char arch[64] = "", key[120];
	size_t len;
	if (trit_gguf_get_string(&f->gguf, "general.architecture", &text, &len, NULL) == 0)
		snprintf(arch, sizeof arch, "%.*s", (int)(len < sizeof arch ? len : sizeof arch - 1), text);
	if (arch[0])
		put_text(p, "architecture", "architecture", arch);
	for (int i = 0; i < TRIT_N(sizes); i++) {
		uint64_t v;
		snprintf(key, sizeof key, "%s.%s", arch, sizes[i].key);
		if (trit_gguf_get_u64(&f->gguf, key, UINT64_MAX, &v, NULL) == 0)
			put_number(p, sizes[i].label, sizes[i].json, (double)v, "%s", "");
	}
	put_bytes(p, "  size", "file_bytes", (double)f->bytes);
	put_types(p, &f->gguf);
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
	put_bytes(p, "  size", "file_bytes", (double)s->file_bytes);
	put_types(p, &m->gguf);
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
	struct trit_error printable;
	if (p->json) {
		put_number(p, label, key, id, "%s", "");
	} else if (id >= 0) {
		trit_fail(&printable, TRIT_ERR_ARG, "%.*s", (int)v->pieces[id].len, v->pieces[id].text);
		put_number(p, label, key, id, " %s", printable.message);
	}
}

static void put_vocab(struct printer *p, const struct trit_vocab *v)
{
	if (!v) {
		put_text(p, "tokenizer", "tokenizer", "none");
		return;
	}
	put_text(p, "tokenizer", "tokenizer", v->model);
	put_text(p, "  pre-tokenizer", "pre_tokenizer", v->pre);
	put_special(p, v, v->add_bos ? "  BOS (added)" : "  BOS", "bos", v->bos);
	put_special(p, v, v->add_eos ? "  EOS (added)" : "  EOS", "eos", v->eos);
	put_special(p, v, "  end of turn", "eot", v->eot);
	put_special(p, v, "  unknown", "unk", v->unk);
	put_special(p, v, "  padding", "pad", v->pad);
	put_bool(p, "  chat template", "chat_template", v->chat_template);
}

/* Of a classifier: its labels, and which state they are told from. */
static int put_labels(struct printer *p, const struct trit_gguf *g, const struct trit_config *c, struct trit_error *err)
{
	struct trit_labels labels;
	int e = c->n_labels ? trit_gguf_read_labels(g, &labels, err) : TRIT_OK;
	if (e || !c->n_labels)
		return e;
	put_number(p, "labels", "labels", c->n_labels, " on the %s",
	           c->pooling == TRIT_POOLING_MEAN ? "mean of states" : "last state");
	begin_row(p, "  names", "label_names");
	trit_outf("%s", p->json ? "[" : "");
	for (int i = 0; i < labels.n; i++) {
		trit_outf("%s", i ? ", " : "");
		if (p->json)
			trit_out_json(strlen(labels.names[i]), labels.names[i]);
		else
			trit_out_text(strlen(labels.names[i]), labels.names[i]);
	}
	trit_outf("%s", p->json ? "]" : "");
	end_row(p);
	if (labels.template)
		put_text(p, "  template", "label_template", labels.template);
	trit_labels_release(&labels);
	return TRIT_OK;
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

/* ---- a table of tensors ------------------------------------------------------------------------------------------ */

static void put_shape(char text[100], const struct trit_gguf_tensor *t)
{
	size_t used = 0;
	for (uint32_t d = 0; d < t->n_dims && d < 4; d++)
		used += (size_t)snprintf(text + used, 100 - used, "%s%llu", d ? " x " : "", (unsigned long long)t->dims[d]);
}

/* What was found in a ternary tensor: shares and scales. */
static void put_ternary(const struct printer *p, const struct trit_tensor_findings *f)
{
	double n = (double)f->n;
	if (!f->readable || !f->ternary || f->err.status)
		return;
	trit_outf(p->json ? ", \"shares\": [%.4f, %.4f, %.4f], \"scales\": %llu, \"least_scale\": %.6g, "
	                    "\"greatest_scale\": %.6g"
	                  : "  %5.1f %5.1f %5.1f %%  %llu of %.4g .. %.4g",
	          (double)f->codes[0] / n * (p->json ? 1 : 100), (double)f->codes[1] / n * (p->json ? 1 : 100),
	          (double)f->codes[2] / n * (p->json ? 1 : 100), (unsigned long long)f->n_scales, (double)f->least_scale,
	          (double)f->greatest_scale);
}

static void put_tensor(const struct printer *p, const struct trit_gguf_tensor *t, const struct trit_tensor_findings *f)
{
	const struct trit_ggml_type_info *info = trit_ggml_type_info(t->type);
	const char *type = info ? info->name : "?";
	unsigned id = info ? info->file_id : t->type;
	char shape[100] = "";
	struct trit_error printable;
	put_shape(shape, t);
	trit_fail(&printable, TRIT_ERR_ARG, "%s", t->name);
	if (p->json) {
		trit_outf("\n    {\"name\": ");
		trit_out_json(strlen(t->name), t->name);
		trit_outf(", \"type\": \"%s\", \"id\": %u, \"shape\": [", type, id);
		for (uint32_t d = 0; d < t->n_dims && d < 4; d++)
			trit_outf("%s%llu", d ? ", " : "", (unsigned long long)t->dims[d]);
		trit_outf("], \"bytes\": %llu, \"offset\": %llu", (unsigned long long)t->bytes,
		          (unsigned long long)t->offset);
	} else {
		trit_outf("%-32s %-8s %4u  %-16s %12llu %12llu", printable.message, type, id, shape,
		          (unsigned long long)t->bytes, (unsigned long long)t->offset);
	}
	put_ternary(p, f);
	if (f->err.status && p->json) {
		trit_outf(", \"error\": ");
		trit_out_json(strlen(f->err.message), f->err.message);
	} else if (f->err.status) {
		trit_outf("  %s", f->err.message);
	}
	trit_out(1, p->json ? "}" : "\n");
}

static int put_tensors(struct printer *p, const struct trit_gguf *g, struct trit_error *err)
{
	struct trit_tensor_findings *found = trit_calloc((size_t)g->n_tensors, sizeof *found);
	struct trit_pool *pool = NULL;
	int e = found ? trit_pool_new(&pool, trit_cpu_count(), err)
	              : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %llu tensors",
	                          (unsigned long long)g->n_tensors);
	if (!e)
		e = trit_check_tensors(found, g, pool, err);
	if (!e && p->json)
		begin_row(p, "", "tensors");
	if (!e)
		trit_outf(p->json ? "[" : "\n%-32s %-8s %4s  %-16s %12s %12s  %s\n", "name", "type", "id", "shape", "bytes",
		          "offset", "-1, 0, +1; scales");
	for (uint64_t i = 0; i < g->n_tensors && !e && trit_out_alive(); i++) {
		if (p->json && i)
			trit_out(1, ",");
		put_tensor(p, &g->tensors[i], &found[i]);
	}
	if (!e && p->json)
		trit_outf("\n  ]");
	trit_pool_free(pool);
	trit_free(found);
	return e;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

struct info_options {
	const char *file;
	struct trit_model_options open;
	bool json, tensors;
};

static void put_file(struct printer *p, const struct trit_model_file *f)
{
	const char *kind = trit_file_kind_name(f->kind);
	char text[100];
	if (f->kind == TRIT_KIND_GGUF && f->gguf.version)
		snprintf(text, sizeof text, "%s version %u%s", kind, (unsigned)f->gguf.version,
		         f->gguf.n_parts ? ", in several parts" : "");
	else
		snprintf(text, sizeof text, "%s", kind);
	put_text(p, "file", "format", text);
}

/* A checkpoint of a training run: where it stands, and with what settings. */
static int describe_checkpoint(struct printer *p, const char *path, struct trit_error *err)
{
	struct trit_recipe recipe;
	struct trit_progress progress;
	struct trit_config config = { 0 }; /* of what stands beside a model there is none */
	char text[TRIT_SETTING_BYTES];
	int e = trit_checkpoint_read_recipe(path, &recipe, &config, &progress, err);
	if (e)
		return e;
	put_text(p, "checkpoint", "checkpoint", path);
	put_number(p, "  step", "step", progress.step, " of %d", progress.steps);
	put_number(p, "  steps", "steps", progress.steps, "%s", "");
	put_number(p, "  training tokens", "training_tokens", (double)progress.train_tokens, "%s", "");
	if (config.arch)
		put_sizes(p, &config);
	begin_row(p, "settings", "settings");
	for (int i = 0; i < trit_n_settings; i++) {
		trit_setting_print(text, &trit_settings[i], &recipe);
		trit_outf(p->json ? "%s\"%s\": \"%s\"" : "%s--%s %s", i ? (p->json ? ", " : " ") : p->json ? "{" : "",
		          trit_settings[i].name, text);
	}
	trit_outf("%s", p->json ? "}" : "");
	end_row(p);
	return TRIT_OK;
}

/* The checkpoints of a run, newest first, and what the newest holds. */
static int describe_run(struct printer *p, const char *folder, struct trit_error *err)
{
	char path[TRIT_KEPT_PATH_BYTES];
	struct trit_kept kept;
	int e = trit_kept_list(&kept, folder, err);
	if (e)
		return e;
	begin_row(p, "older checkpoints", "older_checkpoints");
	if (p->json)
		trit_out(1, "[");
	for (int i = 0; i < kept.n; i++)
		trit_outf("%s%d", i ? ", " : "", kept.steps[i]);
	trit_outf("%s", p->json ? "]" : kept.n ? "" : "none");
	end_row(p);
	trit_kept_release(&kept);
	e = trit_kept_path(path, folder, -1, err);
	return e ? e : describe_checkpoint(p, path, err);
}

static int describe(const struct info_options *o, struct trit_error *err)
{
	const struct trit_model_file_options file_options = { .tokenizer = o->open.tokenizer };
	struct printer p = { .json = o->json, .first = true };
	struct trit_model_file f;
	struct trit_model *m = NULL;
	struct trit_error why;
	int e;
	if (trit_path_kind(o->file) == 0 && trit_safetensors_is_checkpoint(o->file)) {
		if (p.json)
			trit_out(1, "{");
		put_text(&p, "file", "format", "checkpoint of trit train");
		e = describe_checkpoint(&p, o->file, err);
		if (p.json)
			trit_outf("\n}\n");
		return e;
	}
	e = trit_model_file_open(&f, o->file, &file_options, err);
	if (e)
		return e;
	if (trit_model_open_with(&m, o->file, &o->open, &why) == TRIT_ERR_ARG) { /* an option that is none */
		*err = why;
		e = TRIT_ERR_ARG;
		goto out;
	}
	if (p.json)
		trit_out(1, "{");
	if (m) {
		put_file(&p, &f);
		put_sizes(&p, &m->config);
		e = put_weights(&p, m, err);
		put_vocab(&p, m->tokenizer ? trit_tokenizer_vocab(m->tokenizer) : NULL);
		if (!e)
			e = put_labels(&p, &m->gguf, &m->config, err);
		put_memory(&p, m);
		put_kernels(&p, m);
	} else {
		if (f.training_run && !f.gguf.n_tensors) {
			put_text(&p, "file", "format", "folder of trit train");
			e = describe_run(&p, o->file, err);
		} else {
			put_file(&p, &f);
			put_outline(&p, &f);
		}
		put_vocab(&p, f.has_vocab ? &f.vocab : NULL);
	}
	put_notes(&p, m ? &m->file.notes : &f.notes);
	put_bool(&p, "can run", "can_run", m);
	if (!m)
		put_text(&p, "  because", "because", why.message);
	if (!e && o->tensors)
		e = put_tensors(&p, &f.gguf, err);
	if (p.json)
		trit_outf("\n}\n");
out:
	trit_model_close(m);
	trit_model_file_close(&f);
	return e;
}

int trit_cmd_info(int argc, char **argv)
{
	struct info_options o = { 0 };
	struct trit_error err;
	struct trit_opt options[] = {
		{ 'm', "model", TRIT_OPT_STRING, &o.file, .metavar = "FILE", .help = "the model; the same as FILE alone",
		  .env = "TRIT_MODEL" },
		{ 0, "tensors", TRIT_OPT_FLAG, &o.tensors,
		  .help = "list the tensors; of ternary ones the shares of -1, 0 and +1, and the scales" },
		{ 0, "json", TRIT_OPT_FLAG, &o.json, .help = "print one JSON object" },
		TRIT_ROWS_OPEN(o.open),
	};
	struct trit_opt_table table = {
		.command = "info",
		.usage = "FILE [OPTIONS]",
		.about = "Describes a model file: sizes, weights, vocabulary, memory, the kernels that would run it here, and\n"
		         "what was found and assumed while reading it. Of a file that cannot run: what can be said, and why.",
		.options = options,
		.n_options = TRIT_N(options),
		.max_args = 1,
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status >= 0)
		return status;
	if (table.n_args)
		o.file = table.args[0];
	if (!o.file)
		return trit_opt_error(&table, "no model: give a file or a folder");
	if (describe(&o, &err))
		return trit_out_finish("info", trit_cmd_fail("info", &err));
	return trit_out_finish("info", 0);
}
