/*
 * bench_report.c - prints what was measured.
 *
 * CSV and JSON come from one list of fields (fields_of), so they cannot disagree.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <time.h>

#include "cli/bench_report.h"

#include "base/file.h"

/* ---- what is reported -------------------------------------------------------------------------------------------- */

enum { MAX_FIELDS = 48, LABEL_BYTES = 128 };

struct field {
	const char *name;
	char text[LABEL_BYTES]; /* of a number: its digits */
	const char *path;       /* a long text instead of `text` */
	bool is_number;         /* without digits: null */
};

struct fields {
	struct field list[MAX_FIELDS];
	int n;
};

static struct field *add_field(struct fields *f, const char *name)
{
	struct field *field = &f->list[f->n++];
	*field = (struct field){ .name = name };
	return field;
}

static void add_text(struct fields *f, const char *name, const char *text)
{
	snprintf(add_field(f, name)->text, LABEL_BYTES, "%s", text);
}

/* A number with so many decimals; null when it is not finite. */
static void add_number(struct fields *f, const char *name, double v, int decimals)
{
	struct field *field = add_field(f, name);
	field->is_number = true;
	if (isfinite(v))
		snprintf(field->text, LABEL_BYTES, "%.*f", decimals, v);
}

/* "bitnet-b1.58 2.4B t5, head i8", as it lies in memory. */
static void describe_model(char text[LABEL_BYTES], const struct trit_model *m)
{
	double n = (double)m->stats.parameters;
	char size[TRIT_NUMBER_BYTES];
	bool small = n < 9.995e8;
	snprintf(size, sizeof size, "%.*f%c", small && n >= 9.95e6 ? 0 : 1, n / (small ? 1e6 : 1e9), small ? 'M' : 'B');
	snprintf(text, LABEL_BYTES, "%s %s %s, head %s", m->config.arch->name, size, trit_linear_layout(&m->layers[0].q),
	         trit_linear_layout(&m->output));
}

static void find_cpu_name(size_t size, char *text)
{
	static const char key[] = "model name";
	struct trit_buf info;
	trit_buf_init(&info, 1 << 24);
	text[0] = 0;
	if (!trit_file_read(&info, "/proc/cpuinfo", NULL) && info.data) {
		const char *line = strstr(info.data, key), *value = line ? strchr(line, ':') : NULL;
		if (value) {
			value += 1 + (value[1] == ' ');
			snprintf(text, size, "%.*s", (int)strcspn(value, "\n"), value);
		}
	}
	trit_buf_release(&info);
}

/* 0.12.3 as 1203. */
static double version_number(void)
{
	char *at;
	double major = (double)strtol(trit_version(), &at, 10);
	double minor = *at ? (double)strtol(at + 1, &at, 10) : 0, patch = *at ? (double)strtol(at + 1, &at, 10) : 0;
	return (major * 100 + minor) * 100 + patch;
}

static void add_setting(struct fields *f, const struct trit_report *p, const struct trit_model *m, const char *path,
                        const struct trit_bench_result *r)
{
	const struct trit_bench_test *t = &r->test;
	char label[LABEL_BYTES];
	describe_model(label, m);
	add_text(f, "build_commit", trit_version());
	add_number(f, "build_number", version_number(), 0);
	add_text(f, "cpu_info", p->cpu);
	add_text(f, "gpu_info", "");
	add_text(f, "backends", "CPU");
	add_field(f, "model_filename")->path = path;
	add_text(f, "model_type", label);
	add_number(f, "model_size", (double)m->stats.weight_bytes, 0);
	add_number(f, "model_n_params", (double)m->stats.parameters, 0);
	add_text(f, "kernels", trit_tier_name(m->kernels.tier));
	add_text(f, "layout", trit_linear_layout(&m->layers[0].q));
	add_text(f, "head", trit_linear_layout(&m->output));
	add_number(f, "n_batch", t->n_batch, 0);
	add_number(f, "n_ubatch", t->n_batch, 0);
	add_number(f, "n_threads", t->n_threads, 0);
	add_text(f, "type_k", trit_kv_names[t->kv_type]);
	add_text(f, "type_v", trit_kv_names[t->kv_type]);
	add_number(f, "n_prompt", t->n_prompt, 0);
	add_number(f, "n_gen", t->n_gen, 0);
	add_number(f, "n_depth", t->n_depth, 0);
	add_number(f, "n_seq", t->n_sequences, 0);
}

static void add_figures(struct fields *f, const struct trit_bench_result *r, double *scratch)
{
	char when[32];
	time_t seconds = (time_t)r->time;
	struct tm utc;
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
	struct trit_statistics s = trit_bench_statistics(r, TRIT_BENCH_SECONDS, scratch);
	struct trit_statistics v = trit_bench_statistics(r, TRIT_BENCH_SPEED, scratch);
	struct trit_statistics first = trit_bench_statistics(r, TRIT_BENCH_FIRST_TOKEN, scratch);
	add_text(f, "test_time", when);
	add_number(f, "avg_ns", s.mean * 1e9, 0);
	add_number(f, "stddev_ns", s.deviation * 1e9, 0);
	add_number(f, "median_ns", s.median * 1e9, 0);
	add_number(f, "avg_ts", v.mean, 6);
	add_number(f, "stddev_ts", v.deviation, 6);
	add_number(f, "median_ts", v.median, 6);
	add_number(f, "min_ts", v.min, 6);
	add_number(f, "max_ts", v.max, 6);
	add_number(f, "first_token_ns", r->test.n_prompt ? first.median * 1e9 : NAN, 0);
	add_number(f, "peak_memory", r->peak_memory ? (double)r->peak_memory : NAN, 0);
	add_number(f, "bytes_per_token", r->bytes / r->tokens, 0);
	add_number(f, "read_limit", trit_bench_statistics(r, TRIT_BENCH_READ_LIMIT, scratch).median, 0);
	add_number(f, "read_share", trit_bench_statistics(r, TRIT_BENCH_READ_SHARE, scratch).median, 4);
	add_number(f, "int8_limit", trit_bench_statistics(r, TRIT_BENCH_INT8_LIMIT, scratch).median, 0);
	double int8_share = trit_bench_statistics(r, TRIT_BENCH_INT8_SHARE, scratch).median;
	add_number(f, "int8_share", r->int8_ops > 0 ? int8_share : NAN, 4);
}

/* ---- CSV, JSON --------------------------------------------------------------------------------------------------- */

static void print_csv(const struct trit_report *p, const struct fields *f)
{
	if (p->n_results == 0)
		for (int i = 0; i < f->n; i++)
			trit_outf("%s%s", f->list[i].name, i < f->n - 1 ? "," : "\n");
	for (int i = 0; i < f->n; i++) {
		trit_out(1, "\"");
		for (const char *c = f->list[i].path ? f->list[i].path : f->list[i].text; *c; c++)
			trit_out(*c == '"' ? 2 : 1, *c == '"' ? "\"\"" : c);
		trit_outf("\"%s", i < f->n - 1 ? "," : "\n");
	}
}

static void print_samples(const struct trit_bench_result *r, const char *name, const char *before, bool speeds)
{
	trit_outf(",%s\"%s\": [", before, name);
	for (int i = 0; i < r->n_samples; i++) {
		double seconds = r->samples[i].seconds;
		trit_outf(speeds ? "%s%.6g" : "%s%.0f", i ? ", " : " ", speeds ? r->tokens / seconds : seconds * 1e9);
	}
	trit_outf(" ]");
}

static void print_json(const struct trit_report *p, const struct fields *f, const struct trit_bench_result *r)
{
	bool lines = p->form == TRIT_REPORT_JSONL;
	const char *before = lines ? " " : "\n    ";
	if (!lines)
		trit_outf(p->n_results ? ",\n  " : "[\n  ");
	for (int i = 0; i < f->n; i++) {
		const struct field *field = &f->list[i];
		const char *text = field->path ? field->path : field->text;
		trit_outf("%s%s\"%s\": ", i ? "," : "{", i || !lines ? before : "", field->name);
		if (field->is_number)
			trit_outf("%s", text[0] ? text : "null");
		else
			trit_out_json(strlen(text), text);
	}
	print_samples(r, "samples_ns", before, false);
	print_samples(r, "samples_ts", before, true);
	trit_outf(lines ? "}\n" : "\n  }");
}

/* ---- the table for people ---------------------------------------------------------------------------------------- */

/* A cell; a width below 0 stands for text that is set left. ± is two bytes and one column. */
static void cell(const char *text, int width)
{
	int more = strstr(text, "±") ? 1 : 0;
	trit_outf(" %*s |", width < 0 ? width - more : width + more, text);
}

struct column {
	const char *title;
	int width;
};

static const struct column columns[] = {
	{ "model", -30 }, { "size", 10 }, { "params", 10 }, { "backend", -7 }, { "threads", 7 }, { "n_batch", 7 },
	{ "kv", -3 }, { "test", 15 }, { "t/s", 20 }, { "kernels", -7 }, { "memory", 10 }, { "read/token", 10 },
	{ "of limit", 18 }, { "first token", 11 },
};
enum { N_COLUMNS = TRIT_N(columns), BATCH_COLUMN = 5, KV_COLUMN = 6 };

static bool is_shown(const struct trit_report *p, int column)
{
	return column == BATCH_COLUMN ? p->with_batch : column == KV_COLUMN ? p->with_kv : true;
}

static void print_head(const struct trit_report *p)
{
	trit_outf("|");
	for (int i = 0; i < N_COLUMNS; i++)
		if (is_shown(p, i))
			cell(columns[i].title, columns[i].width);
	trit_outf("\n|");
	for (int i = 0; i < N_COLUMNS; i++) {
		int width = columns[i].width;
		if (is_shown(p, i))
			trit_outf(" %.*s%s |", (width < 0 ? -width : width) - 1, "----------------------------------------",
			          width < 0 ? "-" : ":");
	}
	trit_outf("\n");
}

/* The limit that is nearer. */
static void describe_share(char text[LABEL_BYTES], const struct trit_bench_result *r, double *scratch)
{
	double read = trit_bench_statistics(r, TRIT_BENCH_READ_SHARE, scratch).median;
	double int8 = trit_bench_statistics(r, TRIT_BENCH_INT8_SHARE, scratch).median;
	enum trit_bench_figure limit = read >= int8 ? TRIT_BENCH_READ_LIMIT : TRIT_BENCH_INT8_LIMIT;
	snprintf(text, LABEL_BYTES, "%.0f %% of %.*f %s", (read >= int8 ? read : int8) * 100, read >= int8 ? 1 : 0,
	         trit_bench_statistics(r, limit, scratch).median / 1e9, read >= int8 ? "GB/s" : "GOP/s");
}

static void print_row(const struct trit_report *p, const struct trit_model *m, const struct trit_bench_result *r,
                      double *scratch)
{
	char text[N_COLUMNS][LABEL_BYTES];
	struct trit_statistics v = trit_bench_statistics(r, TRIT_BENCH_SPEED, scratch);
	double first = trit_bench_statistics(r, TRIT_BENCH_FIRST_TOKEN, scratch).median;
	int n = 0;
	describe_model(text[n++], m);
	trit_text_bytes(text[n++], (double)m->stats.weight_bytes);
	trit_text_count(text[n++], (double)m->stats.parameters);
	snprintf(text[n++], LABEL_BYTES, "CPU");
	snprintf(text[n++], LABEL_BYTES, "%d", r->test.n_threads);
	snprintf(text[n++], LABEL_BYTES, "%d", r->test.n_batch);
	snprintf(text[n++], LABEL_BYTES, "%s", trit_kv_names[r->test.kv_type]);
	trit_bench_name(text[n++], &r->test);
	snprintf(text[n++], LABEL_BYTES, "%.2f ± %.2f", v.mean, v.deviation);
	snprintf(text[n++], LABEL_BYTES, "%s", trit_tier_name(m->kernels.tier));
	if (r->peak_memory)
		trit_text_bytes(text[n++], (double)r->peak_memory);
	else
		snprintf(text[n++], LABEL_BYTES, "-");
	trit_text_bytes(text[n++], r->bytes / r->tokens);
	describe_share(text[n++], r, scratch);
	if (r->test.n_prompt)
		snprintf(text[n++], LABEL_BYTES, "%.*f ms", first < 0.1 ? 1 : 0, first * 1e3);
	else
		snprintf(text[n++], LABEL_BYTES, "-");
	trit_outf("|");
	for (int i = 0; i < N_COLUMNS; i++)
		if (is_shown(p, i))
			cell(text[i], columns[i].width);
	trit_outf("\n");
}

/* ---- reports ----------------------------------------------------------------------------------------------------- */

void trit_report_init(struct trit_report *p, enum trit_report_form form, bool with_batch, bool with_kv)
{
	*p = (struct trit_report){ .form = form, .with_batch = with_batch, .with_kv = with_kv };
	find_cpu_name(sizeof p->cpu, p->cpu);
}

int trit_report_result(struct trit_report *p, const struct trit_model *m, const char *path,
                       const struct trit_bench_result *r, struct trit_error *err)
{
	struct fields f = { .n = 0 };
	double *scratch = trit_calloc((size_t)r->n_samples, sizeof *scratch);
	if (!scratch)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the report of %d repetitions", r->n_samples);
	if (p->form == TRIT_REPORT_MD) {
		if (p->n_results == 0)
			print_head(p);
		print_row(p, m, r, scratch);
	} else {
		add_setting(&f, p, m, path, r);
		add_figures(&f, r, scratch);
		if (p->form == TRIT_REPORT_CSV)
			print_csv(p, &f);
		else
			print_json(p, &f, r);
	}
	trit_free(scratch);
	p->n_results++;
	trit_out_flush();
	return TRIT_OK;
}

void trit_report_end(struct trit_report *p)
{
	if (p->form == TRIT_REPORT_JSON && p->n_results)
		trit_outf("\n]\n");
}
