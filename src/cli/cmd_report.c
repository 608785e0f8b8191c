/*
 * cmd_report.c - trit report: the curves of training runs as one HTML page.
 *
 * The page is web/report.html, which the build embeds; its line "const runs = [];" becomes the runs' numbers, a list
 * for each kind of number.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cmd.h"

#include <math.h>

#include "base/file.h"
#include "base/mem.h"
#include "text/utf8.h"
#include "train/metrics_file.h"

/* More points than pixels show nothing more. */
#define POINTS 1500
#define MAX_PAGE ((size_t)1 << 30)

extern const char trit_report_page[]; /* made by cmake/Embed.cmake */

/* ---- JSON inside a page ------------------------------------------------------------------------------------------ */

/* A string that can end neither itself nor the script around it. */
static int put_string(struct trit_buf *b, const char *text, struct trit_error *err)
{
	int e = trit_buf_append(b, 1, "\"", err);
	for (size_t len = strlen(text); len && !e;) {
		int n = trit_utf8_check(len, text);
		unsigned char c = (unsigned char)*text;
		if (n <= 0)
			e = trit_buf_append(b, 3, "\xEF\xBF\xBD", err);
		else if (n == 1 && (c < 0x20 || strchr("\"\\<>&", c)))
			e = trit_buf_printf(b, err, "\\u%04x", c);
		else
			e = trit_buf_append(b, (size_t)n, text, err);
		n = n > 0 ? n : n < 0 ? -n : (int)len;
		text += n;
		len -= (size_t)n;
	}
	return e ? e : trit_buf_append(b, 1, "\"", err);
}

static int put_number(struct trit_buf *b, double v, struct trit_error *err)
{
	return isfinite(v) ? trit_buf_printf(b, err, "%.7g", v) : trit_buf_append(b, 4, "null", err);
}

enum column {
	STEP, TOKENS, LOSS, VAL_LOSS, LR, GRAD_NORM, TOKENS_PER_S, FLIPS, KL, KL_WEIGHT, RELATION, RELATION_WEIGHT,
	ACCURACY, SHARE, N_COLUMNS = SHARE + 3
};

static double value_of(const struct trit_step_report *r, enum column c)
{
	switch (c) {
	case STEP:
		return r->step;
	case TOKENS:
		return (double)r->tokens;
	case LOSS:
		return r->loss;
	case VAL_LOSS:
		return r->val_loss;
	case LR:
		return (double)r->lr;
	case GRAD_NORM:
		return r->grad_norm;
	case TOKENS_PER_S:
		return r->tokens_per_s;
	case FLIPS:
		return r->flips;
	case KL:
		return r->kl;
	case KL_WEIGHT:
		return (double)r->kl_weight;
	case RELATION:
		return r->relation;
	case RELATION_WEIGHT:
		return (double)r->relation_weight;
	case ACCURACY:
		return r->val_accuracy;
	default:
		return r->share[c - SHARE];
	}
}

static int put_column(struct trit_buf *b, const struct trit_metrics *m, enum column c, struct trit_error *err)
{
	int e = trit_buf_append(b, 1, "[", err);
	for (size_t i = 0; i < m->n && !e; i++) {
		if (i)
			e = trit_buf_append(b, 1, ",", err);
		if (!e)
			e = put_number(b, value_of(&m->points[i], c), err);
	}
	return e ? e : trit_buf_append(b, 1, "]", err);
}

/* A list for each point, null where it has none. */
static int put_scales(struct trit_buf *b, const struct trit_metrics *m, struct trit_error *err)
{
	int e = trit_buf_append(b, 1, "[", err);
	for (size_t i = 0; i < m->n && !e; i++) {
		const struct trit_step_report *r = &m->points[i];
		e = trit_buf_printf(b, err, "%s%s", i ? "," : "", r->n_scales ? "[" : "null");
		for (int j = 0; j < r->n_scales && !e; j++) {
			if (j)
				e = trit_buf_append(b, 1, ",", err);
			if (!e)
				e = put_number(b, (double)r->scales[j], err);
		}
		if (!e && r->n_scales)
			e = trit_buf_append(b, 1, "]", err);
	}
	return e ? e : trit_buf_append(b, 1, "]", err);
}

static int put_run(struct trit_buf *b, const char *name, const struct trit_metrics *m, struct trit_error *err)
{
	static const char *const names[] = { "step", "tokens", "loss", "val_loss", "lr", "grad_norm", "tokens_per_s",
		                             "flips", "kl", "kl_weight", "relation", "relation_weight", "val_accuracy",
		                             "share" };
	int e = trit_buf_append(b, 9, "{\"name\": ", err);
	if (!e)
		e = put_string(b, name, err);
	for (enum column c = STEP; c < N_COLUMNS && !e; c++) {
		if (c <= SHARE)
			e = trit_buf_printf(b, err, ",\n\"%s\": %s", names[c], c == SHARE ? "[" : "");
		else
			e = trit_buf_append(b, 1, ",", err);
		if (!e)
			e = put_column(b, m, c, err);
	}
	if (!e)
		e = trit_buf_printf(b, err, "],\n\"scales\": ");
	if (!e)
		e = put_scales(b, m, err);
	return e ? e : trit_buf_append(b, 1, "}", err);
}

/* ---- the page ---------------------------------------------------------------------------------------------------- */

/* A run: a folder with metrics.jsonl, or such a file. */
static int add_run(struct trit_buf *b, const char *path, struct trit_error *err)
{
	char file[4096];
	struct trit_metrics m;
	bool folder = trit_path_kind(path) == 1;
	if (snprintf(file, sizeof file, "%s%s", path, folder ? "/metrics.jsonl" : "") >= (int)sizeof file)
		return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", path);
	int e = trit_metrics_read(&m, file, POINTS, err);
	if (e)
		return e;
	if (!m.n)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: no steps in it yet", file);
	else
		e = put_run(b, path, &m, err);
	trit_metrics_release(&m);
	return e;
}

static int make_page(struct trit_buf *b, int n, char *const *paths, struct trit_error *err)
{
	static const char place[] = "const runs = [];";
	const char *at = strstr(trit_report_page, place);
	int e = trit_buf_append(b, (size_t)(at - trit_report_page), trit_report_page, err);
	if (!e)
		e = trit_buf_printf(b, err, "const runs = [");
	for (int i = 0; i < n && !e; i++) {
		if (i)
			e = trit_buf_append(b, 2, ",\n", err);
		if (!e)
			e = add_run(b, paths[i], err);
	}
	if (!e)
		e = trit_buf_append(b, 2, "];", err);
	at += sizeof place - 1;
	return e ? e : trit_buf_append(b, strlen(at), at, err);
}

int trit_cmd_report(int argc, char **argv)
{
	const char *out = "report.html";
	struct trit_error err;
	struct trit_opt options[] = {
		{ 'o', "output", TRIT_OPT_STRING, &out, .metavar = "FILE", .help = "the page; - for standard output" },
	};
	struct trit_opt_table table = {
		.command = "report",
		.usage = "DIR... [-o FILE]",
		.about =
			"Writes the curves of training runs - folders that trit train made - as one HTML page, several runs over\n"
			"each other. The page needs nothing but a browser. A run may still be going on.",
		.options = options,
		.n_options = TRIT_N(options),
		.min_args = 1,
		.max_args = 64,
	};
	int status = trit_opt_parse(&table, argc, argv), e;
	if (status >= 0)
		return status;
	struct trit_buf page;
	trit_buf_init(&page, MAX_PAGE);
	e = make_page(&page, table.n_args, table.args, &err);
	if (!e && strcmp(out, "-") == 0)
		trit_out(page.len, page.data);
	else if (!e && !(e = trit_file_write(out, page.len, page.data, &err)))
		trit_cmd_note("report", "wrote %s", out);
	trit_buf_release(&page);
	return trit_out_finish("report", e ? trit_cmd_fail("report", &err) : 0);
}
