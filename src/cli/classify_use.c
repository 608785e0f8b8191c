/*
 * classify_use.c - trit classify eval and predict.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "cli/classify_actions.h"

#include "base/file.h"
#include "base/mem.h"
#include "format/gguf_labels.h"
#include "run/classifier.h"
#include "run/tokens.h"
#include "train/label_data.h"

#define MAX_TEXT_BYTES ((size_t)1 << 30)
#define TEXTS_AT_A_TIME 64

enum { OUTPUT_TEXT, OUTPUT_JSON };

const char *const trit_label_forms[] = { "auto", "csv", "tsv", "jsonl", "lines", NULL };

struct use_options {
	const char *command; /* "classify eval" */
	const char *model, *file, *template;
	struct trit_opt_list data, labels, words;
	struct trit_label_options rows;
	struct trit_model_options open;
	struct trit_embed_options embed;
	int output, form, kv_type, max_tokens;
	char **args;
	int n_args;
};

const char *trit_label_printable(struct trit_error *storage, const char *name)
{
	trit_fail(storage, TRIT_ERR_ARG, "%s", name);
	return storage->message;
}

/* What became of a text; p NULL: it has no tokens. */
typedef void result_fn(void *arg, const float *p, int label);

/* A classifier at work: texts wait until there are enough. */
struct use {
	const struct use_options *o;
	struct trit_model *model;
	struct trit_classifier *classifier;
	struct trit_encoder *encoder;
	struct trit_labels labels;
	size_t max_tokens;
	struct trit_tokens tokens;            /* of those that wait, one behind the other */
	size_t ends[TEXTS_AT_A_TIME];
	int expected[TEXTS_AT_A_TIME], n;     /* labels, or -1 */
	float *p;                             /* [TEXTS_AT_A_TIME, labels] */
	uint64_t texts, cut;
	result_fn *result;
	void *arg;
};

/* ---- the classifier ---------------------------------------------------------------------------------------------- */

/* The names: those given, the file's, or numbers. */
static int name_labels(struct use *u, int n, struct trit_error *err)
{
	const struct use_options *o = u->o;
	char number[16];
	int e = TRIT_OK;
	if (o->labels.n && o->labels.n != n)
		return trit_fail(err, TRIT_ERR_ARG, "--labels has %d names and the classifier %d", o->labels.n, n);
	if (o->labels.n || !u->labels.n || o->words.n) {
		for (int i = 0; i < u->labels.n; i++)
			trit_free(u->labels.names[i]);
		u->labels.n = 0;
	}
	for (int i = 0; i < n && u->labels.n < n && !e; i++) {
		snprintf(number, sizeof number, "%d", i);
		const char *name = o->labels.n ? o->labels.items[i] : o->words.n ? o->words.items[i] : number;
		name += o->words.n && !o->labels.n ? strspn(name, " ") : 0;
		e = trit_labels_add(&u->labels, strlen(name), name, err);
	}
	if (!e && u->labels.n != n)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: %d names of labels and a head of %d", o->model, u->labels.n, n);
	if (!e && o->template)
		e = trit_labels_set_template(&u->labels, strlen(o->template), o->template, err);
	return e;
}

static int open_use(struct use *u, struct trit_error *err)
{
	const struct use_options *o = u->o;
	struct trit_embed_options embed = o->embed;
	int e = trit_cmd_open(o->command, &u->model, o->model, &o->open, err);
	if (e || (e = trit_gguf_read_labels(&u->model->gguf, &u->labels, err)))
		return e;
	int n_ctx = trit_model_context_length(u->model);
	if (o->max_tokens > n_ctx)
		return trit_fail(err, TRIT_ERR_ARG, "--max-tokens is %d; the model was trained for %d", o->max_tokens, n_ctx);
	if (!u->model->tokenizer)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: no vocabulary, so text cannot become tokens", o->model);
	int trained = u->labels.max_tokens && u->labels.max_tokens < n_ctx ? u->labels.max_tokens : n_ctx;
	u->max_tokens = (size_t)(o->max_tokens ? o->max_tokens : trained);
	embed.n_ctx = (int)u->max_tokens;
	embed.kv_type = o->kv_type ? (enum trit_kv_type)o->kv_type : TRIT_KV_F32;
	char *const *words = o->words.n ? o->words.items : NULL;
	if ((e = trit_classifier_new(&u->classifier, u->model, o->words.n, words, &embed, err)) ||
	    (e = name_labels(u, trit_classifier_labels(u->classifier), err)) ||
	    (e = trit_encoder_new(&u->encoder, u->model->tokenizer, err)))
		return e;
	u->p = trit_calloc(TEXTS_AT_A_TIME, (size_t)u->labels.n * sizeof *u->p);
	return u->p ? TRIT_OK : trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %d labels", u->labels.n);
}

static void close_use(struct use *u)
{
	trit_encoder_free(u->encoder);
	trit_classifier_free(u->classifier);
	trit_model_close(u->model);
	trit_labels_release(&u->labels);
	trit_tokens_release(&u->tokens);
	trit_free(u->p);
}

/* Classifies the texts that wait. Those without tokens have no result. */
static int classify_waiting(struct use *u, struct trit_error *err)
{
	const trit_token *tokens[TEXTS_AT_A_TIME];
	size_t lengths[TEXTS_AT_A_TIME], n = 0, begin = 0;
	for (int i = 0; i < u->n; begin = u->ends[i++]) {
		tokens[n] = u->tokens.data + begin;
		lengths[n] = u->ends[i] - begin;
		n += lengths[n] > 0;
	}
	int e = n ? trit_classify(u->classifier, n, lengths, tokens, false, u->p, err) : TRIT_OK;
	begin = n = 0;
	for (int i = 0; i < u->n && !e; begin = u->ends[i++]) {
		bool empty = u->ends[i] == begin;
		u->result(u->arg, empty ? NULL : u->p + n * (size_t)u->labels.n, u->expected[i]);
		n += !empty;
	}
	u->n = 0;
	u->tokens.len = 0;
	return e;
}

static int take_text(struct use *u, size_t len, const char *text, int label, struct trit_error *err)
{
	bool cut;
	int e = trit_labels_encode(&u->labels, u->encoder, len, text, u->max_tokens, &u->tokens, &cut, err);
	if (e)
		return e;
	u->texts++;
	u->cut += cut;
	u->expected[u->n] = label;
	u->ends[u->n++] = u->tokens.len;
	if (trit_interrupts || !trit_out_alive())
		return trit_fail(err, TRIT_ERR_LIMIT, "stopped");
	return u->n == TEXTS_AT_A_TIME ? classify_waiting(u, err) : TRIT_OK;
}

static void note_cut(const struct use *u)
{
	if (u->cut)
		trit_cmd_note(u->o->command, "%llu of %llu texts were cut to %zu tokens, the longest that the classifier reads",
		              (unsigned long long)u->cut, (unsigned long long)u->texts, u->max_tokens);
}

static int best_of(const float *p, int n)
{
	int best = 0;
	for (int i = 1; i < n; i++)
		if (p[i] > p[best])
			best = i;
	return best;
}

/* ---- predict ----------------------------------------------------------------------------------------------------- */

struct printer {
	struct use use;
	uint64_t index;
};

static void print_json(const struct printer *q, const float *p, int best)
{
	const struct trit_labels *l = &q->use.labels;
	trit_outf("{\"index\": %llu, \"label\": ", (unsigned long long)q->index);
	if (!p) {
		trit_outf("null}\n");
		return;
	}
	trit_out_json(strlen(l->names[best]), l->names[best]);
	trit_outf(", \"score\": %.6g, \"scores\": {", (double)p[best]);
	for (int i = 0; i < l->n; i++) {
		trit_outf(i ? ", " : "");
		trit_out_json(strlen(l->names[i]), l->names[i]);
		trit_outf(": %.6g", (double)p[i]);
	}
	trit_outf("}}\n");
}

static void print_result(void *arg, const float *p, int label)
{
	struct printer *q = arg;
	const struct trit_labels *l = &q->use.labels;
	int best = p ? best_of(p, l->n) : 0;
	(void)label;
	if (q->use.o->output == OUTPUT_JSON) {
		print_json(q, p, best);
	} else if (p) {
		trit_out_text(strlen(l->names[best]), l->names[best]);
		trit_outf("\t%.4f\n", (double)p[best]);
	} else {
		trit_outf("-\n");
	}
	q->index++;
}

static int predict_row(void *arg, const struct trit_label_row *row, struct trit_error *err)
{
	struct printer *q = arg;
	return take_text(&q->use, row->text_len, row->text, -1, err);
}

/* A text a line: every line is answered, also an empty one. */
static int predict_lines(struct printer *q, size_t len, const char *text, struct trit_error *err)
{
	int e = TRIT_OK;
	for (size_t at = 0; at < len && !e;) {
		const char *line = text + at, *end = memchr(line, '\n', len - at);
		size_t n = end ? (size_t)(end - line) : len - at;
		e = take_text(&q->use, n && line[n - 1] == '\r' ? n - 1 : n, line, -1, err);
		at += n + 1;
	}
	return e;
}

static int predict_texts(struct printer *q, struct trit_error *err)
{
	const struct use_options *o = q->use.o;
	struct trit_label_counts counts;
	struct trit_buf text;
	int e = TRIT_OK;
	for (int i = 0; i < o->n_args && !e; i++)
		e = take_text(&q->use, strlen(o->args[i]), o->args[i], -1, err);
	if (o->data.n)
		e = trit_label_rows_each((size_t)o->data.n, o->data.items, &o->rows, predict_row, q, &counts, err);
	if (e || o->n_args || o->data.n)
		return e;
	trit_buf_init(&text, MAX_TEXT_BYTES);
	e = trit_file_read(&text, "-", err);
	if (!e)
		e = predict_lines(q, text.len, text.data ? text.data : "", err);
	trit_buf_release(&text);
	return e;
}

/* ---- eval -------------------------------------------------------------------------------------------------------- */

struct scorer {
	struct use use;
	uint64_t *counts; /* [labels, labels]: expected, predicted */
	double loss;
};

static void score_result(void *arg, const float *p, int label)
{
	struct scorer *s = arg;
	int n = s->use.labels.n;
	if (!p)
		return;
	s->counts[label * n + best_of(p, n)]++;
	s->loss -= log(fmax((double)p[label], 1e-30));
}

static int score_row(void *arg, const struct trit_label_row *row, struct trit_error *err)
{
	struct scorer *s = arg;
	int label = trit_label_of_row(&s->use.labels, row, err);
	return label < 0 ? label : take_text(&s->use, row->text_len, row->text, label, err);
}

struct score {
	double precision, recall, f1;
	uint64_t expected, predicted, right;
};

static struct score score_of(const struct scorer *s, int label)
{
	struct score r = { 0 };
	int n = s->use.labels.n;
	for (int i = 0; i < n; i++) {
		r.expected += s->counts[label * n + i];
		r.predicted += s->counts[i * n + label];
	}
	r.right = s->counts[label * n + label];
	r.precision = r.predicted ? (double)r.right / (double)r.predicted : 0;
	r.recall = r.expected ? (double)r.right / (double)r.expected : 0;
	r.f1 = r.expected + r.predicted ? 2 * (double)r.right / (double)(r.expected + r.predicted) : 0;
	return r;
}

struct summary {
	uint64_t texts, right, most; /* most: texts of the most frequent label */
	double accuracy, error, f1, majority, loss;
	int frequent;
};

static struct summary summarise(const struct scorer *s)
{
	struct summary r = { 0 };
	int n = s->use.labels.n, there = 0;
	for (int i = 0; i < n; i++) {
		struct score label = score_of(s, i);
		r.texts += label.expected;
		r.right += label.right;
		r.f1 += label.f1;
		there += label.expected + label.predicted > 0;
		if (label.expected > r.most) {
			r.most = label.expected;
			r.frequent = i;
		}
	}
	r.accuracy = (double)r.right / (double)r.texts;
	r.error = sqrt(r.accuracy * (1 - r.accuracy) / (double)r.texts);
	r.f1 /= there;
	r.majority = (double)r.most / (double)r.texts;
	r.loss = s->loss / (double)r.texts;
	return r;
}

static void print_scores(const struct scorer *s)
{
	const struct trit_labels *l = &s->use.labels;
	struct summary r = summarise(s);
	struct trit_error name;
	trit_outf("texts     %llu\naccuracy  %.4f +- %.4f\nmacro F1  %.4f\nloss      %.4f nats a text\n",
	          (unsigned long long)r.texts, r.accuracy, r.error, r.f1, r.loss);
	trit_outf("majority  %.4f (always \"%s\")\n\n", r.majority,
	          trit_label_printable(&name, l->names[r.frequent]));
	trit_outf("%-20s %9s %9s %9s %9s\n", "label", "precision", "recall", "F1", "texts");
	for (int i = 0; i < l->n; i++) {
		struct score label = score_of(s, i);
		trit_outf("%-20s %9.4f %9.4f %9.4f %9llu\n", trit_label_printable(&name, l->names[i]), label.precision,
		          label.recall, label.f1, (unsigned long long)label.expected);
	}
	trit_outf("\nrows: expected, columns: predicted\n%-20s", "");
	for (int i = 0; i < l->n; i++)
		trit_outf(" %9.9s", trit_label_printable(&name, l->names[i]));
	for (int i = 0; i < l->n; i++) {
		trit_outf("\n%-20s", trit_label_printable(&name, l->names[i]));
		for (int k = 0; k < l->n; k++)
			trit_outf(" %9llu", (unsigned long long)s->counts[i * l->n + k]);
	}
	trit_outf("\n");
}

static void print_scores_json(const struct scorer *s)
{
	const struct trit_labels *l = &s->use.labels;
	struct summary r = summarise(s);
	trit_outf("{\"texts\": %llu, \"accuracy\": %.6f, \"accuracy_error\": %.6f, \"macro_f1\": %.6f, \"loss\": %.6f, "
	          "\"majority\": %.6f, \"cut\": %llu,\n \"labels\": [", (unsigned long long)r.texts, r.accuracy, r.error,
	          r.f1, r.loss, r.majority, (unsigned long long)s->use.cut);
	for (int i = 0; i < l->n; i++) {
		struct score label = score_of(s, i);
		trit_outf("%s{\"name\": ", i ? ",\n            " : "");
		trit_out_json(strlen(l->names[i]), l->names[i]);
		trit_outf(", \"precision\": %.6f, \"recall\": %.6f, \"f1\": %.6f, \"texts\": %llu, \"predicted\": [",
		          label.precision, label.recall, label.f1, (unsigned long long)label.expected);
		for (int k = 0; k < l->n; k++)
			trit_outf("%s%llu", k ? ", " : "", (unsigned long long)s->counts[i * l->n + k]);
		trit_outf("]}");
	}
	trit_outf("]}\n");
}

static int score_all(struct scorer *s, struct trit_error *err)
{
	const struct use_options *o = s->use.o;
	struct trit_label_counts counts;
	size_t n = (size_t)s->use.labels.n;
	s->counts = trit_calloc(n, n * sizeof *s->counts);
	if (!s->counts)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu labels", n);
	int e = trit_label_rows_each((size_t)o->data.n, o->data.items, &o->rows, score_row, s, &counts, err);
	if (!e)
		e = classify_waiting(&s->use, err);
	if (e)
		return e;
	if (counts.bad)
		trit_cmd_note(o->command, "%llu rows could not be used; the first: %s", (unsigned long long)counts.bad,
		              counts.first_bad.message);
	if (counts.empty)
		trit_cmd_note(o->command, "%llu texts are empty and were left out", (unsigned long long)counts.empty);
	if (summarise(s).texts == 0)
		return trit_fail(err, TRIT_ERR_LIMIT, "no text has tokens");
	(o->output == OUTPUT_JSON ? print_scores_json : print_scores)(s);
	return TRIT_OK;
}

/* ---- the commands ------------------------------------------------------------------------------------------------ */

static int parse(struct use_options *o, bool eval, int argc, char **argv)
{
	static const char *const outputs[] = { "text", "json", NULL };
	*o = (struct use_options){ .command = eval ? "classify eval" : "classify predict", .embed = { .n_batch = 512 },
		                       .open = { .head = "exact" }, .rows = { .unlabelled = !eval } };
	struct trit_opt options[] = {
		TRIT_ROW_MODEL(o->model),
		{ 'd', "data,file", TRIT_OPT_LIST, &o->data, .metavar = "FILE...",
		  .help = eval ? TRIT_CLASSIFY_DATA_HELP
		               : "texts: .csv, .tsv, .jsonl; another file has a text a line", .required = eval },
		TRIT_ROWS_COLUMNS(o->rows, o->form),
		{ 0, "skip-bad", TRIT_OPT_FLAG, &o->rows.skip_bad,
		  .help = "leave out and count rows that cannot be used, instead of an error" },
		{ 'o', "output", TRIT_OPT_CHOICE, &o->output, .metavar = "FORM", .choices = outputs,
		  .help = eval ? "a table, or JSON"
		               : "text: label, tab, probability; json: an object a line with all probabilities" },
		{ 0, "max-tokens", TRIT_OPT_INT, &o->max_tokens, .min = 1, .max = 1 << 24, .metavar = "N",
		  .help = "longer texts are cut", .shown = "as in training, or the model's context" },
		{ 0, "labels", TRIT_OPT_LIST, &o->labels, .metavar = "NAME...", .help = "other names of the labels" },
		{ 0, "words", TRIT_OPT_LIST, &o->words, .metavar = "WORD...",
		  .help = "classify with a language model: by the words that it would go on with" },
		{ 0, "template", TRIT_OPT_STRING, &o->template, .metavar = "TEXT",
		  .help = "how a text is put to it: \"{text}\\nSentiment:\"", .shown = "the classifier's" },
		TRIT_ROW_KV_TYPE(o->kv_type),
		TRIT_ROW_BATCH(o->embed.n_batch),
		TRIT_ROW_THREADS(o->embed.n_threads),
		TRIT_ROW_CPU(o->open.cpu),
		TRIT_ROW_TOKENIZER(o->open.tokenizer),
		{ 0, "lora", TRIT_OPT_STRING, &o->open.lora, .metavar = "FILE",
		  .help = "adapter of trit classify train --lora" },
	};
	struct trit_opt_table table = {
		.command = o->command,
		.usage = eval ? "-m FILE --data FILE... [OPTIONS]" : "-m FILE [OPTIONS] [TEXT...]",
		.about = eval ? "Measures a classifier on texts with labels: accuracy, F1, and what was taken for what."
		              : "Tells the label of each TEXT, of the texts of files, or of each line of standard input.",
		.options = options,
		.n_options = TRIT_N(options),
		.max_args = eval ? 0 : 1 << 20,
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status >= 0)
		return status;
	if (table.n_args && o->data.n)
		return trit_opt_error(&table, "both texts and --data");
	if (o->words.n == 1 || (o->words.n && !o->template))
		return trit_opt_error(&table, "--words takes a word for each label, two at least, and a --template that they "
		                      "answer");
	o->rows.form = (enum trit_label_form)o->form;
	o->args = table.args;
	o->n_args = table.n_args;
	o->open.n_threads = o->embed.n_threads;
	return -1;
}

static void free_options(struct use_options *o)
{
	trit_free(o->data.items);
	trit_free(o->labels.items);
	trit_free(o->words.items);
}

static int finish(const struct use_options *o, int e, const struct trit_error *err)
{
	if (trit_interrupts)
		return trit_out_finish(o->command, 130);
	return trit_out_finish(o->command, e && trit_out_alive() ? trit_cmd_fail(o->command, err) : 0);
}

int trit_classify_predict(int argc, char **argv)
{
	struct use_options o;
	struct trit_error err;
	int status = parse(&o, false, argc, argv);
	if (status < 0) {
		struct printer q = { .use = { .o = &o, .result = print_result } };
		q.use.arg = &q;
		trit_tokens_init(&q.use.tokens, 2 * MAX_TEXT_BYTES);
		trit_interrupt_catch();
		int e = open_use(&q.use, &err);
		if (!e && !(e = predict_texts(&q, &err)))
			e = classify_waiting(&q.use, &err);
		if (!e)
			note_cut(&q.use);
		close_use(&q.use);
		status = finish(&o, e, &err);
	}
	free_options(&o);
	return status;
}

int trit_classify_eval(int argc, char **argv)
{
	struct use_options o;
	struct trit_error err;
	int status = parse(&o, true, argc, argv);
	if (status < 0) {
		struct scorer s = { .use = { .o = &o, .result = score_result } };
		s.use.arg = &s;
		trit_tokens_init(&s.use.tokens, 2 * MAX_TEXT_BYTES);
		trit_interrupt_catch();
		int e = open_use(&s.use, &err);
		if (!e)
			e = score_all(&s, &err);
		if (!e)
			note_cut(&s.use);
		close_use(&s.use);
		trit_free(s.counts);
		status = finish(&o, e, &err);
	}
	free_options(&o);
	return status;
}
