/*
 * cmd_doctor.c - trit doctor: whether a model's file is sound.
 *
 * Each check says what it found in one or more lines: fine, a remark (odd, or a limit of this program: the file may be
 * as its makers meant it), or damage (no maker can have meant it). The last line sums up.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdarg.h>

#include "cli/cmd.h"
#include "cli/dialogue.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "format/safetensors.h"
#include "kernel/selftest.h"
#include "model/model.h"
#include "model/tensor_check.h"
#include "text/detokenizer.h"
#include "text/pretok.h"
#include "train/kept.h"

enum result { FINE, REMARK, DAMAGE, N_RESULTS };

#define MAX_LINES 12 /* of one check and one result; further ones are counted */

struct doctor {
	const char *path, *tokenizer;
	bool json;
	int n[N_RESULTS];

	const char *check;                         /* the one at hand */
	int lines[N_RESULTS], left_out[N_RESULTS]; /* what it has printed of each result but FINE, and what not */

	struct trit_model_file file;
	struct trit_tensor_findings *found; /* [n_tensors] */
	struct trit_tokenizer *t;
	struct trit_config config;
	bool can_run;
};

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static int count_lines(const struct doctor *d)
{
	return d->n[FINE] + d->n[REMARK] + d->n[DAMAGE];
}

static void print_line(struct doctor *d, enum result result, const char *text)
{
	static const char *const words[N_RESULTS] = { "fine", "remark", "DAMAGE" },
	                        *const keys[N_RESULTS] = { "fine", "remark", "damage" };
	if (d->json) {
		if (count_lines(d) == 0) {
			trit_outf("{\n  \"file\": ");
			trit_out_json(strlen(d->path), d->path);
			trit_outf(",\n  \"checks\": [");
		}
		trit_outf("%s\n    {\"check\": \"%s\", \"result\": \"%s\", \"text\": ", count_lines(d) ? "," : "", d->check,
		          keys[result]);
		trit_out_json(strlen(text), text);
		trit_out(1, "}");
	} else {
		trit_outf("%-8s %-14s %s\n", words[result], d->check, text);
	}
	d->n[result]++;
	trit_out_flush();
}

static void say(struct doctor *d, enum result result, const char *fmt, ...) TRIT_PRINTF(3, 4);
static void say(struct doctor *d, enum result result, const char *fmt, ...)
{
	struct trit_error printable;
	char text[sizeof printable.message];
	va_list args;
	if (result != FINE && d->lines[result] >= MAX_LINES) {
		d->left_out[result]++;
		return;
	}
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	trit_fail(&printable, TRIT_ERR_ARG, "%s", text);
	print_line(d, result, printable.message);
	d->lines[result] += result != FINE;
}

static void begin(struct doctor *d, const char *check)
{
	d->check = check;
	for (int r = 0; r < N_RESULTS; r++)
		d->lines[r] = d->left_out[r] = 0;
}

/* Ends a check; `fmt` says what is fine when nothing else was said. */
static void end(struct doctor *d, const char *fmt, ...) TRIT_PRINTF(2, 3);
static void end(struct doctor *d, const char *fmt, ...)
{
	char text[300];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (!d->lines[REMARK] && !d->lines[DAMAGE])
		say(d, FINE, "%s", text);
	for (enum result r = REMARK; r < N_RESULTS; r++)
		if (d->left_out[r]) {
			d->lines[r] = 0;
			say(d, r, "and %d more like these", d->left_out[r]);
		}
}

/* What a failure says about the file: input that is wrong is damage, what this program cannot do is a remark. */
static enum result judge(int status)
{
	return status == TRIT_ERR_FORMAT ? DAMAGE : REMARK;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

/* blk.12.attn_q.weight without its number, to compare those of all layers; false for tensors outside layers. */
static bool kind_of(const char *name, char kind[TRIT_TENSOR_NAME_BYTES])
{
	const char *dot = strncmp(name, "blk.", 4) == 0 ? strchr(name + 4, '.') : NULL;
	return dot && snprintf(kind, TRIT_TENSOR_NAME_BYTES, "%s", dot) < TRIT_TENSOR_NAME_BYTES;
}

static int compare_floats(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

#define FAR_SCALE 50       /* times its siblings' */
#define FEW_WEIGHTS 4096   /* too few to say what shares are usual */
#define MOST_SIBLINGS 8192 /* tensors of a file in which siblings are compared, each with all */

/* The median of the greatest scales of ternary tensors of one kind; 0 when there are fewer than three. */
static float usual_scale(const struct doctor *d, const char *kind, float *scratch)
{
	size_t n = 0;
	if (d->file.gguf.n_tensors > MOST_SIBLINGS)
		return 0;
	for (uint64_t i = 0; i < d->file.gguf.n_tensors && n < TRIT_MAX_LAYERS; i++) {
		char other[TRIT_TENSOR_NAME_BYTES];
		if (d->found[i].ternary && isfinite(d->found[i].greatest_scale) &&
		    kind_of(d->file.gguf.tensors[i].name, other) && strcmp(kind, other) == 0)
			scratch[n++] = d->found[i].greatest_scale;
	}
	qsort(scratch, n, sizeof *scratch, compare_floats);
	return n < 3 ? 0 : scratch[n / 2];
}

static void judge_ternary(struct doctor *d, const struct trit_gguf_tensor *t, const struct trit_tensor_findings *f)
{
	const struct trit_ggml_type_info *type = trit_ggml_type_info(t->type);
	double n = (double)f->n, minus = (double)f->codes[0] / n, zero = (double)f->codes[1] / n,
	       plus = (double)f->codes[2] / n;
	char kind[TRIT_TENSOR_NAME_BYTES];
	float scratch[TRIT_MAX_LAYERS], usual;
	if (f->n_zero_scales == f->n_scales)
		say(d, DAMAGE, "%s: its scale is 0, so all its weights are", t->name);
	if ((double)f->greatest_scale > 1e4)
		say(d, REMARK, "%s: a scale of %g is far from what trained weights have", t->name, (double)f->greatest_scale);
	if (f->n >= FEW_WEIGHTS && (minus > 0.95 || plus > 0.95 || (zero > 0.98 && !type->binary)))
		say(d, DAMAGE, "%s: %.1f %% of its weights are -1, %.1f %% 0 and %.1f %% +1", t->name, minus * 100, zero * 100,
		    plus * 100);
	else if (f->n >= FEW_WEIGHTS && fabs(minus - plus) > 0.2)
		say(d, REMARK, "%s: %.1f %% of its weights are -1 and %.1f %% +1; trained ones come in like numbers", t->name,
		    minus * 100, plus * 100);
	usual = kind_of(t->name, kind) ? usual_scale(d, kind, scratch) : 0;
	if (usual > 0 && f->greatest_scale > 0 &&
	    (f->greatest_scale > usual * FAR_SCALE || f->greatest_scale < usual / FAR_SCALE))
		say(d, REMARK, "%s: its scale is %g where those of the other layers are about %g", t->name,
		    (double)f->greatest_scale, (double)usual);
}

static void judge_numbers(struct doctor *d, const struct trit_gguf_tensor *t, const struct trit_tensor_findings *f)
{
	bool norm = strstr(t->name, "norm") != NULL;
	if (f->n_bad)
		say(d, DAMAGE, "%s: %llu of %llu numbers are NaN or infinite", t->name, (unsigned long long)f->n_bad,
		    (unsigned long long)f->n);
	else if (f->rms == 0 && !strstr(t->name, ".bias"))
		say(d, norm || f->n >= FEW_WEIGHTS ? DAMAGE : REMARK, "%s: all its numbers are 0", t->name);
	else if (f->rms > 1e4 || (f->rms > 0 && f->rms < 1e-8))
		say(d, REMARK, "%s: its numbers are about %.3g, far from what trained ones are", t->name, f->rms);
}

static int check_tensors(struct doctor *d, struct trit_error *err)
{
	const struct trit_gguf *g = &d->file.gguf;
	struct trit_pool *pool = NULL;
	uint64_t unread = 0;
	begin(d, "tensors");
	if (g->n_tensors == 0) {
		end(d, "there are none: a vocabulary");
		return TRIT_OK;
	}
	d->found = trit_calloc((size_t)g->n_tensors, sizeof *d->found);
	if (!d->found)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %llu tensors", (unsigned long long)g->n_tensors);
	int e = trit_pool_new(&pool, trit_cpu_count(), err);
	if (!e)
		e = trit_check_tensors(d->found, g, pool, err);
	trit_pool_free(pool);
	for (uint64_t i = 0; i < g->n_tensors && !e; i++) {
		const struct trit_tensor_findings *f = &d->found[i];
		unread += !f->readable;
		if (f->err.status)
			say(d, judge(f->err.status), "%s%s%s", strstr(f->err.message, g->tensors[i].name) ? "" : g->tensors[i].name,
			    strstr(f->err.message, g->tensors[i].name) ? "" : ": ", f->err.message);
		else if (f->readable && f->ternary)
			judge_ternary(d, &g->tensors[i], f);
		else if (f->readable)
			judge_numbers(d, &g->tensors[i], f);
	}
	if (!e && unread)
		say(d, REMARK, "%llu of %llu are of types that cannot be read here", (unsigned long long)unread,
		    (unsigned long long)g->n_tensors);
	if (!e)
		end(d, "%llu: every code, scale and number is one that a model can have", (unsigned long long)g->n_tensors);
	return e;
}

/* ---- what the file says ------------------------------------------------------------------------------------------ */

/* Notes from number `first` on. */
static void say_notes(struct doctor *d, const struct trit_notes *notes, size_t first)
{
	for (size_t i = first; i < notes->n; i++)
		say(d, notes->lines[i].kind == TRIT_NOTE_FOUND ? FINE : REMARK, "%s%s",
		    notes->lines[i].kind == TRIT_NOTE_ASSUMED ? "assumed: " : "", notes->lines[i].text);
}

static void check_notes(struct doctor *d)
{
	begin(d, "reading");
	say_notes(d, &d->file.notes, 0);
	if (!d->file.notes.n)
		end(d, "all tensors lie within the file, and nothing had to be assumed");
}

static void check_config(struct doctor *d)
{
	struct trit_error err;
	begin(d, "architecture");
	if (d->file.gguf.n_tensors == 0)
		return;
	int e = trit_config_read(&d->config, &d->file.gguf, &err);
	d->can_run = !e;
	if (e)
		say(d, judge(e), "%s", err.message);
	else
		end(d, "%s: %d layers, width %d", d->config.arch->title, d->config.n_layers, d->config.d_model);
}

/* ---- training runs ----------------------------------------------------------------------------------------------- */

/* Whether it is sound. */
static bool check_checkpoint(struct doctor *d, const char *path)
{
	struct trit_progress progress;
	struct trit_error err;
	int e = trit_checkpoint_check(path, &progress, &err);
	if (e)
		say(d, judge(e), "%s", err.message);
	else
		say(d, FINE, "%s: step %d of %d, every checksum is right", path, progress.step, progress.steps);
	return !e;
}

static int check_checkpoints(struct doctor *d, struct trit_error *err)
{
	char path[TRIT_KEPT_PATH_BYTES];
	struct trit_kept kept = { 0 };
	int e = trit_kept_list(&kept, d->path, err), sound = 0, n = 0;
	begin(d, "checkpoints");
	for (int i = -1; i < kept.n && !e; i++) {
		e = trit_kept_path(path, d->path, i < 0 ? -1 : kept.steps[i], err);
		if (e || trit_path_kind(path) < 0)
			continue;
		n++;
		sound += check_checkpoint(d, path);
	}
	trit_kept_release(&kept);
	if (!e && sound && sound < n)
		say(d, REMARK, "trit train --resume --out %s goes on from the newest sound one", d->path);
	return e;
}

/* ---- vocabulary -------------------------------------------------------------------------------------------------- */

static const char *const texts[] = {
	"Hello, world!", "  two spaces,\ttab\nnewline\r\n", "The 1,234.56 quick brown foxes' jumps", "Größe naïve façade",
	"Съешь ещё этих мягких", "日本語のテキスト", "한국어 문장", "مرحبا بالعالم", "def f(x):\n    return x ** 2  # ok\n",
	"😀👩‍👩‍👧", "a\u0301 combining", "<|notatoken|> [INST] </s>",
};

/* Text to tokens and back; whether it is the same, but for what SentencePiece adds. */
static bool comes_back(const struct doctor *d, struct trit_encoder *e, const char *text, struct trit_tokens *tokens,
                       struct trit_buf *back)
{
	struct trit_detokenizer detokenizer;
	struct trit_error err;
	char *piece = trit_calloc(trit_detokenizer_room(d->t) + 12, 1);
	bool ok = piece != NULL;
	tokens->len = 0;
	trit_buf_reset(back);
	trit_detokenizer_init(&detokenizer, d->t, true);
	ok = ok && trit_encode(e, strlen(text), text, 0, tokens, &err) == 0;
	for (size_t i = 0; i < tokens->len && ok; i++)
		ok = trit_buf_append(back, trit_detokenizer_feed(&detokenizer, tokens->data[i], piece), piece, &err) == 0;
	ok = ok && trit_buf_append(back, trit_detokenizer_end(&detokenizer, piece), piece, &err) == 0;
	trit_free(piece);
	return ok && back->len == strlen(text) && memcmp(back->data, text, back->len) == 0;
}

static void check_round_trip(struct doctor *d)
{
	struct trit_encoder *e = NULL;
	struct trit_tokens tokens;
	struct trit_buf back;
	struct trit_error err;
	/* Vocabularies that change what they read (lower case, normal forms, unknown words) have no way back. */
	const struct trit_vocab *v = trit_tokenizer_vocab(d->t);
	bool normalises = v->n_normal > 0 || (!v->custom && trit_pretok_traits(v->pre) & TRIT_PRETOK_NFC);
	bool lossless = strcmp(v->model, "gpt2") == 0 && !normalises;
	int lost = 0;
	trit_tokens_init(&tokens, 10000);
	trit_buf_init(&back, 100000);
	if (trit_encoder_new(&e, d->t, &err))
		say(d, REMARK, "%s", err.message);
	for (int i = 0; i < TRIT_N(texts) && e; i++)
		if (!comes_back(d, e, texts[i], &tokens, &back))
			lost++;
	if (lost)
		say(d, lossless || lost == TRIT_N(texts) ? DAMAGE : REMARK,
		    "%d of %d texts do not come back from their tokens%s", lost, TRIT_N(texts),
		    lossless ? "" : "; vocabularies of this kind may change what they read");
	trit_encoder_free(e);
	trit_tokens_release(&tokens);
	trit_buf_release(&back);
}

static void check_vocab(struct doctor *d)
{
	struct trit_error err;
	begin(d, "vocabulary");
	if (!d->file.has_vocab) {
		say(d, REMARK, "there is none; texts cannot become tokens");
		return;
	}
	int e = trit_tokenizer_new(&d->t, &d->file.vocab, &err);
	if (e) {
		say(d, judge(e), "%s", err.message);
		return;
	}
	const struct trit_vocab *v = trit_tokenizer_vocab(d->t);
	int ends = 0;
	for (int i = 0; i < v->n_tokens; i++)
		ends += trit_is_end_token(d->t, i);
	if (!ends && strcmp(v->model, "bert") != 0)
		say(d, REMARK, "no token ends a text (no EOS): generation goes on until the context is full");
	if (v->add_bos && v->bos < 0)
		say(d, REMARK, "texts are to begin with BOS, but there is no BOS token");
	if (d->can_run && v->n_tokens > d->config.n_vocab)
		say(d, DAMAGE, "%d tokens, but the embedding has %d rows", v->n_tokens, d->config.n_vocab);
	check_round_trip(d);
	end(d, "%d tokens (%s); %d texts come back from their tokens", v->n_tokens, v->model, TRIT_N(texts));
}

static void check_template(struct doctor *d)
{
	struct trit_chat_template chat;
	struct trit_dialogue talk = { 0 };
	struct trit_tokens tokens;
	struct trit_error err;
	if (!d->t)
		return;
	begin(d, "chat template");
	int e = trit_chat_open(&chat, trit_tokenizer_vocab(d->t), NULL, &err);
	if (!e && !chat.jinja) {
		end(d, "there is none: the model is not for conversations");
		return;
	}
	trit_tokens_init(&tokens, 1 << 20);
	if (!e && chat.note)
		say(d, REMARK, "%s", chat.note);
	if (!e)
		e = trit_dialogue_init(&talk, &chat, d->t, &err);
	if (!e)
		e = trit_dialogue_add(&talk, "user", 5, "Hello", &err);
	if (!e)
		e = trit_dialogue_tokens(&talk, &tokens, &err);
	if (e)
		say(d, REMARK, "%s", err.message);
	else
		end(d, "makes %zu tokens of a greeting", tokens.len);
	trit_tokens_release(&tokens);
	trit_dialogue_release(&talk);
	trit_chat_close(&chat);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void ignore(void *arg, enum trit_log_level level, const char *text)
{
	(void)level;
	(void)text;
	++*(int *)arg;
}

static void check_kernels(struct doctor *d)
{
	struct trit_kernels best, c;
	int warnings = 0;
	begin(d, "kernels");
	trit_kernels_fill(&best, trit_best_tier());
	trit_kernels_fill(&c, TRIT_TIER_C);
	trit_log_set(ignore, &warnings);
	trit_kernels_selftest(&best, &c);
	trit_log_set(NULL, NULL);
	if (warnings)
		say(d, REMARK, "%d of this machine's kernels (%s) give wrong results; plain C takes their place", warnings,
		    trit_tier_name(best.tier));
	end(d, "those of this machine (%s) do what plain C does", trit_tier_name(best.tier));
}

#define N_PROBE 12

/* The logits after a few tokens, computed with the kernels named; NULL after a failure. What loading noted is said. */
static float *probe(struct doctor *d, const char *cpu, int *n_vocab, struct trit_error *err)
{
	const struct trit_model_options options = { .cpu = cpu, .tokenizer = d->tokenizer };
	struct trit_model *model = NULL;
	struct trit_session *session = NULL;
	trit_token tokens[N_PROBE];
	float *logits = NULL;
	int e = trit_model_open_with(&model, d->path, &options, err);
	if (!e && strcmp(cpu, "c") != 0)
		say_notes(d, &model->file.notes, d->file.notes.n);
	if (!e) {
		int n = trit_model_context_length(model) < N_PROBE ? trit_model_context_length(model) : N_PROBE;
		*n_vocab = trit_model_vocab_size(model);
		for (int i = 0; i < n; i++)
			tokens[i] = (trit_token)((uint64_t)i * 7919 % (uint64_t)*n_vocab);
		e = trit_session_new(&session, model, &(struct trit_session_options){ .n_ctx = n }, err);
		if (!e)
			e = trit_session_feed(session, (size_t)n, tokens, err);
	}
	if (!e) {
		logits = trit_calloc((size_t)*n_vocab, sizeof *logits);
		if (logits)
			memcpy(logits, trit_session_logits(session), (size_t)*n_vocab * sizeof *logits);
		else
			trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %d logits", *n_vocab);
	}
	trit_session_free(session);
	trit_model_close(model);
	return logits;
}

static void check_logits(struct doctor *d)
{
	struct trit_error err;
	int n = 0, bad = 0;
	if (!d->can_run)
		return;
	begin(d, "logits");
	float *best = probe(d, trit_tier_name(trit_best_tier()), &n, &err), *c = best ? probe(d, "c", &n, &err) : NULL;
	if (!c) {
		say(d, judge(err.status), "%s", err.message);
	} else {
		float least = best[0], most = best[0];
		for (int i = 0; i < n; i++) {
			bad += !isfinite(best[i]);
			least = best[i] < least ? best[i] : least;
			most = best[i] > most ? best[i] : most;
		}
		if (bad)
			say(d, DAMAGE, "%d of %d are NaN or infinite after %d tokens", bad, n, N_PROBE);
		else if (least == most)
			say(d, DAMAGE, "all %d are the same: the model says nothing", n);
		if (memcmp(best, c, (size_t)n * sizeof *c) != 0)
			say(d, REMARK, "plain C and this machine's kernels compute different ones; please report that");
		end(d, "finite, from %.3g to %.3g, and the same by plain C", (double)least, (double)most);
	}
	trit_free(best);
	trit_free(c);
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static int examine(struct doctor *d, struct trit_error *err)
{
	const struct trit_model_file_options options = { .tokenizer = d->tokenizer };
	if (trit_path_kind(d->path) == 0 && trit_safetensors_is_checkpoint(d->path)) {
		begin(d, "checkpoint");
		check_checkpoint(d, d->path);
		return TRIT_OK;
	}
	int e = trit_model_file_open(&d->file, d->path, &options, err);
	if (e == TRIT_ERR_FORMAT) { /* that is what the doctor is for */
		begin(d, "reading");
		say(d, DAMAGE, "%s", err->message);
		return TRIT_OK;
	}
	if (e)
		return e;
	check_notes(d);
	if (d->file.training_run && (e = check_checkpoints(d, err)))
		return e;
	check_config(d);
	if ((e = check_tensors(d, err)))
		return e;
	check_vocab(d);
	check_template(d);
	check_kernels(d);
	check_logits(d);
	return TRIT_OK;
}

static void sum_up(const struct doctor *d)
{
	const char *verdict = d->n[DAMAGE] ? "damaged" : d->n[REMARK] ? "remarks" : "sound";
	if (d->json) {
		trit_outf("\n  ],\n  \"remarks\": %d,\n  \"damage\": %d,\n  \"verdict\": \"%s\"\n}\n", d->n[REMARK],
		          d->n[DAMAGE], verdict);
		return;
	}
	if (d->n[DAMAGE])
		trit_outf("\n%s is damaged: get it again, or convert it again from what it was made of.\n", d->path);
	else if (d->n[REMARK])
		trit_outf("\n%s is sound, with %d remark%s.\n", d->path, d->n[REMARK], d->n[REMARK] == 1 ? "" : "s");
	else
		trit_outf("\n%s is sound.\n", d->path);
}

int trit_cmd_doctor(int argc, char **argv)
{
	struct doctor d = { 0 };
	struct trit_error err;
	struct trit_opt options[] = {
		{ 'm', "model", TRIT_OPT_STRING, &d.path, .metavar = "FILE", .help = "the model; the same as FILE alone",
		  .env = "TRIT_MODEL" },
		{ 0, "json", TRIT_OPT_FLAG, &d.json, .help = "print one JSON object" },
		TRIT_ROW_TOKENIZER(d.tokenizer),
	};
	struct trit_opt_table table = {
		.command = "doctor",
		.usage = "FILE [OPTIONS]",
		.about = "Checks a model's file: every number of every tensor, the vocabulary, the chat template, this\n"
		         "machine's kernels, and what the model computes. Ends with 0 if the file is sound, 1 if not.",
		.options = options,
		.n_options = TRIT_N(options),
		.max_args = 1,
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status >= 0)
		return status;
	if (table.n_args)
		d.path = table.args[0];
	if (!d.path)
		return trit_opt_error(&table, "no model: give a file or a folder");
	int e = examine(&d, &err);
	if (!e)
		sum_up(&d);
	trit_tokenizer_free(d.t);
	trit_model_file_close(&d.file);
	trit_free(d.found);
	return trit_out_finish("doctor", e ? trit_cmd_fail("doctor", &err) : d.n[DAMAGE] > 0);
}
